/* Tests of enumerate_best.c: the best states against all of them, one by one in long doubles. */
#include "enumerate_best.c"

#include "check.h"

static Maximum random_maximum(int64_t n, int64_t m, int64_t beyond, int coupled) {
    double *coupling = coupled ? ZEROS(double, n * n) : NULL, *fields = normals(m + beyond, 1);
    double *weights = normals(n * (m + beyond), 1);
    for (int64_t k = m; k < m + beyond; k++) fields[k] = -INFINITY;
    for (int64_t i = 0; i < n * coupled; i++)
        for (int64_t j = 0; j < i; j++) coupling[i * n + j] = coupling[j * n + i] = random_unit() - 0.5;
    return (Maximum){n, m + beyond, weights, normals(n, 1), fields, coupling};
}

static long double value_of(const Maximum *a, int64_t state) {
    long double value = 0;
    for (int64_t i = 0; i < a->n; i++) {
        if (!(state >> i & 1)) continue;
        value += a->linear[i];
        for (int64_t j = 0; j < i && a->coupling; j++)
            if (state >> j & 1) value += a->coupling[i * a->n + j];
    }
    for (int64_t k = 0; k < a->m; k++) {
        long double theta = a->fields[k];
        for (int64_t i = 0; i < a->n; i++)
            if (state >> i & 1) theta += a->weights[i * a->m + k];
        value += theta > 0 ? theta : 0;
    }
    return value;
}

static int downward(const void *x, const void *y) {
    long double a = *(const long double *)x, b = *(const long double *)y;
    return (a < b) - (a > b);
}

static int down(const void *x, const void *y) {
    double a = *(const double *)x, b = *(const double *)y;
    return (a < b) - (a > b);
}

static void check(const Maximum *a, int64_t first, int64_t last, int64_t n) {
    double *values = TAKE(double, n);
    int64_t *states = TAKE(int64_t, n);
    long double *all = TAKE(long double, last - first);
    CHECK(enumerate_best(a, first, last, n, values, states, NULL) == 0);
    for (int64_t s = first; s < last; s++) all[s - first] = value_of(a, s);
    qsort(all, (size_t)(last - first), sizeof *all, downward);
    for (int64_t i = 0; i < n; i++) {
        CHECK(states[i] >= first && states[i] < last);
        CHECK_NEAR(values[i], value_of(a, states[i]), 1e-10);
        for (int64_t j = 0; j < i; j++) CHECK(states[i] != states[j]);
    }
    qsort(values, (size_t)n, sizeof *values, down);
    for (int64_t i = 0; i < n; i++) CHECK_NEAR(values[i], all[i], 1e-10);
}

static void test_memory(void) {
    Maximum a = random_maximum(5, 8, 0, 1);
    double value[3];
    int64_t state[3];
    RUNS_OUT(enumerate_best(&a, 0, 32, 3, value, state, NULL), NO_MEMORY, 0);
    release();
}

int main(void) {
    test_memory();
    for (int coupled = 0; coupled < 2; coupled++)
        for (int64_t n = 0; n < 8; n++)
            for (int64_t m = 0; m <= 16; m += 8)
                for (int64_t wanted = 1; wanted <= 1 << n; wanted = 3 * wanted + 1) {
                    Maximum a = random_maximum(n, m > 3 ? m - 3 : m, m > 3 ? 3 : 0, coupled);
                    check(&a, 0, 1 << n, wanted);
                    release();
                }
    Maximum a = random_maximum(14, 8, 0, 1); /* more blocks than one, and some of them */
    check(&a, 0, 1 << 14, 9);
    check(&a, 1 << 12, 3 << 12, 30);
    release();
    return 0;
}
