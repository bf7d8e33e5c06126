/* Products with matrices of zeros and ones, and Bernoulli samples.
 *
 * A row of x, four entries at a time, is a number below 16. For each four rows of w all 16 sums of some of them are put
 * in a table, 11 additions, and each row of the product adds up one entry of the table for every four of x, none where
 * these are zero ("the method of four Russians"). A table over TILE columns and some hundred rows of w stays in the
 * second-level cache. Rows of x that are not 0 or 1 are multiplied out, with the rows of w that the table holds. */
#include "binary.h"

#include <stdatomic.h>

#include "kernels.h"
#include "words.h"

#if VECTOR_BYTES >= 32
enum { TILE = 64 };
#else
enum { TILE = 32 };
#endif
enum { GROUPS = 128, ENTRIES = 16, PARTS = TILE / F_LANES, PACKED = 64 };

typedef struct {
    int64_t rows, inner, columns;
    Matrix x, w;
    Finish out;
    int64_t n_groups, n_chunks, n_tiles, n_blocks, block; /* a block is some rows */
    uint8_t *codes;    /* x in groups of four: [rows][n_groups], or [n_groups][rows] where x is transposed */
    uint8_t *weighted; /* [rows] whether there is something else than 0 and 1 */
    uint16_t *lists;   /* [rows][n_groups]: for each chunk the table entries that the row needs */
    uint8_t *lengths;  /* [rows][n_chunks] */
    float *scratch;    /* per worker: a table, the sums of a block, a bias */
    int64_t scratch_size;
    int64_t n_prepare; /* how many parts of the rows are to be prepared, and how many are */
    atomic_llong n_prepared;
} Product;

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t parts_of(int64_t n, int64_t size) { return (n + size - 1) / size; }

static F f_part(const float *x, int64_t n) {
    if (n >= F_LANES) return f_load(x);
    F v = {0};
    memcpy(&v, x, sizeof(float) * (size_t)n);
    return v;
}

static void copy_part(float *to, F x, int64_t n) {
    if (n >= F_LANES) f_store(to, x);
    else memcpy(to, &x, sizeof(float) * (size_t)n);
}

INLINE F f_magnitude(F x) { return (F)((FI)x & 0x7FFFFFFF); }

/* log p(x) = sum of x a - log(1 + e^a), where log(1 + e^a) = max(a, 0) + log(1 + e^-|a|): the last terms of a piece are
 * multiplied up, each is below 2, and their logarithm is taken once. */
INLINE void score(const Finish *out, int64_t r, int64_t column, int64_t columns, int64_t width, const F *logits) {
    Keys keys = out->sample ? row_keys(out->seed, out->rows[r]) : (Keys){0, 0};
    const float *target = out->sample ? NULL : out->target + r / out->repeat * columns + column;
    int64_t at = r * columns + column, n_pieces = parts_of(columns, PIECE);
    F sum = {0}, product = f_all(1.0f);
    FI lane;
    for (int l = 0; l < F_LANES; l++) lane[l] = l;
    for (int64_t i = 0; i * F_LANES < width; i++) {
        int64_t j = i * F_LANES, n = least(F_LANES, width - j);
        F a = logits[i], zero = {0}, small = f_exp(-f_magnitude(a)), most = f_choose(a > 0.0f, a, zero);
        F odds = small + 1.0f, up = f_choose(a > 0.0f, f_all(1.0f), small), x;
        if (target) x = f_part(target + j, n);
        else x = f_choose(uniform_at(keys, column + j) * odds < up, f_all(1.0f), zero);
        if (out->sample) copy_part(out->sample + at + j, x, n);
        copy_part(out->residual + at + j, x - up / odds, n);
        FI there = lane < (int32_t)n;
        sum += f_choose(there, x * a - most, zero);
        product *= f_choose(there, odds, f_all(1.0f));
    }
    float *piece = out->log_prob + r * n_pieces + column / PIECE;
    piece[0] = f_sum(sum) - f_sum(f_log(product));
    if ((int)TILE > (int)PIECE && column / PIECE + 1 < n_pieces) piece[1] = 0;
}

/* Outputs for `width` columns from `column` on of row r, whose logits are given. */
INLINE void finish(const Finish *out, int64_t r, int64_t column, int64_t columns, int64_t width, const F *logits) {
    int64_t at = r * columns + column;
    Keys keys = out->sample ? row_keys(out->seed, out->rows[r]) : (Keys){0, 0};
    for (int64_t i = 0; i * F_LANES < width; i++) {
        int64_t j = i * F_LANES, n = least(F_LANES, width - j);
        if (out->product) copy_part(out->product + at + j, logits[i], n);
        if (!out->sample && !out->mean) continue;
        F odds = f_exp(-logits[i]) + 1.0f;
        if (out->mean) copy_part(out->mean + at + j, 1.0f / odds, n);
        if (!out->sample) continue;
        F u = uniform_at(keys, column + j);
        copy_part(out->sample + at + j, f_choose(u * odds < 1.0f, f_all(1.0f), f_all(0.0f)), n);
    }
}

/* Row i as it lies in memory. */
static const float *row_of(const Matrix *m, int64_t i) {
    return i < m->first ? m->x + i * m->stride : m->x2 + (i - m->first) * m->stride;
}

static void encode_row(const Product *p, int64_t r) {
    const float *x = p->x.x + r * p->x.stride;
    uint8_t *codes = p->codes + r * p->n_groups;
    int other = 0;
    for (int64_t k = 0; k < p->inner; k++) other |= (x[k] != 0.0f) & (x[k] != 1.0f);
    p->weighted[r] = (uint8_t)other;
    if (other) return;
    int64_t g = 0;
    for (; g < p->inner / 4; g++)
        codes[g] = (uint8_t)(int)(x[4 * g] + 2 * x[4 * g + 1] + 4 * x[4 * g + 2] + 8 * x[4 * g + 3]);
    if (4 * g < p->inner) codes[g] = 0;
    for (int64_t k = 4 * g; k < p->inner; k++) codes[g] |= (uint8_t)((int)x[k] << (k & 3));
}

/* The same for rows [from, to) of the product where they are columns of x, four of these at a time. */
static void encode_columns(const Product *p, int64_t from, int64_t to) {
    static const float zeros[PACKED] = {0};
    float other[PACKED] = {0};
    for (int64_t g = 0; g < p->n_groups; g++) {
        const float *x[4];
        for (int q = 0; q < 4; q++) {
            int64_t k = 4 * g + q;
            x[q] = k < p->inner ? row_of(&p->x, k) + from : zeros;
        }
        for (int64_t r = 0; r < to - from; r += F_LANES) {
            F part[4], code = {0}, off = {0};
            for (int q = 0; q < 4; q++) {
                part[q] = f_part(x[q] + r, to - from - r);
                off += f_magnitude(part[q] * part[q] - part[q]); /* 0 for 0 and 1 alone, and not NaN */
                code += part[q] * (float)(1 << q);
            }
            f_store(other + r, f_load(other + r) + off);
            FB bytes = __builtin_convertvector(__builtin_convertvector(code, FI), FB);
            memcpy(p->codes + g * p->rows + from + r, &bytes, (size_t)least(F_LANES, to - from - r));
        }
    }
    for (int64_t r = from; r < to; r++) p->weighted[r] = !(other[r - from] == 0);
}

static void list_entries(const Product *p, int64_t r) {
    int64_t step = p->x.transposed ? p->rows : 1;
    const uint8_t *codes = p->codes + (p->x.transposed ? r : r * p->n_groups);
    for (int64_t c = 0; c < p->n_chunks; c++) {
        int64_t n = least(GROUPS, p->n_groups - c * GROUPS), length = 0;
        uint16_t *list = p->lists + r * p->n_groups + c * GROUPS;
        const uint8_t *at = codes + c * GROUPS * step;
        for (int64_t g = 0; g < n; g++) {
            list[length] = (uint16_t)(g * ENTRIES + at[g * step]);
            length += at[g * step] != 0;
        }
        p->lengths[r * p->n_chunks + c] = (uint8_t)length;
    }
}

static void prepare_rows(Product *p, int64_t item) {
    int64_t from = item * PACKED, to = least(from + PACKED, p->rows);
    if (p->x.transposed) encode_columns(p, from, to);
    for (int64_t r = from; r < to; r++) {
        if (!p->x.transposed) encode_row(p, r);
        if (!p->weighted[r]) list_entries(p, r);
    }
    atomic_fetch_add(&p->n_prepared, 1);
}

/* Where TILE columns from j on of F_LANES rows of w from k on are; where that is beyond the edges, or w is given by
 * columns or with the wrong sign, they are copied to the panel. */
static void panel_rows(const Product *p, int64_t k, int64_t j, float panel[F_LANES][TILE], const float **rows) {
    int64_t width = least(TILE, p->columns - j), depth = least(F_LANES, p->inner - k);
    int whole = width == TILE && depth == F_LANES;
    if (!whole) memset(panel, 0, sizeof(float) * F_LANES * TILE);
    if (p->w.transposed) {
        for (int i = 0; i < width; i += F_LANES) {
            F block[F_LANES];
            for (int l = 0; l < F_LANES; l++)
                block[l] = i + l < width ? f_part(p->w.x + (j + i + l) * p->w.stride + k, depth) : (F){0};
            f_transpose(block);
            for (int q = 0; q < F_LANES; q++) f_store(panel[q] + i, block[q]);
        }
    }
    for (int q = 0; q < F_LANES; q++) {
        const float *row = !p->w.transposed && q < depth ? row_of(&p->w, k + q) + j : NULL;
        float factor = row && p->w.scale ? p->w.scale[k + q] : 1;
        if (k + q >= p->w.first) factor = -factor;
        rows[q] = row && whole && factor == 1 ? row : panel[q];
        if (row && rows[q] != row)
            for (int64_t i = 0; i < width; i++) panel[q][i] = factor * row[i];
    }
}

/* All sums of some of four rows. */
static void sixteen_sums(const float *const *rows, float *table) {
    for (int i = 0; i < TILE; i += F_LANES) {
        F sums[ENTRIES] = {{0}};
        for (int e = 1; e < ENTRIES; e++) {
            int q = e >> 3 ? 3 : e >> 2 ? 2 : e >> 1;
            sums[e] = sums[e ^ (1 << q)] + f_load(rows[q] + i);
            f_store(table + e * TILE + i, sums[e]);
        }
    }
}

static void fill_table(const Product *p, int64_t chunk, int64_t j, float *table) {
    float panel[F_LANES][TILE];
    const float *rows[F_LANES];
    int64_t n = least(GROUPS, p->n_groups - chunk * GROUPS);
    for (int64_t g = 0; g < n; g++) {
        int64_t q = 4 * g % F_LANES;
        if (!q) panel_rows(p, 4 * (chunk * GROUPS + g), j, panel, rows);
        sixteen_sums(rows + q, table + g * ENTRIES * TILE);
    }
}

/* Adds the table's entries of a list to the sums of `parts` vectors. */
INLINE void add_entries(const float *table, const uint16_t *list, int length, F *sums, int parts) {
    for (int e = 0; e < length; e++) {
        const float *at = table + (size_t)list[e] * TILE;
        for (int i = 0; i < parts; i++) sums[i] += f_load(at + i * F_LANES);
    }
}

static void add_weighted(const Product *p, int64_t r, int64_t chunk, const float *table, F *sums) {
    int64_t from = chunk * GROUPS * 4, to = least(from + GROUPS * 4, p->inner);
    for (int64_t k = from; k < to; k++) {
        float x = p->x.transposed ? row_of(&p->x, k)[r] : row_of(&p->x, r)[k];
        const float *at = table + ((k - from) / 4 * ENTRIES + (1 << (k & 3))) * TILE;
        for (int i = 0; i < PARTS; i++) sums[i] += x * f_load(at + i * F_LANES);
    }
}

static void add_row(const Product *p, int64_t r, int64_t chunk, const float *table, F *sums, int parts) {
    const uint16_t *list = p->lists + r * p->n_groups + chunk * GROUPS;
    int length = p->lengths[r * p->n_chunks + chunk];
    if (p->weighted[r]) add_weighted(p, r, chunk, table, sums);
    else if (parts == PARTS) add_entries(table, list, length, sums, PARTS);
    else if (parts > PARTS / 4) add_entries(table, list, length, sums, PARTS - 1);
    else add_entries(table, list, length, sums, PARTS / 4);
}

static void run_tile(Product *p, int64_t item, int worker) {
    int64_t j = item / p->n_blocks * TILE, width = least(TILE, p->columns - j);
    int64_t from = item % p->n_blocks * p->block, to = least(from + p->block, p->rows);
    float *table = p->scratch + worker * p->scratch_size, *partial = table + GROUPS * ENTRIES * TILE;
    float *bias = partial + p->block * TILE;
    memset(bias, 0, sizeof(float) * TILE);
    if (p->out.bias) memcpy(bias, p->out.bias + j, sizeof(float) * (size_t)width);
    for (int64_t c = 0; c < p->n_chunks; c++) {
        fill_table(p, c, j, table);
        while (atomic_load(&p->n_prepared) < p->n_prepare) continue;
        for (int64_t r = from; r < to; r++) {
            F sums[PARTS];
            const float *start = c ? partial + (r - from) * TILE : bias;
            for (int i = 0; i < PARTS; i++) sums[i] = f_load(start + i * F_LANES);
            add_row(p, r, c, table, sums, (int)parts_of(width, F_LANES));
            if (c == p->n_chunks - 1 && p->out.log_prob) score(&p->out, r, j, p->columns, width, sums);
            else if (c == p->n_chunks - 1) finish(&p->out, r, j, p->columns, width, sums);
            else
                for (int i = 0; i < PARTS; i++) f_store(partial + (r - from) * TILE + i * F_LANES, sums[i]);
        }
    }
}

/* First the rows are prepared, then the tiles are run. A tile begins with its table, which needs nothing of the rows;
 * when that is there, those who prepare are done or about to be. */
static void run_item(void *work, int item, int worker) {
    Product *p = work;
    if (item < p->n_prepare) prepare_rows(p, item);
    else run_tile(p, item - p->n_prepare, worker);
}

int binary_product(const Crew *crew, int64_t rows, int64_t inner, int64_t columns, Matrix x, Matrix w, Finish out) {
    if (!rows || !columns) return 0;
    Product p = {rows, inner, columns, x, w, out, .n_groups = parts_of(inner, 4), .n_tiles = parts_of(columns, TILE)};
    p.n_chunks = p.n_groups ? parts_of(p.n_groups, GROUPS) : 1;
    p.n_blocks = least(parts_of(crew->n_workers, p.n_tiles), parts_of(rows, 32));
    p.block = parts_of(rows, p.n_blocks);
    p.n_blocks = parts_of(rows, p.block);
    p.scratch_size = GROUPS * ENTRIES * TILE + (p.block + 1) * TILE;
    size_t floats = sizeof(float) * (size_t)(p.scratch_size * crew->n_workers), codes = (size_t)(rows * p.n_groups);
    p.scratch = malloc(floats + 3 * codes + (size_t)(rows * (p.n_chunks + 1)));
    if (!p.scratch) return 1;
    p.lists = (uint16_t *)((char *)p.scratch + floats);
    p.codes = (uint8_t *)(p.lists + codes);
    p.weighted = p.codes + codes;
    p.lengths = p.weighted + rows;
    p.n_prepare = parts_of(rows, PACKED);
    atomic_init(&p.n_prepared, 0);
    crew->each(crew->call, crew->n_workers, (int)(p.n_prepare + p.n_tiles * p.n_blocks), run_item, &p);
    free(p.scratch);
    return 0;
}
