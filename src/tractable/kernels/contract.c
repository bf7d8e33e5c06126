/* Contraction of two tables, lowered to a batched matrix product or, where the shared kept axes are long, to vector
 * products along them. Operands are copied into the order the kernel wants only when they do not have it already. */
#define _GNU_SOURCE
#include "tensor.h"
#include <stdatomic.h>
#ifdef __linux__
#include <sys/mman.h>
#endif

enum { HEADER = 64, HUGE_PAGE = 1 << 21, HUGE_FROM = 1 << 22, POOL_FROM = 1 << 18, BLAS_FROM = 1 << 21, ARENA = 1 << 25 };

typedef double v4 __attribute__((vector_size(32), aligned(8)));

static char *fresh_block(size_t bytes) {
#ifdef __linux__
    void *x;
    if (bytes >= HUGE_FROM && !posix_memalign(&x, HUGE_PAGE, bytes)) {
        madvise(x, bytes, MADV_HUGEPAGE);
        return x;
    }
#endif
    return malloc(bytes);
}

/* The block in the pool that fits best, or -1. */
static int fitting(const Context *c, int64_t bytes) {
    int best = -1;
    for (int i = 0; i < c->n_pool; i++) {
        int64_t size = *(int64_t *)c->pool[i];
        if (size >= bytes && size <= bytes + bytes / 8 && (best < 0 || size < *(int64_t *)c->pool[best])) best = i;
    }
    return best;
}

static char *pool_take(Context *c, int i) {
    char *block = c->pool[i];
    c->pooled -= *(int64_t *)block;
    c->pool[i] = c->pool[--c->n_pool];
    return block;
}

/* Small tables live in an arena that is kept between runs: asking the system for the same pages again and again costs
 * more than contracting what is on them. One run at a time has it, the others ask malloc. Freed blocks wait in lists by
 * size, four to the octave. */
static struct {
    atomic_flag taken;
    char *base;
} arena = {ATOMIC_FLAG_INIT, NULL};

static int size_class(int64_t bytes) {
    int top = 63 - __builtin_clzll((unsigned long long)bytes | 64);
    return 4 * top + (int)((bytes >> (top - 2)) & 3);
}

static char *arena_take(Context *c, int64_t bytes) {
    int k = size_class(bytes + HEADER) + 1;
    int64_t room = (int64_t)(4 + (k & 3)) << (k / 4 - 2); /* the class's upper end */
    char *block = c->lists[k];
    if (block) {
        memcpy(&c->lists[k], block + HEADER, sizeof(char *));
        return block;
    }
    if (c->arena_used + room > ARENA) return NULL;
    block = c->arena + c->arena_used;
    c->arena_used += room;
    return block;
}

static void arena_give(Context *c, char *block, int64_t bytes) {
    int k = size_class(bytes + HEADER) + 1;
    memcpy(block + HEADER, &c->lists[k], sizeof(char *));
    c->lists[k] = block;
}

void arena_enter(Context *c) {
    if (atomic_flag_test_and_set(&arena.taken)) return;
    if (!arena.base) arena.base = fresh_block(ARENA);
    c->arena = arena.base;
}

static void arena_leave(Context *c) {
    if (c->arena) atomic_flag_clear(&arena.taken);
    c->arena = NULL;
}

/* The first touch of a page costs more than the arithmetic on it. Large tables therefore sit on huge pages where the
 * system has them, and their memory is used again within a run, as long as that does not raise the peak. */
double *table_alloc(Context *c, int64_t entries) {
    int64_t bytes = 8 * (entries ? entries : 1);
    char *block = NULL;
    if (bytes >= POOL_FROM) {
        int i = fitting(c, bytes);
        if (i >= 0) block = pool_take(c, i), bytes = *(int64_t *)block;
    } else if (c->arena) block = arena_take(c, bytes);
    if (!block) {
        while (c->n_pool && c->live + c->pooled + bytes > c->peak) free(pool_take(c, c->n_pool - 1));
        block = fresh_block((size_t)bytes + HEADER);
    }
    *(int64_t *)block = bytes;
    c->live += bytes;
    if (c->live + c->pooled > c->peak) c->peak = c->live + c->pooled;
    return (double *)(block + HEADER);
}

void table_release(Context *c, double *x) {
    char *block = (char *)x - HEADER;
    int64_t bytes = *(int64_t *)block;
    c->live -= bytes;
    if (c->arena && block >= c->arena && block < c->arena + ARENA) {
        arena_give(c, block, bytes);
    } else if (bytes < POOL_FROM || c->n_pool == POOL) {
        free(block);
    } else {
        c->pool[c->n_pool++] = block;
        c->pooled += bytes;
    }
}

void pool_drain(Context *c) {
    while (c->n_pool) free(pool_take(c, c->n_pool - 1));
    arena_leave(c);
}

void table_free(Context *c, Table *t) {
    if (t->owned && t->x) table_release(c, t->x);
    free(t->row_exponent);
    free(t->legs);
    memset(t, 0, sizeof *t);
}

/* Offsets of all joint states of some axes of t, the last axis fastest; `give_back` them. */
static int64_t *offsets(Context *c, const Table *t, const int32_t *axes, int n, int64_t size) {
    int64_t *out, len = 1;
    if (c->n_scratch + size <= SCRATCH) out = c->scratch + c->n_scratch, c->n_scratch += size;
    else out = malloc(sizeof(int64_t) * (size_t)size);
    out[0] = 0;
    for (int i = n - 1; i >= 0; i--) {
        int64_t stride = 1, states = c->sizes[axes[i]];
        for (int j = t->nd - 1; t->legs[j] != axes[i]; j--) stride *= c->sizes[t->legs[j]];
        for (int64_t s = states - 1; s >= 0; s--)
            for (int64_t k = 0; k < len; k++) out[s * len + k] = out[k] + s * stride;
        len *= states;
    }
    return out;
}

static void give_back(Context *c, int64_t *x) {
    if (x < c->scratch || x >= c->scratch + SCRATCH) free(x);
}

enum { TILE = 64 };

/* Copies t into dst with its axes in `order`. The copy runs over tiles spanned by the axes that are fastest in the source
 * and those that are fastest in the result, so that both use whole cache lines. */
void gather(Context *c, const Table *t, const int32_t *order, double *dst) {
    int64_t used = c->n_scratch;
    int nd = t->nd, n_fast = 0, n_slow = 0;
    int32_t fast[1024] = {0}, slow[1024];
    int64_t inner = 1, outer = 1, span = 1;
    Table d = {.nd = nd, .legs = (int32_t *)(uintptr_t)order};
    for (int i = nd - 1; i >= 0 && span < TILE; i--) span *= c->sizes[order[i]], c->mark[order[i]] = 1;
    span = 1;
    for (int i = nd - 1; i >= 0 && span < TILE; i--) span *= c->sizes[t->legs[i]], c->mark[t->legs[i]] = 1;
    for (int i = 0; i < nd; i++) {
        if (c->mark[order[i]]) fast[n_fast++] = order[i], inner *= c->sizes[order[i]];
        else slow[n_slow++] = order[i], outer *= c->sizes[order[i]];
        c->mark[order[i]] = 0;
    }
    int64_t *from = offsets(c, t, fast, n_fast, inner), *to = offsets(c, &d, fast, n_fast, inner);
    int64_t at[1024], src_stride[1024], dst_stride[1024], src = 0, out = 0;
    for (int i = 0; i < n_slow; i++) {
        at[i] = 0, src_stride[i] = 1, dst_stride[i] = 1;
        for (int j = nd - 1; t->legs[j] != slow[i]; j--) src_stride[i] *= c->sizes[t->legs[j]];
        for (int j = nd - 1; order[j] != slow[i]; j--) dst_stride[i] *= c->sizes[order[j]];
    }
    int straight = 1;
    for (int64_t i = 0; i < inner && straight; i++) straight = from[i] == i && to[i] == i;
    for (int64_t o = 0; o < outer; o++) {
        const double *x = t->x + src;
        double *y = dst + out;
        if (straight) memcpy(y, x, sizeof(double) * (size_t)inner);
        else
            for (int64_t i = 0; i < inner; i++) y[to[i]] = x[from[i]];
        for (int i = n_slow - 1; i >= 0; i--) {
            src += src_stride[i], out += dst_stride[i];
            if (++at[i] < c->sizes[slow[i]]) break;
            src -= src_stride[i] * at[i], out -= dst_stride[i] * at[i];
            at[i] = 0;
        }
    }
    give_back(c, from), give_back(c, to);
    c->n_scratch = used;
}

/* c[m][n] = sum over k of a[am[m] + ak[k]] b[bk[k] + n]: the left operand and the rows of the right one may lie
 * anywhere, rows of the result are `row` apart. The last vectors of a row overlap those before rather than be short. */
static void block_product(const double *a, const int64_t *am, const int64_t *ak, const double *b, const int64_t *bk,
                          double *c, int64_t row, int64_t M, int64_t K, int64_t N) {
    int64_t m = 0, n;
    if (N < 8) {
        for (; m < M; m++)
            for (n = 0; n < N; n++) {
                double s = 0;
                for (int64_t k = 0; k < K; k++) s += a[am[m] + ak[k]] * b[bk[k] + n];
                c[m * row + n] = s;
            }
        return;
    }
    for (; m + 4 <= M; m += 4) {
        const double *a0 = a + am[m], *a1 = a + am[m + 1], *a2 = a + am[m + 2], *a3 = a + am[m + 3];
        for (int64_t at = 0; at < N; at += 8) {
            n = at + 8 <= N ? at : N - 8;
            v4 s00 = {0}, s01 = {0}, s10 = {0}, s11 = {0}, s20 = {0}, s21 = {0}, s30 = {0}, s31 = {0};
            for (int64_t k = 0; k < K; k++) {
                const double *p = b + bk[k] + n;
                int64_t o = ak[k];
                v4 b0 = *(const v4 *)p, b1 = *(const v4 *)(p + 4), w;
                w = a0[o] - (v4){0}, s00 += w * b0, s01 += w * b1;
                w = a1[o] - (v4){0}, s10 += w * b0, s11 += w * b1;
                w = a2[o] - (v4){0}, s20 += w * b0, s21 += w * b1;
                w = a3[o] - (v4){0}, s30 += w * b0, s31 += w * b1;
            }
            double *z = c + m * row + n;
            *(v4 *)z = s00, *(v4 *)(z + 4) = s01;
            *(v4 *)(z + row) = s10, *(v4 *)(z + row + 4) = s11;
            *(v4 *)(z + 2 * row) = s20, *(v4 *)(z + 2 * row + 4) = s21;
            *(v4 *)(z + 3 * row) = s30, *(v4 *)(z + 3 * row + 4) = s31;
        }
    }
    for (; m < M; m++) {
        const double *a0 = a + am[m];
        for (int64_t at = 0; at < N; at += 8) {
            n = at + 8 <= N ? at : N - 8;
            v4 s0 = {0}, s1 = {0};
            for (int64_t k = 0; k < K; k++) {
                const double *p = b + bk[k] + n;
                v4 w = a0[ak[k]] - (v4){0};
                s0 += w * *(const v4 *)p, s1 += w * *(const v4 *)(p + 4);
            }
            *(v4 *)(c + m * row + n) = s0, *(v4 *)(c + m * row + n + 4) = s1;
        }
    }
}

/* c[m][n] = sum over k of a[m][k] b[n][k]. */
static void dot_product(const double *a, const double *b, double *c, int64_t M, int64_t K, int64_t N) {
    for (int64_t m = 0; m < M; m++)
        for (int64_t n = 0; n < N; n++) {
            const double *x = a + m * K, *y = b + n * K;
            v4 acc = {0};
            int64_t k = 0;
            for (; k + 4 <= K; k += 4) acc += *(const v4 *)(x + k) * *(const v4 *)(y + k);
            double s = acc[0] + acc[1] + acc[2] + acc[3];
            for (; k < K; k++) s += x[k] * y[k];
            c[m * N + n] = s;
        }
}

/* c[:] += x[:] y[:], or c[:] = x[:] y[:] the first time. */
static inline void vector_product(const double *x, const double *y, double *z, int64_t len, int first) {
    if (first)
        for (int64_t v = 0; v < len; v++) z[v] = x[v] * y[v];
    else
        for (int64_t v = 0; v < len; v++) z[v] += x[v] * y[v];
}

static void max_product(const double *a, const double *b, double *c, int64_t M, int64_t K, int64_t N) {
    for (int64_t m = 0; m < M; m++) {
        double *z = c + m * N;
        for (int64_t n = 0; n < N; n++) z[n] = -INFINITY;
        for (int64_t k = 0; k < K; k++) {
            double s = a[m * K + k];
            const double *y = b + k * N;
            for (int64_t n = 0; n < N; n++) {
                double t = s + y[n];
                z[n] = t > z[n] ? t : z[n];
            }
        }
    }
}

static void log_product(const double *a, const double *b, double *c, int64_t M, int64_t K, int64_t N) {
    for (int64_t m = 0; m < M; m++)
        for (int64_t n = 0; n < N; n++) {
            const double *x = a + m * K;
            double top = -INFINITY, sum = 0;
            for (int64_t k = 0; k < K; k++) {
                double t = x[k] + b[k * N + n];
                if (t > top) top = t;
            }
            if (top > -INFINITY)
                for (int64_t k = 0; k < K; k++) sum += exp(x[k] + b[k * N + n] - top);
            c[m * N + n] = top > -INFINITY ? top + log(sum) : top;
        }
}

/* Scales by powers of two so that the largest entry (of each evidence row) stays near one. */
void normalize(Context *c, Table *t) {
    if (c->semiring != SUM_PRODUCT) return;
    double least = INFINITY;
    if (t->nd && t->legs[t->nd - 1] == c->row) {
        int64_t R = c->n_rows, lead = t->size / R;
        double *top = calloc((size_t)R, sizeof(double));
        for (int64_t i = 0; i < lead; i++) {
            const double *x = t->x + i * R;
            for (int64_t r = 0; r < R; r++) top[r] = x[r] > top[r] ? x[r] : top[r];
        }
        int any = 0;
        for (int64_t r = 0; r < R; r++) {
            int e = 0;
            if (top[r] > 0) frexp(top[r], &e);
            if (e > -64 && e < 64) e = 0;
            any |= e;
            t->row_exponent[r] += e;
            top[r] = ldexp(1.0, -e);
        }
        for (int64_t i = 0; i < lead; i++) {
            double *x = t->x + i * R;
            if (any)
                for (int64_t r = 0; r < R; r++) x[r] *= top[r];
            for (int64_t r = 0; r < R; r++) {
                double y = x[r] > 0 ? x[r] : INFINITY;
                least = y < least ? y : least;
            }
        }
        free(top);
        t->least = least;
        return;
    }
    double top = 0;
    for (int64_t i = 0; i < t->size; i++) {
        double x = t->x[i], y = x > 0 ? x : INFINITY;
        top = x > top ? x : top;
        least = y < least ? y : least;
    }
    t->least = least;
    if (top <= 0) return;
    int e;
    frexp(top, &e);
    if (e > -64 && e < 64) return;
    if (e < -1000) { /* 2^-e itself would overflow */
        for (int64_t i = 0; i < t->size; i++) t->x[i] = ldexp(t->x[i], -e);
    } else {
        double s = ldexp(1.0, -e);
        for (int64_t i = 0; i < t->size; i++) t->x[i] *= s;
    }
    t->exponent += e;
    t->least = ldexp(least, -e);
    t->slip = ldexp(t->slip, -e);
    if (t->least < TINY) c->risky = 1, t->slip += SUBNORMAL;
}

typedef struct {
    int32_t m[1024], n[1024], k[1024], v[1024];
    int nm, nn, nk, nv;
    int64_t M, N, K, V;
} Groups;

static void classify(Context *c, const Table *a, const Table *b, const uint8_t *drop, Groups *g) {
    g->nm = g->nn = g->nk = g->nv = 0;
    g->M = g->N = g->K = g->V = 1;
    const Table *big = a->size >= b->size ? a : b, *small = big == a ? b : a;
    for (int i = 0; i < small->nd; i++) c->mark[small->legs[i]] = 1;
    for (int i = 0; i < big->nd; i++) {
        int v = big->legs[i];
        int64_t s = c->sizes[v];
        if (c->mark[v]) {
            c->mark[v] = 2;
            if (drop[v]) g->k[g->nk++] = v, g->K *= s;
            else g->v[g->nv++] = v, g->V *= s;
        } else if (big == a) g->m[g->nm++] = v, g->M *= s;
        else g->n[g->nn++] = v, g->N *= s;
    }
    for (int i = 0; i < small->nd; i++) {
        int v = small->legs[i];
        int64_t s = c->sizes[v];
        if (c->mark[v] == 1) {
            if (small == a) g->m[g->nm++] = v, g->M *= s;
            else g->n[g->nn++] = v, g->N *= s;
        }
        c->mark[v] = 0;
    }
}

static int32_t *concat(int32_t *out, const int32_t *x, int nx, const int32_t *y, int ny, const int32_t *z, int nz) {
    memcpy(out, x, sizeof(int32_t) * (size_t)nx);
    memcpy(out + nx, y, sizeof(int32_t) * (size_t)ny);
    memcpy(out + nx + ny, z, sizeof(int32_t) * (size_t)nz);
    return out;
}

/* The operand in the wanted order: itself if it has that already, else a copy (freed by the caller). */
static const double *ordered(Context *c, const Table *t, const int32_t *order, double **copy) {
    *copy = NULL;
    int same = 1;
    for (int i = 0; i < t->nd && same; i++) same = t->legs[i] == order[i];
    if (same) return t->x;
    *copy = table_alloc(c, t->size);
    gather(c, t, order, *copy);
    return *copy;
}

static void add_exponents(Context *c, const Table *a, const Table *b, Table *out) {
    out->exponent = a->exponent + b->exponent;
    if (!(out->nd && out->legs[out->nd - 1] == c->row)) return;
    out->row_exponent = malloc(sizeof(double) * (size_t)c->n_rows);
    for (int64_t r = 0; r < c->n_rows; r++)
        out->row_exponent[r] = (a->row_exponent ? a->row_exponent[r] : 0) + (b->row_exponent ? b->row_exponent[r] : 0);
}

/* How many of the last axes of t are among `axes`, and their joint size. */
static int suffix(const Context *c, const Table *t, const int32_t *axes, int n, int64_t *size) {
    int len = 0;
    *size = 1;
    for (int i = 0; i < n; i++) c->mark[axes[i]] = 1;
    while (len < t->nd && c->mark[t->legs[t->nd - 1 - len]]) *size *= c->sizes[t->legs[t->nd - 1 - len++]];
    for (int i = 0; i < n; i++) c->mark[axes[i]] = 0;
    return len;
}

/* Axes without those that end t, then those in t's order. */
static void move_last(const Context *c, const Table *t, int len, int32_t *axes, int n) {
    int32_t out[1024];
    int k = 0;
    for (int i = 0; i < len; i++) c->mark[t->legs[t->nd - len + i]] = 1;
    for (int i = 0; i < n; i++)
        if (!c->mark[axes[i]]) out[k++] = axes[i];
    for (int i = 0; i < len; i++) c->mark[t->legs[t->nd - len + i]] = 0, out[k++] = t->legs[t->nd - len + i];
    memcpy(axes, out, sizeof(int32_t) * (size_t)n);
}

static void swap_operands(const Table **a, const Table **b, Groups *g) {
    Groups h = *g;
    const Table *t = *a;
    *a = *b, *b = t;
    memcpy(g->m, h.n, sizeof(int32_t) * (size_t)h.nn), g->nm = h.nn, g->M = h.N;
    memcpy(g->n, h.m, sizeof(int32_t) * (size_t)h.nm), g->nn = h.nm, g->N = h.M;
}

/* Reorders t if its axes are not in this order; `hold` owns the copy. */
static const Table *reordered(Context *c, const Table *t, const int32_t *order, Table *hold) {
    *hold = *t;
    hold->owned = 0;
    hold->x = (double *)(uintptr_t)ordered(c, t, order, &hold->row_exponent);
    if (!hold->row_exponent) return t;
    hold->row_exponent = NULL;
    hold->legs = (int32_t *)(uintptr_t)order;
    hold->owned = 1;
    return hold;
}

static void multiply_blocks(Context *c, const Table *a, const Table *b, Groups *g, Table *out) {
    int64_t n0, wide = g->N;
    int32_t order[1024];
    Table hold = {0};
    int len = suffix(c, b, g->n, g->nn, &n0);
    if (n0 < 8 && n0 < g->N) {
        b = reordered(c, b, concat(order, g->v, g->nv, g->k, g->nk, g->n, g->nn), &hold);
        len = suffix(c, b, g->n, g->nn, &n0);
    }
    move_last(c, b, len, g->n, g->nn);
    concat(out->legs, g->v, g->nv, g->m, g->nm, g->n, g->nn);
    out->x = table_alloc(c, out->size);
    int64_t *am = offsets(c, a, g->m, g->nm, g->M), *ak = offsets(c, a, g->k, g->nk, g->K);
    int64_t *av = offsets(c, a, g->v, g->nv, g->V), *bv = offsets(c, b, g->v, g->nv, g->V);
    int64_t *bk = offsets(c, b, g->k, g->nk, g->K), *bn = offsets(c, b, g->n, g->nn - len, wide / n0);
    for (int64_t v = 0; v < g->V; v++)
        for (int64_t n = 0; n < wide; n += n0)
            block_product(a->x + av[v], am, ak, b->x + bv[v] + bn[n / n0], bk, out->x + v * g->M * wide + n, wide, g->M,
                          g->K, n0);
    give_back(c, am), give_back(c, ak), give_back(c, av), give_back(c, bv), give_back(c, bk), give_back(c, bn);
    if (hold.owned) table_release(c, hold.x);
}

enum { VECTOR = 1024 };

/* The axes both end with, in the same order and kept in the result: what the vectors run along. */
static int common_suffix(const Context *c, const Table *a, const Table *b, const Groups *g, int64_t *size) {
    int len = 0;
    *size = 1;
    for (int i = 0; i < g->nv; i++) c->mark[g->v[i]] = 1;
    while (len < a->nd && len < b->nd) {
        int v = a->legs[a->nd - 1 - len];
        if (v != b->legs[b->nd - 1 - len] || !c->mark[v]) break;
        *size *= c->sizes[v];
        len++;
    }
    for (int i = 0; i < g->nv; i++) c->mark[g->v[i]] = 0;
    return len;
}

static void multiply_along(Context *c, const Table *a, const Table *b, Groups *g, Table *out) {
    int64_t v0;
    int32_t oa[1024], ob[1024];
    Table ha = {0}, hb = {0};
    int len = common_suffix(c, a, b, g, &v0);
    if (v0 < 16 && v0 < g->V) {
        a = reordered(c, a, concat(oa, g->m, g->nm, g->k, g->nk, g->v, g->nv), &ha);
        b = reordered(c, b, concat(ob, g->k, g->nk, g->n, g->nn, g->v, g->nv), &hb);
        len = common_suffix(c, a, b, g, &v0);
    }
    move_last(c, a, len, g->v, g->nv);
    concat(out->legs, g->m, g->nm, g->n, g->nn, g->v, g->nv);
    out->x = table_alloc(c, out->size);
    int64_t *am = offsets(c, a, g->m, g->nm, g->M), *ak = offsets(c, a, g->k, g->nk, g->K);
    int64_t *bk = offsets(c, b, g->k, g->nk, g->K), *bn = offsets(c, b, g->n, g->nn, g->N);
    int64_t *av = offsets(c, a, g->v, g->nv - len, g->V / v0), *bv = offsets(c, b, g->v, g->nv - len, g->V / v0);
    for (int64_t v = 0; v < g->V / v0; v++)
        for (int64_t t = 0; t < v0; t += VECTOR) {
            int64_t width = v0 - t < VECTOR ? v0 - t : VECTOR;
            for (int64_t m = 0; m < g->M; m++)
                for (int64_t n = 0; n < g->N; n++) {
                    double *z = out->x + (m * g->N + n) * g->V + v * v0 + t;
                    const double *x = a->x + am[m] + av[v] + t, *y = b->x + bn[n] + bv[v] + t;
                    for (int64_t k = 0; k < g->K; k++) vector_product(x + ak[k], y + bk[k], z, width, k == 0);
                }
        }
    give_back(c, am), give_back(c, ak), give_back(c, bk), give_back(c, bn), give_back(c, av), give_back(c, bv);
    if (ha.owned) table_release(c, ha.x);
    if (hb.owned) table_release(c, hb.x);
}

/* Both operands in matrix order: for BLAS, for inner products, and for the semirings that need no speed. */
static void multiply_ordered(Context *c, const Table *a, const Table *b, Groups *g, Table *out, int dot) {
    int32_t oa[1024], ob[1024];
    double *ca, *cb;
    concat(out->legs, g->v, g->nv, g->m, g->nm, g->n, g->nn);
    const double *x = ordered(c, a, concat(oa, g->v, g->nv, g->m, g->nm, g->k, g->nk), &ca), *y;
    if (dot) y = ordered(c, b, concat(ob, g->v, g->nv, g->n, g->nn, g->k, g->nk), &cb);
    else y = ordered(c, b, concat(ob, g->v, g->nv, g->k, g->nk, g->n, g->nn), &cb);
    out->x = table_alloc(c, out->size);
    if (c->semiring == SUM_PRODUCT && !dot) c->matmul(x, y, out->x, g->V, g->M, g->K, g->N);
    else
        for (int64_t v = 0; v < g->V; v++) {
            const double *p = x + v * g->M * g->K, *q = y + v * g->K * g->N;
            double *z = out->x + v * g->M * g->N;
            if (c->semiring == MAX_PLUS) max_product(p, q, z, g->M, g->K, g->N);
            else if (c->semiring == LOG_SUM_EXP) log_product(p, q, z, g->M, g->K, g->N);
            else dot_product(p, q, z, g->M, g->K, g->N);
        }
    if (ca) table_release(c, ca);
    if (cb) table_release(c, cb);
}

/* Which side runs along the vectors: that of the evidence rows, else the one that needs no reordering, else the longer. */
static int should_swap(const Context *c, const Table *a, const Table *b, const Groups *g) {
    int64_t m0, n0;
    if (g->nm && g->m[g->nm - 1] == c->row) return 1;
    if (g->nn && g->n[g->nn - 1] == c->row) return 0;
    suffix(c, a, g->m, g->nm, &m0);
    suffix(c, b, g->n, g->nn, &n0);
    if (n0 >= 8 || m0 >= 8) return m0 > n0;
    return g->M > g->N;
}

void contract(Context *c, const Table *a, const Table *b, const uint8_t *drop, Table *out) {
    Groups g;
    c->n_scratch = 0;
    classify(c, a, b, drop, &g);
    if (should_swap(c, a, b, &g)) swap_operands(&a, &b, &g);
    out->nd = g.nm + g.nn + g.nv;
    out->size = g.M * g.N * g.V;
    out->legs = malloc(sizeof(int32_t) * (size_t)(out->nd + 1));
    out->owned = 1;
    out->row_exponent = NULL;
    out->slip = 0;
    int row_v = g.nv && g.v[g.nv - 1] == c->row, row_n = g.nn && g.n[g.nn - 1] == c->row;
    if (c->semiring != SUM_PRODUCT) {
        multiply_ordered(c, a, b, &g, out, 0);
    } else {
        if (a->least * b->least < TINY) c->risky = 1, out->slip = (double)g.K * SUBNORMAL;
        if (row_v || (!row_n && g.N < 8 && g.V >= 8 && g.K < 32)) multiply_along(c, a, b, &g, out);
        else if (!row_n && g.N < 8 && g.K >= 4) multiply_ordered(c, a, b, &g, out, 1);
        else if (c->matmul && g.M >= 64 && g.K >= 64 && g.N >= 64 && g.M * g.K * g.N >= BLAS_FROM) multiply_ordered(c, a, b, &g, out, 0);
        else multiply_blocks(c, a, b, &g, out);
    }
    add_exponents(c, a, b, out);
    normalize(c, out);
}
