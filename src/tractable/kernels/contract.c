/* Contraction of two tables, lowered to a batched matrix product or, where the shared kept axes are long, to vector
 * products along them. Operands are copied into the order the kernel wants only when they do not have it already. */
#include "tensor.h"

enum { BLAS_FROM = 1 << 21 };

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
    out->row_exponent = grab(sizeof(double) * (size_t)c->n_rows);
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
    int32_t axes[1024];
    int len = g->nm;
    int64_t size = g->M;
    const Table *t = *a;
    *a = *b, *b = t;
    memcpy(axes, g->m, sizeof(int32_t) * (size_t)len);
    memcpy(g->m, g->n, sizeof(int32_t) * (size_t)g->nn), g->nm = g->nn, g->M = g->N;
    memcpy(g->n, axes, sizeof(int32_t) * (size_t)len), g->nn = len, g->N = size;
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

enum { BLOCK = 1 << 22 }; /* multiply-adds between two looks at the caller, or four rows of so many columns */

/* `block_product` in pieces of rows, and of columns where four rows are long; none is narrower than a vector. */
static void blocks(const double *a, const int64_t *am, const int64_t *ak, const double *b, const int64_t *bk, double *c,
                   int64_t row, int64_t M, int64_t K, int64_t N) {
    int64_t width = BLOCK / K / 8 * 8 + 8;
    for (int64_t n = 0, to; n < N; n = to) {
        to = N - n < 2 * width ? N : n + width;
        int64_t height = BLOCK / K / (to - n) / 4 * 4 + 4;
        for (int64_t m = 0; m < M; m += height) {
            int64_t rows = M - m < height ? M - m : height;
            block_product(a, am + m, ak, b + n, bk, c + m * row + n, row, rows, K, to - n);
            if (rows < M || to < N) region_worked(rows * K * (to - n));
        }
    }
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
    IN_PIECES(v, g->V, g->M * g->K * wide)
        for (int64_t n = 0; n < wide; n += n0)
            blocks(a->x + av[v], am, ak, b->x + bv[v] + bn[n / n0], bk, out->x + v * g->M * wide + n, wide, g->M, g->K, n0);
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
            IN_PIECES(m, g->M, g->N * g->K * width)
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
    if (c->semiring == SUM_PRODUCT && !dot) {
        region_ask(&(Question){x, y, out->x, g->V, g->M, g->K, g->N, 0});
    } else
        IN_PIECES(v, g->V, g->M * g->K * g->N) {
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

/* The smallest positive entry itself, not a bound. */
static double least(const Table *t) {
    double low, high;
    extent(t->x, t->size, &low, &high);
    return low;
}

void contract(Context *c, const Table *a, const Table *b, const uint8_t *drop, Table *out) {
    Groups g;
    c->n_scratch = 0;
    region_worked(REGION_LITTLE);
    classify(c, a, b, drop, &g);
    if (should_swap(c, a, b, &g)) swap_operands(&a, &b, &g);
    out->nd = g.nm + g.nn + g.nv;
    out->size = g.M * g.N * g.V;
    out->legs = grab(sizeof(int32_t) * (size_t)(out->nd + 1));
    out->owned = 1;
    out->row_exponent = NULL;
    out->slip = 0;
    int row_v = g.nv && g.v[g.nv - 1] == c->row, row_n = g.nn && g.n[g.nn - 1] == c->row;
    if (c->semiring != SUM_PRODUCT) {
        multiply_ordered(c, a, b, &g, out, 0);
    } else {
        if (a->least * b->least < TINY && least(a) * least(b) < TINY) c->risky = 1, out->slip = (double)g.K * SUBNORMAL;
        if (row_v || (!row_n && g.N < 8 && g.V >= 8 && g.K < 32)) multiply_along(c, a, b, &g, out);
        else if (!row_n && g.N < 8 && g.K >= 4) multiply_ordered(c, a, b, &g, out, 1);
        else if (c->blas && g.M >= 64 && g.K >= 64 && g.N >= 64 && g.M * g.K * g.N >= BLAS_FROM) multiply_ordered(c, a, b, &g, out, 0);
        else multiply_blocks(c, a, b, &g, out);
    }
    add_exponents(c, a, b, out);
    out->least = a->least * b->least;
    out->most = (double)g.K * a->most * b->most;
    normalize(c, out);
}
