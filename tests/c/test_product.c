/* Tests of product.c: the loops of products, at all lengths around those of vectors, against plain ones. */
#include "check.h"
#include "tensor.h"

static const int LENGTHS[] = {0, 1, 2, 3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 33};

static void test_extent(void) {
    static const double SPECIAL[] = {0, 0x1p-1074, 1e-300, 1e300, INFINITY, 1};
    for (int i = 0; i < 60; i++) {
        int n = i < LENGTH(LENGTHS) ? LENGTHS[i] : random_below(20);
        double *x = TAKE(double, n), least, most, low = INFINITY, high = 0;
        for (int k = 0; k < n; k++) {
            x[k] = random_below(2) ? random_unit() : SPECIAL[random_below(LENGTH(SPECIAL))];
            if (x[k] > 0 && x[k] < low) low = x[k];
            if (x[k] > high) high = x[k];
        }
        extent(x, n, &least, &most);
        CHECK(least == low && most == high);
        release();
    }
}

/* Operands with offsets as in a table of several axes: rows of `a` and `b` in any order. */
static void test_blocks(int M, int K, int N, int gap) {
    int64_t *am = TAKE(int64_t, M), *ak = TAKE(int64_t, K), *bk = TAKE(int64_t, K), row = N + gap;
    double *a = normals((int64_t)M * K, 1), *b = normals((int64_t)K * N, 1),
           *c = zeros(sizeof(double) * (size_t)(M ? (M - 1) * row + N : 0));
    for (int m = 0; m < M; m++) am[m] = (M - 1 - m) * (int64_t)K;
    for (int k = 0; k < K; k++) ak[k] = K - 1 - k, bk[k] = (int64_t)((k + 1) % K) * N;
    block_product(a, am, ak, b, bk, c, row, M, K, N);
    for (int m = 0; m < M; m++)
        for (int n = 0; n < (m < M - 1 ? row : N); n++) {
            double sum = 0;
            for (int k = 0; k < K && n < N; k++) sum += a[am[m] + ak[k]] * b[bk[k] + n];
            CHECK_NEAR(c[m * row + n], sum, 1e-12);
        }
    release();
}

static void some_infinite(double *x, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        if (random_below(4) == 0) x[i] = -INFINITY;
}

static void test_other_loops(int M, int K, int N) {
    double *a = normals((int64_t)M * K, 1), *b = normals((int64_t)K * N, 1), *t = TAKE(double, K * N),
           *c = TAKE(double, M * N);
    for (int k = 0; k < K; k++)
        for (int n = 0; n < N; n++) t[n * K + k] = b[k * N + n];
    dot_product(a, t, c, M, K, N);
    for (int m = 0; m < M; m++)
        for (int n = 0; n < N; n++) {
            double sum = 0;
            for (int k = 0; k < K; k++) sum += a[m * K + k] * b[k * N + n];
            CHECK_NEAR(c[m * N + n], sum, 1e-12);
        }
    some_infinite(a, (int64_t)M * K), some_infinite(b, (int64_t)K * N);
    for (int scale = 0; scale < 2; scale++) {
        for (int i = 0; i < M * K && scale; i++) a[i] *= 1000; /* exponentials of which leave the doubles */
        max_product(a, b, c, M, K, N);
        for (int m = 0; m < M; m++)
            for (int n = 0; n < N; n++) {
                double most = -INFINITY;
                for (int k = 0; k < K; k++) most = fmax(most, a[m * K + k] + b[k * N + n]);
                CHECK(c[m * N + n] == most);
            }
        log_product(a, b, c, M, K, N);
        for (int m = 0; m < M; m++)
            for (int n = 0; n < N; n++) {
                long double sum = 0;
                for (int k = 0; k < K; k++) sum += expl((long double)a[m * K + k] + b[k * N + n]);
                double expected = (double)logl(sum);
                CHECK_NEAR(c[m * N + n], expected, 1e-12 * (1 + fabs(expected)));
            }
    }
    release();
}

static void test_vectors(int n) {
    double *x = normals(n, 1), *y = normals(n, 1), *z = TAKE(double, n);
    vector_product(x, y, z, n, 1);
    vector_product(y, y, z, n, 0);
    for (int i = 0; i < n; i++) CHECK_NEAR(z[i], x[i] * y[i] + y[i] * y[i], 1e-14 * (1 + fabs(z[i])));
    release();
}

int main(void) {
    test_extent();
    for (int i = 0; i < LENGTH(LENGTHS); i++) {
        test_vectors(LENGTHS[i]);
        for (int M = 0; M <= 9; M += M < 5 ? 1 : 4)
            for (int K = 1; K <= 9; K += 1 + K / 3) {
                test_blocks(M, K, LENGTHS[i], 0);
                test_blocks(M, K, LENGTHS[i], 3);
                test_other_loops(M, K, LENGTHS[i]);
            }
    }
    return 0;
}
