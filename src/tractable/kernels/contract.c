/* Contraction of two tables, lowered to a batched matrix product or, where the shared kept axes are long, to vector
 * products along them. Operands are copied into the order the kernel wants only when they do not have it already. */
#include "tensor.h"

typedef double v4 __attribute__((vector_size(32), aligned(8)));

double *table_alloc(Context *c, int64_t entries) {
    c->live += 8 * entries;
    if (c->live > c->peak) c->peak = c->live;
    return malloc(sizeof(double) * (size_t)(entries ? entries : 1));
}

void table_release(Context *c, double *x, int64_t entries) {
    c->live -= 8 * entries;
    free(x);
}

void table_free(Context *c, Table *t) {
    if (t->owned && t->x) table_release(c, t->x, t->size);
    free(t->row_exponent);
    free(t->legs);
    memset(t, 0, sizeof *t);
}

enum { INNER = 2048 };

/* Copies t into dst with its axes in `order`: an offset table for the fast axes, an odometer over the slow ones. */
void gather(const Context *c, const Table *t, const int32_t *order, double *dst) {
    int nd = t->nd;
    int64_t stride[1024], at[1024], off[INNER], inner = 1, base = 0, done = 0;
    for (int i = 0; i < nd; i++) {
        int64_t s = 1;
        for (int j = nd - 1; t->legs[j] != order[i]; j--) s *= c->sizes[t->legs[j]];
        stride[i] = s;
        at[i] = 0;
    }
    int split = nd, straight = 1;
    off[0] = 0;
    while (split > 0) {
        int64_t size = c->sizes[order[split - 1]];
        if (inner * size > INNER) break;
        split--;
        straight = straight && stride[split] == inner;
        for (int64_t s = size - 1; s >= 0; s--)
            for (int64_t i = 0; i < inner; i++) off[s * inner + i] = off[i] + s * stride[split];
        inner *= size;
    }
    while (done < t->size) {
        const double *src = t->x + base;
        if (straight) memcpy(dst + done, src, sizeof(double) * (size_t)inner);
        else
            for (int64_t i = 0; i < inner; i++) dst[done + i] = src[off[i]];
        done += inner;
        for (int i = split - 1; i >= 0; i--) {
            base += stride[i];
            if (++at[i] < c->sizes[order[i]]) break;
            base -= stride[i] * at[i];
            at[i] = 0;
        }
    }
}

/* c[m][n] = sum over k of a[m][k] b[k][n]; a's rows are `ra` apart and its columns `ca`. */
static void block_product(const double *a, int64_t ra, int64_t ca, const double *b, double *c, int64_t M, int64_t K,
                          int64_t N) {
    int64_t m = 0;
    for (; m + 4 <= M; m += 4) {
        int64_t n = 0;
        for (; n + 8 <= N; n += 8) {
            v4 acc[4][2] = {{{0}}};
            for (int64_t k = 0; k < K; k++) {
                const double *bk = b + k * N + n, *ak = a + m * ra + k * ca;
                v4 b0 = *(const v4 *)bk, b1 = *(const v4 *)(bk + 4);
                for (int i = 0; i < 4; i++) {
                    double s = ak[i * ra];
                    v4 w = {s, s, s, s};
                    acc[i][0] += w * b0;
                    acc[i][1] += w * b1;
                }
            }
            for (int i = 0; i < 4; i++) {
                *(v4 *)(c + (m + i) * N + n) = acc[i][0];
                *(v4 *)(c + (m + i) * N + n + 4) = acc[i][1];
            }
        }
        for (; n < N; n++) {
            double acc[4] = {0};
            for (int64_t k = 0; k < K; k++)
                for (int i = 0; i < 4; i++) acc[i] += a[(m + i) * ra + k * ca] * b[k * N + n];
            for (int i = 0; i < 4; i++) c[(m + i) * N + n] = acc[i];
        }
    }
    for (; m < M; m++) {
        int64_t n = 0;
        for (; n + 8 <= N; n += 8) {
            v4 acc0 = {0}, acc1 = {0};
            for (int64_t k = 0; k < K; k++) {
                double s = a[m * ra + k * ca];
                v4 w = {s, s, s, s};
                acc0 += w * *(const v4 *)(b + k * N + n);
                acc1 += w * *(const v4 *)(b + k * N + n + 4);
            }
            *(v4 *)(c + m * N + n) = acc0;
            *(v4 *)(c + m * N + n + 4) = acc1;
        }
        for (; n < N; n++) {
            double acc = 0;
            for (int64_t k = 0; k < K; k++) acc += a[m * ra + k * ca] * b[k * N + n];
            c[m * N + n] = acc;
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

/* c[m][n][:] = sum over k of a[m][k][:] b[k][n][:] along the shared kept axes, in blocks that stay in cache. */
static void vector_product(const double *a, const double *b, double *c, int64_t V, int64_t M, int64_t K, int64_t N) {
    for (int64_t v0 = 0; v0 < V; v0 += 1024) {
        int64_t len = V - v0 < 1024 ? V - v0 : 1024;
        for (int64_t m = 0; m < M; m++)
            for (int64_t n = 0; n < N; n++) {
                double *z = c + (m * N + n) * V + v0;
                for (int64_t k = 0; k < K; k++) {
                    const double *x = a + (m * K + k) * V + v0, *y = b + (k * N + n) * V + v0;
                    if (k == 0)
                        for (int64_t v = 0; v < len; v++) z[v] = x[v] * y[v];
                    else
                        for (int64_t v = 0; v < len; v++) z[v] += x[v] * y[v];
                }
            }
    }
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

void contract(Context *c, const Table *a, const Table *b, const uint8_t *drop, Table *out) {
    Groups g;
    classify(c, a, b, drop, &g);
    int has_row_v = g.nv && g.v[g.nv - 1] == c->row, has_row_m = g.nm && g.m[g.nm - 1] == c->row;
    int has_row_n = g.nn && g.n[g.nn - 1] == c->row;
    if (has_row_m || (!has_row_n && !has_row_v && g.M > g.N)) { /* the longer side, or the row axis, goes last */
        const Table *t = a;
        a = b, b = t;
        int32_t swap[1024];
        memcpy(swap, g.m, sizeof(int32_t) * (size_t)g.nm);
        memcpy(g.m, g.n, sizeof(int32_t) * (size_t)g.nn);
        memcpy(g.n, swap, sizeof(int32_t) * (size_t)g.nm);
        int s = g.nm;
        g.nm = g.nn, g.nn = s;
        int64_t S = g.M;
        g.M = g.N, g.N = S;
    }
    int32_t oa[1024], ob[1024];
    double *ca, *cb;
    out->nd = g.nm + g.nn + g.nv;
    out->size = g.M * g.N * g.V;
    out->legs = malloc(sizeof(int32_t) * (size_t)(out->nd + 1));
    out->owned = 1;
    out->row_exponent = NULL;
    if (c->semiring == SUM_PRODUCT && a->least * b->least < 1e-290) c->risky = 1;
    int along = c->semiring == SUM_PRODUCT && (has_row_v || (g.V > 1 && g.V >= g.N && (g.V >= 16 || g.K == 1)));
    if (along && !has_row_v && g.M >= 16 && g.K >= 16 && g.N >= 16) along = 0;
    if (along) {
        concat(out->legs, g.m, g.nm, g.n, g.nn, g.v, g.nv);
        const double *x = ordered(c, a, concat(oa, g.m, g.nm, g.k, g.nk, g.v, g.nv), &ca);
        const double *y = ordered(c, b, concat(ob, g.k, g.nk, g.n, g.nn, g.v, g.nv), &cb);
        out->x = table_alloc(c, out->size);
        vector_product(x, y, out->x, g.V, g.M, g.K, g.N);
    } else {
        int dot = c->semiring == SUM_PRODUCT && g.N < 8 && g.K >= 4 && !has_row_n;
        concat(out->legs, g.v, g.nv, g.m, g.nm, g.n, g.nn);
        const double *x, *y;
        if (dot) y = ordered(c, b, concat(ob, g.v, g.nv, g.n, g.nn, g.k, g.nk), &cb);
        else y = ordered(c, b, concat(ob, g.v, g.nv, g.k, g.nk, g.n, g.nn), &cb);
        x = ordered(c, a, concat(oa, g.v, g.nv, g.m, g.nm, g.k, g.nk), &ca);
        out->x = table_alloc(c, out->size);
        int64_t mk = g.M * g.K, kn = g.K * g.N, mn = g.M * g.N;
        if (c->semiring == SUM_PRODUCT && !dot && c->matmul && g.M >= 8 && g.K >= 8 && g.N >= 8 && mk * g.N >= 1 << 17)
            c->matmul(x, y, out->x, g.V, g.M, g.K, g.N);
        else
            for (int64_t v = 0; v < g.V; v++) {
                const double *p = x + v * mk, *q = y + v * kn;
                double *z = out->x + v * mn;
                if (c->semiring == MAX_PLUS) max_product(p, q, z, g.M, g.K, g.N);
                else if (c->semiring == LOG_SUM_EXP) log_product(p, q, z, g.M, g.K, g.N);
                else if (dot) dot_product(p, q, z, g.M, g.K, g.N);
                else block_product(p, g.K, 1, q, z, g.M, g.K, g.N);
            }
    }
    if (ca) table_release(c, ca, a->size);
    if (cb) table_release(c, cb, b->size);
    add_exponents(c, a, b, out);
    normalize(c, out);
}
