/* Tests of chain_lanes.c: sequences in the lanes of vectors, of which there may be fewer, and rows that are alike. */
#include "chains.h"

int chain_tally(const Chain *c, int64_t first, int64_t last, const Kinds *kinds, double *log_p, int32_t *status,
                double *sums, double *firsts, double *counts, Caller caller);

static int lanes(const Chain *c, double *log_p, double *out, int32_t *status, double *counts) {
    REGION(NULL)
    chain_lanes(c, 0, c->n, log_p, out, status, counts);
    region_leave();
    return 0;
}

static void check_lanes(const Chain *c, const Expected *e) {
    double *log_p = TAKE(double, c->n), *out = TAKE(double, c->n_rows * c->k), *counts = ZEROS(double, c->k * c->k);
    int32_t *status = TAKE(int32_t, c->n);
    CHECK(chain_fits_lanes(c, 0));
    CHECK(lanes(c, log_p, out, status, counts) == 0);
    for (int64_t s = 0; s < c->n; s++) {
        CHECK(status[s] == CHAIN_OK);
        check_log_p(c, e, s, log_p[s]);
        check_rows(c, s, e->smoothed, out);
    }
    check_counts(c, e, counts);
}

/* Rows that are alike, of three kinds: sums by kind. */
static void check_tally(Chain c) {
    enum { KINDS = 3 };
    int64_t k = c.k;
    double *rows = normals(KINDS * k, 3), *each = TAKE(double, c.n_rows * k), *scaled_rows = TAKE(double, KINDS * k);
    double *shifts = TAKE(double, KINDS), *sums = ZEROS(double, KINDS * k), *firsts = ZEROS(double, k),
           *counts = ZEROS(double, k * k);
    double *log_p = TAKE(double, c.n);
    int32_t *kind = TAKE(int32_t, c.n_rows), *status = TAKE(int32_t, c.n);
    for (int64_t t = 0; t < c.n_rows; t++) {
        kind[t] = random_below(KINDS);
        memcpy(each + t * k, rows + kind[t] * k, sizeof(double) * (size_t)k);
    }
    for (int64_t i = 0; i < KINDS; i++) {
        shifts[i] = -INFINITY;
        for (int64_t j = 0; j < k; j++) shifts[i] = fmax(shifts[i], rows[i * k + j]);
        for (int64_t j = 0; j < k; j++) scaled_rows[i * k + j] = exp(rows[i * k + j] - shifts[i]);
    }
    c.log_likelihood = each;
    Expected e = expect(&c);
    CHECK(chain_tally(&c, 0, c.n, &(Kinds){KINDS, kind, scaled_rows, shifts}, log_p, status, sums, firsts, counts,
                      NULL) == 0);
    long double *expected = ZEROS(long double, (KINDS + 1) * k);
    for (int64_t s = 0; s < c.n; s++) {
        CHECK(status[s] == CHAIN_OK);
        check_log_p(&c, &e, s, log_p[s]);
        for (int64_t t = c.offsets[s]; t < c.offsets[s + 1]; t++)
            for (int64_t j = 0; j < k; j++) {
                expected[kind[t] * k + j] += c.weights[s] * e.smoothed[t * k + j];
                if (t == c.offsets[s]) expected[KINDS * k + j] += c.weights[s] * e.smoothed[t * k + j];
            }
    }
    for (int64_t i = 0; i < KINDS * k; i++) CHECK_NEAR(sums[i], expected[i], 1e-10 * (1 + (double)c.n_rows));
    for (int64_t j = 0; j < k; j++) CHECK_NEAR(firsts[j], expected[KINDS * k + j], 1e-10 * (1 + (double)c.n));
    check_counts(&c, &e, counts);
}

/* A row of one sequence that no state explains, or only one that is hardly possible: that one is unsafe, and the others are
 * as without it. */
static void test_lost(double start) {
    Chain c = random_chain(3, 5, 6, DENSE);
    double *rows = (double *)(uintptr_t)c.log_likelihood;
    ((double *)(uintptr_t)c.start)[0] = start;
    for (int j = start > 0; j < 3; j++) rows[c.offsets[2] * 3 + j] = -INFINITY;
    Expected e = expect(&c);
    long double *without = memset(e.counts, 0, sizeof *without * 9);
    for (int64_t s = 0; s < 5; s++)
        if (s != 2) smooth(&c, s, e.filtered + c.offsets[s] * 3, e.smoothed + c.offsets[s] * 3, without);
    double *log_p = TAKE(double, 5), *out = TAKE(double, c.n_rows * 3), *counts = ZEROS(double, 9);
    int32_t *status = TAKE(int32_t, 5);
    CHECK(lanes(&c, log_p, out, status, counts) == 0);
    for (int64_t s = 0; s < 5; s++) {
        CHECK((status[s] == CHAIN_UNSAFE) == (s == 2));
        if (s != 2) check_rows(&c, s, e.smoothed, out);
    }
    check_counts(&c, &e, counts);
    release();
}

static void test_what_does_not_fit(void) {
    Chain sparse = random_chain(4, 3, 5, SPARSE), many = random_chain(33, 3, 5, DENSE);
    double *log_p = TAKE(double, 3), *sums = ZEROS(double, 4), *zero = ZEROS(double, 16);
    int32_t *status = ZEROS(int32_t, 3), *kind = ZEROS(int32_t, sparse.n_rows);
    ((double *)(uintptr_t)sparse.transition)[5] = 0;
    CHECK(!chain_fits_lanes(&sparse, 0) && chain_fits_lanes(&many, 0));
    Kinds kinds = {1, kind, sums, log_p};
    CHECK(chain_tally(&sparse, 0, 3, &kinds, log_p, status, sums, sums, zero, NULL) == 0);
    CHECK(chain_tally(&sparse, 3, 3, &kinds, log_p, status, sums, sums, zero, NULL) == 0);
    for (int s = 0; s < 3; s++) CHECK(status[s] == CHAIN_UNSAFE);
    for (int i = 0; i < 16; i++) CHECK(zero[i] == 0);
    many.k = 65;
    CHECK(!chain_fits_lanes(&many, 0));
    release();
}

static void test_memory(void) {
    Chain c = random_chain(3, 5, 6, DENSE);
    double *log_p = TAKE(double, 5), *out = TAKE(double, c.n_rows * 3), *counts = ZEROS(double, 9);
    int32_t *status = TAKE(int32_t, 5), *kind = ZEROS(int32_t, c.n_rows);
    RUNS_OUT(lanes(&c, log_p, out, status, counts), NO_MEMORY, 0);
    double *ones = zeros(sizeof(double) * 3), *none = ZEROS(double, 1), *sums = ZEROS(double, 3),
           *firsts = ZEROS(double, 3);
    ones[0] = ones[1] = ones[2] = 1;
    Kinds kinds = {1, kind, ones, none};
    RUNS_OUT(chain_tally(&c, 0, 5, &kinds, log_p, status, sums, firsts, counts, NULL), NO_MEMORY, 0);
    release();
}

int main(void) {
    test_lost(0);
    test_lost(1e-150);
    test_what_does_not_fit();
    test_memory();
    for (int i = 0; i < LENGTH(STATES); i++)
        for (int n = 1; n < 20; n += 1 + n / 2) {
            Chain c = random_chain(STATES[i], n, i % 3 ? 9 : 40, DENSE);
            Expected e = expect(&c);
            check_lanes(&c, &e);
            check_tally(c);
            release();
        }
    return 0;
}
