/* The loops of a product of two tables: over blocks, along inner products, along vectors, and in the other semirings. */
#include "tensor.h"

typedef double v4 __attribute__((vector_size(32), aligned(8)));
typedef int64_t l4 __attribute__((vector_size(32), aligned(8)));

static inline v4 either(l4 mask, v4 a, v4 b) { return (v4)((mask & (l4)a) | (~mask & (l4)b)); }

static void extent_of(const double *x, int64_t size, double *least, double *most) {
    v4 none = {INFINITY, INFINITY, INFINITY, INFINITY}, low = none, high = {0};
    int64_t i = 0;
    for (; i + 4 <= size; i += 4) {
        v4 y = *(const v4 *)(x + i), z = either(y > (v4){0}, y, none);
        low = either(z < low, z, low);
        high = either(y > high, y, high);
    }
    for (int k = 0; k < 4; k++) {
        if (low[k] < *least) *least = low[k];
        if (high[k] > *most) *most = high[k];
    }
    for (; i < size; i++) {
        if (x[i] > 0 && x[i] < *least) *least = x[i];
        if (x[i] > *most) *most = x[i];
    }
}

void extent(const double *x, int64_t size, double *least, double *most) {
    *least = INFINITY, *most = 0;
    for (int64_t from = 0, to; from < size; from = to) {
        to = region_piece(from, size, 1);
        extent_of(x + from, to - from, least, most);
    }
}

/* c[m][n] = sum over k of a[am[m] + ak[k]] b[bk[k] + n]: the left operand and the rows of the right one may lie
 * anywhere, rows of the result are `row` apart. The last vectors of a row overlap those before rather than be short. */
void block_product(const double *a, const int64_t *am, const int64_t *ak, const double *b, const int64_t *bk,
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
void dot_product(const double *a, const double *b, double *c, int64_t M, int64_t K, int64_t N) {
    IN_PIECES(m, M, K * N)
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

void max_product(const double *a, const double *b, double *c, int64_t M, int64_t K, int64_t N) {
    IN_PIECES(m, M, K * N) {
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

void log_product(const double *a, const double *b, double *c, int64_t M, int64_t K, int64_t N) {
    IN_PIECES(m, M, 16 * K * N)
        IN_PIECES(n, N, 16 * K) {
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
