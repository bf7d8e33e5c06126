/* Sums over all 2^n states of binary units h, beside m binary units x that are summed out in closed form:
 *
 *   sum over h of exp(c.h + sum_{i<j} J_ij h_i h_j) prod_k (1 + exp(theta_k(h))),  theta_k(h) = b_k + sum_i h_i W_ik.
 *
 * The bits of h are 8 low ones, 4 middle ones and the top ones. exp(theta) is a product of a table over the low bits and
 * one over the others, so that a factor costs a multiply-add and a multiply, and no exponential. Columns are put in
 * groups whose product cannot overflow; after each the binary exponent is taken out. Columns that range too far for a
 * product of two doubles ("wild") go through logarithms. A block is one setting of the top bits: 4096 states. */
#include "vectors.h"

#include <math.h>

#include "kernels.h"

enum { LOW = 256, MIDDLE = 16, STATES = LOW * MIDDLE, INNER = 12, TILE = 16, WIDTH = 8 };
enum { LINE = 64, PARTS = TILE / LANES, SLICES = WIDTH / LANES };

/* Middle states whose products are built together: as many accumulators as the registers hold. */
#if VECTOR_BYTES == 64
enum { ROWS = 8 };
#elif VECTOR_BYTES == 32 || defined(__aarch64__)
enum { ROWS = 2 };
#else
enum { ROWS = 1 };
#endif

typedef struct {
    int64_t n_top, m, n_groups, n_wild;
    const int64_t *groups;   /* [n_groups + 1] where each group of columns starts */
    const double *low;       /* [LOW / TILE][m][TILE] exp(theta of the low bits - its maximum) */
    const double *columns;   /* [m / WIDTH][LOW][WIDTH] the same with the columns innermost; for expectations */
    const double *middle;    /* [m][MIDDLE] b + theta of the middle bits + the maximum over the low ones */
    const double *top;       /* [n_top][m] weights of the top bits */
    const double *linear;    /* [INNER + n_top] c */
    const double *quadratic; /* [STATES] what J gives among the inner bits; or null, and so is coupling */
    const double *coupling;  /* [n_top][INNER + n_top] J */
    const double *wild;      /* [n_wild][INNER + n_top + 1] weights and bias of the wild columns */
} Machine;

/* Sums over the states of some blocks, all relative to exp(scale). */
typedef struct {
    double scale, total;
    double *weights;    /* [STATES] over the top bits */
    double *top_inner;  /* [n_top][INNER] over the states with both bits set */
    double *top_top;    /* [n_top][n_top] */
    double *low_x;      /* [m / WIDTH][LOW][WIDTH] x_k over all but the low bits */
    double *middle_x;   /* [m][MIDDLE] */
    double *top_x;      /* [n_top][m] over the states with this bit set */
    double *wild_low;   /* the same three for the wild columns: [n_wild][LOW], [n_wild][MIDDLE], [n_top][n_wild] */
    double *wild_middle;
    double *wild_top;
} Sums;

typedef struct {
    double *odds;   /* [m][MIDDLE] exp(theta of the top and middle bits) */
    double *log_w;  /* [STATES] logarithm of a state's weight without its mantissa */
    double *w;      /* [STATES] the mantissa, later the weight */
    double *buffer; /* [STATES] */
    double *theta;  /* [m] */
    double *column; /* [MIDDLE][WIDTH] */
} Scratch;

static void open_scratch(Scratch *s, int64_t m) {
    size_t size = (size_t)(m * (MIDDLE + 1) + 3 * STATES + MIDDLE * WIDTH);
    uintptr_t at = (uintptr_t)grab(sizeof(double) * size + LINE); /* no vector lies across two lines of the cache */
    s->odds = (double *)((at + LINE - 1) / LINE * LINE);
    s->theta = s->odds + m * MIDDLE;
    s->log_w = s->theta + m;
    s->w = s->log_w + STATES;
    s->buffer = s->w + STATES;
    s->column = s->buffer + STATES;
}

/* out[s] = start + the coefficients of the bits set in s. */
static void linear_form(const double *coefficients, double start, double *out) {
    out[0] = start;
    for (int b = 0; b < INNER; b++)
        for (int s = 0; s < 1 << b; s++) out[s + (1 << b)] = out[s] + coefficients[b];
}

/* log_w = the logarithm of exp(c.h + J) for all states of a block. */
static void start_weights(const Machine *a, int64_t block, double *log_w) {
    double inner[INNER], start = 0;
    memcpy(inner, a->linear, sizeof inner);
    for (int64_t t = 0; t < a->n_top; t++) {
        if (!(block >> t & 1)) continue;
        start += a->linear[INNER + t];
        if (!a->coupling) continue;
        const double *row = a->coupling + t * (INNER + a->n_top);
        for (int b = 0; b < INNER; b++) inner[b] += row[b];
        for (int64_t u = 0; u < t; u++)
            if (block >> u & 1) start += row[INNER + u];
    }
    linear_form(inner, start, log_w);
    if (a->quadratic)
        for (int s = 0; s < STATES; s++) log_w[s] += a->quadratic[s];
}

/* odds = exp(b + theta of the top and middle bits + maximum of the low ones). */
static void start_odds(const Machine *a, int64_t block, const Scratch *s) {
    memset(s->theta, 0, sizeof(double) * (size_t)a->m);
    for (int64_t t = 0; t < a->n_top; t++)
        if (block >> t & 1)
            for (int64_t k = 0; k < a->m; k++) s->theta[k] += a->top[t * a->m + k];
    for (int64_t k = 0; k < a->m; k++)
        for (int r = 0; r < MIDDLE; r += LANES)
            v_store(s->odds + k * MIDDLE + r, v_exp(v_load(a->middle + k * MIDDLE + r) + s->theta[k]));
}

/* The product of 1 + odds * low over all columns, for ROWS middle states and TILE low ones. */
static void tile_product(const Machine *a, const double *odds, const double *low, double *log_w, double *w) {
    V p[ROWS][PARTS];
    VI exponent[ROWS][PARTS];
    for (int r = 0; r < ROWS; r++)
        for (int i = 0; i < PARTS; i++) p[r][i] = v_all(1.0), exponent[r][i] = (VI){0};
    for (int64_t g = 0; g < a->n_groups; g++) {
        for (int64_t k = a->groups[g]; k < a->groups[g + 1]; k++)
            for (int r = 0; r < ROWS; r++)
                for (int i = 0; i < PARTS; i++)
                    p[r][i] *= v_load(low + k * TILE + i * LANES) * odds[k * MIDDLE + r] + 1.0;
        for (int r = 0; r < ROWS; r++)
            for (int i = 0; i < PARTS; i++) {
                exponent[r][i] += ((VI)p[r][i] >> 52) - 1023;
                p[r][i] = (V)(((VI)p[r][i] & 0xFFFFFFFFFFFFF) | 0x3FF0000000000000);
            }
    }
    for (int r = 0; r < ROWS; r++)
        for (int i = 0; i < PARTS; i++) {
            int at = r * LOW + i * LANES;
            v_store(w + at, p[r][i]);
            v_store(log_w + at, v_load(log_w + at) + __builtin_convertvector(exponent[r][i], V) * 0x1.62e42fefa39efp-1);
        }
}

/* theta of wild column k for all states of a block, in the buffer. */
static void wild_theta(const Machine *a, int64_t block, int64_t k, double *buffer) {
    const double *weights = a->wild + k * (INNER + a->n_top + 1);
    double start = weights[INNER + a->n_top];
    for (int64_t t = 0; t < a->n_top; t++)
        if (block >> t & 1) start += weights[INNER + t];
    linear_form(weights, start, buffer);
}

static double softplus(double t) {
    double far = t > 0 ? t : 0, near = fabs(t);
    return near < 40 ? far + log1p(exp(-near)) : far;
}

/* Weights of the states of a block as w * exp(log_w), with 1 <= w < 2; the largest log_w is returned. */
static double block_weights(const Machine *a, int64_t block, const Scratch *s) {
    region_worked(STATES * (a->m / 4 + 32 * a->n_wild + 8));
    start_weights(a, block, s->log_w);
    start_odds(a, block, s);
    for (int j = 0; j < LOW; j += TILE)
        for (int r = 0; r < MIDDLE; r += ROWS)
            tile_product(a, s->odds + r, a->low + j * a->m, s->log_w + r * LOW + j, s->w + r * LOW + j);
    for (int64_t k = 0; k < a->n_wild; k++) {
        wild_theta(a, block, k, s->buffer);
        for (int i = 0; i < STATES; i++) s->log_w[i] += softplus(s->buffer[i]);
    }
    V top = v_load(s->log_w);
    for (int i = LANES; i < STATES; i += LANES) {
        V x = v_load(s->log_w + i);
        top = v_choose(x > top, x, top);
    }
    double most = top[0];
    for (int l = 1; l < LANES; l++) most = top[l] > most ? top[l] : most;
    return most;
}

/* w = the weights divided by exp(scale); their sum is returned. */
static double scale_weights(const Scratch *s, double scale) {
    V sum = {0};
    for (int i = 0; i < STATES; i += LANES) {
        V w = v_load(s->w + i) * v_exp(v_load(s->log_w + i) - scale);
        v_store(s->w + i, w);
        sum += w;
    }
    return v_sum(sum);
}

/* The sum over blocks [first, last) is out[1] * exp(out[0]). */
EXPORT int enumerate_sum(const Machine *a, int64_t first, int64_t last, double *out, Caller caller) {
    REGION(caller)
    Scratch s;
    open_scratch(&s, a->m);
    out[0] = -INFINITY, out[1] = 0;
    for (int64_t block = first; block < last; block++) {
        double most = block_weights(a, block, &s);
        if (most > out[0]) {
            out[1] *= exp(out[0] - most);
            out[0] = most;
        }
        out[1] += scale_weights(&s, out[0]);
    }
    region_leave();
    return 0;
}

/* The logarithms of the weights of all states of blocks [first, last). */
EXPORT int enumerate_weights(const Machine *a, int64_t first, int64_t last, double *out, Caller caller) {
    REGION(caller)
    Scratch s;
    open_scratch(&s, a->m);
    for (int64_t block = first; block < last; block++, out += STATES) {
        block_weights(a, block, &s);
        for (int i = 0; i < STATES; i++) out[i] = s.log_w[i] + log(s.w[i]);
    }
    region_leave();
    return 0;
}

static void multiply(double *x, int64_t n, double by) {
    for (int64_t i = 0; i < n; i++) x[i] *= by;
}

static void rescale(const Machine *a, Sums *out, double scale) {
    double by = exp(out->scale - scale);
    out->scale = scale;
    out->total *= by;
    multiply(out->weights, STATES, by);
    multiply(out->top_inner, a->n_top * INNER, by);
    multiply(out->top_top, a->n_top * a->n_top, by);
    multiply(out->low_x, a->m * LOW, by);
    multiply(out->middle_x, a->m * MIDDLE, by);
    multiply(out->top_x, a->n_top * a->m, by);
    multiply(out->wild_low, a->n_wild * LOW, by);
    multiply(out->wild_middle, a->n_wild * MIDDLE, by);
    multiply(out->wild_top, a->n_top * a->n_wild, by);
}

static void add(double *to, const double *x, int64_t n) {
    for (int64_t i = 0; i < n; i++) to[i] += x[i];
}

/* Adds the weights of a block to those of the inner states and of the pairs with a top bit. */
static void add_weights(const Machine *a, int64_t block, const Scratch *s, double total, Sums *out) {
    double inner[INNER], *fold = s->buffer;
    out->total += total;
    add(out->weights, s->w, STATES);
    if (!block) return;
    memcpy(fold, s->w, sizeof(double) * STATES);
    for (int b = INNER - 1; b >= 0; b--) { /* the upper half has bit b set; then both halves become one */
        inner[b] = 0;
        for (int i = 0; i < 1 << b; i++) inner[b] += fold[i + (1 << b)];
        add(fold, fold + (1 << b), 1 << b);
    }
    for (int64_t t = 0; t < a->n_top; t++) {
        if (!(block >> t & 1)) continue;
        add(out->top_inner + t * INNER, inner, INNER);
        for (int64_t u = 0; u < a->n_top; u++)
            if (block >> u & 1) out->top_top[t * a->n_top + u] += total;
    }
}

/* Adds w * sigmoid(theta) of one slice of columns, over the low states into `low`, over the middle ones into `sums`. */
static void add_slice(const double *columns, const double *odds, const double *w, double *low, double *sums) {
    for (int r = 0; r < MIDDLE; r += 4) {
        V e[4], sum[4];
        for (int q = 0; q < 4; q++) {
            double lanes[LANES];
            for (int l = 0; l < LANES; l++) lanes[l] = odds[l * MIDDLE + r + q];
            e[q] = v_load(lanes);
            sum[q] = (V){0};
        }
        for (int j = 0; j < LOW; j++) {
            V x = v_load(columns + j * WIDTH), over = v_load(low + j * WIDTH);
            for (int q = 0; q < 4; q++) {
                V odd = e[q] * x, part = odd / (odd + 1.0) * w[(r + q) * LOW + j];
                sum[q] += part;
                over += part;
            }
            v_store(low + j * WIDTH, over);
        }
        for (int q = 0; q < 4; q++) v_store(sums + (r + q) * WIDTH, sum[q]);
    }
}

/* Adds the expectations of x for the columns of a block, `width` at a time, which `sums` holds by middle state. */
static void add_by_bits(const Machine *a, int64_t block, const double *sums, int64_t k, int width, Sums *out, int wild) {
    double *middle = (wild ? out->wild_middle : out->middle_x) + k * MIDDLE, *top = wild ? out->wild_top : out->top_x;
    int64_t m = wild ? a->n_wild : a->m;
    for (int c = 0; c < width; c++) {
        double all = 0;
        for (int r = 0; r < MIDDLE; r++) {
            middle[c * MIDDLE + r] += sums[r * width + c];
            all += sums[r * width + c];
        }
        for (int64_t t = 0; t < a->n_top; t++)
            if (block >> t & 1) top[t * m + k + c] += all;
    }
}

static void add_wild(const Machine *a, int64_t block, const Scratch *s, Sums *out) {
    for (int64_t k = 0; k < a->n_wild; k++) {
        memset(s->column, 0, sizeof(double) * MIDDLE);
        wild_theta(a, block, k, s->buffer);
        for (int i = 0; i < STATES; i++) {
            double small = exp(-fabs(s->buffer[i])), part = s->w[i] * (s->buffer[i] < 0 ? small : 1) / (1 + small);
            s->column[i / LOW] += part;
            out->wild_low[k * LOW + i % LOW] += part;
        }
        add_by_bits(a, block, s->column, k, 1, out, 1);
    }
}

/* Adds the expectations over blocks [first, last) to `out`, whose arrays are zero and whose scale is -infinity before
 * the first call. A block is left out where its states weigh less than e^-60 of one already seen: all 2^30 of them
 * together then matter less than rounding. */
EXPORT int enumerate_expectations(const Machine *a, int64_t first, int64_t last, Sums *out, Caller caller) {
    REGION(caller)
    Scratch s;
    open_scratch(&s, a->m);
    for (int64_t block = first; block < last; block++) {
        double most = block_weights(a, block, &s);
        if (most > out->scale + 100 || out->scale == -INFINITY) rescale(a, out, most);
        double total = scale_weights(&s, out->scale);
        if (most < out->scale - 60) {
            out->total += total;
            continue;
        }
        add_weights(a, block, &s, total, out);
        for (int64_t k = 0; k < a->m; k += WIDTH) {
            for (int i = 0; i < SLICES; i++)
                add_slice(a->columns + k * LOW + i * LANES, s.odds + (k + i * LANES) * MIDDLE, s.w,
                          out->low_x + k * LOW + i * LANES, s.column + i * LANES);
            add_by_bits(a, block, s.column, k, WIDTH, out, 0);
            region_worked(STATES * WIDTH);
        }
        add_wild(a, block, &s, out);
    }
    region_leave();
    return 0;
}
