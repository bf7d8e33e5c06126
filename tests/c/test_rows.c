/* Tests of rows.c: densities, moments and tables of states for all numbers of rows, columns and components. */
#include "check.h"
#include "vectors.h"

int rows_densities(int64_t n, int64_t d, int64_t k, int64_t kp, int full, const double *x, const double *centre,
                   const double *white, const double *constant, double *out, Caller caller);
int rows_moments(int64_t n, int64_t d, int64_t k, int64_t kp, int order, const double *x, const double *r,
                 const double *shift, double *count, double *sum, double *square, Caller caller);
int rows_lookup(int64_t n, int64_t d, int64_t k, int64_t kp, const double *x, const int64_t *starts,
                const double *table, double *out, Caller caller);
int rows_tally(int64_t n, int64_t d, int64_t k, int64_t kp, const double *x, const int64_t *starts, const double *r,
               double *counts, Caller caller);

static int64_t padded(int64_t k) { return (k + 7) / 8 * 8; }

static void check_densities(int64_t n, int64_t d, int64_t k, int full) {
    int64_t kp = padded(k), pairs = full ? d * (d + 1) / 2 : d;
    double *x = normals(n * d, 1), *centre = normals(d * kp, 1), *white = normals(pairs * kp, 1),
           *constant = normals(kp, 1), *out = TAKE(double, n * k);
    CHECK(rows_densities(n, d, k, kp, full, x, centre, white, constant, out, NULL) == 0);
    for (int64_t t = 0; t < n; t++)
        for (int64_t c = 0; c < k; c++) {
            double sum = 0;
            for (int64_t i = 0; i < d; i++) {
                double y = 0;
                for (int64_t j = full ? 0 : i; j <= i; j++)
                    y += white[(full ? i * (i + 1) / 2 + j : i) * kp + c] * (x[t * d + j] - centre[j * kp + c]);
                sum += y * y;
            }
            CHECK_NEAR(out[t * k + c], constant[c] - 0.5 * sum, 1e-12 * (1 + sum));
        }
    if (n * d == 0) return;
    x[random_below((int)(n * d))] = NAN;
    CHECK(rows_densities(n, d, k, kp, full, x, centre, white, constant, out, NULL) == 1);
}

static void check_moments(int64_t n, int64_t d, int64_t k, int order) {
    int64_t kp = padded(k), pairs = order == 2 ? d * (d + 1) / 2 : d;
    double *x = normals(n * d, 1), *r = normals(n * k, 1), *shift = normals(d, 1);
    double *count = ZEROS(double, kp), *sum = ZEROS(double, d * kp), *square = ZEROS(double, pairs * kp);
    count[0] = 5; /* is added to */
    CHECK(rows_moments(n, d, k, kp, order, x, r, shift, count, sum, square, NULL) == 0);
    for (int64_t c = 0; c < k; c++) {
        double tolerance = 1e-12 * (1 + (double)n), all = c ? 0 : 5;
        for (int64_t t = 0; t < n; t++) all += r[t * k + c];
        CHECK_NEAR(count[c], all, tolerance);
        for (int64_t i = 0, at = 0; i < d; i++) {
            double first = 0;
            for (int64_t t = 0; t < n; t++) first += r[t * k + c] * (x[t * d + i] - shift[i]);
            CHECK_NEAR(sum[i * kp + c], first, 10 * tolerance);
            for (int64_t j = order == 1 ? i : 0; j <= i; j++, at++) {
                double second = 0;
                for (int64_t t = 0; t < n; t++)
                    second += r[t * k + c] * (x[t * d + i] - shift[i]) * (x[t * d + j] - shift[j]);
                CHECK_NEAR(square[at * kp + c], second, 100 * tolerance);
            }
        }
    }
    if (n * d == 0) return;
    x[random_below((int)(n * d))] = NAN;
    CHECK(rows_moments(n, d, k, kp, order, x, r, shift, count, sum, square, NULL) == 1);
}

static void check_states(int64_t n, int64_t d, int64_t k) {
    int64_t kp = padded(k), *starts = TAKE(int64_t, d + 1);
    starts[0] = 0;
    for (int64_t j = 0; j < d; j++) starts[j + 1] = starts[j] + 2 + random_below(3);
    double *x = TAKE(double, n * d), *table = normals(starts[d] * kp, 1), *r = normals(n * k, 1),
           *out = TAKE(double, n * k), *counts = ZEROS(double, starts[d] * kp);
    int64_t *row = TAKE(int64_t, n * d);
    for (int64_t i = 0; i < n * d; i++) {
        int64_t j = i % d, states = starts[j + 1] - starts[j] - 1, s = random_below((int)states + 1);
        x[i] = s == states ? NAN : (double)s;
        row[i] = starts[j] + s;
    }
    CHECK(rows_lookup(n, d, k, kp, x, starts, table, out, NULL) == 0);
    CHECK(rows_tally(n, d, k, kp, x, starts, r, counts, NULL) == 0);
    for (int64_t t = 0; t < n; t++)
        for (int64_t c = 0; c < k; c++) {
            double sum = 0;
            for (int64_t j = 0; j < d; j++) sum += table[row[t * d + j] * kp + c];
            CHECK_NEAR(out[t * k + c], sum, 1e-12);
        }
    for (int64_t i = 0; i < starts[d]; i++)
        for (int64_t c = 0; c < k; c++) {
            double sum = 0;
            for (int64_t q = 0; q < n * d; q++) sum += row[q] == i ? r[q / d * k + c] : 0;
            CHECK_NEAR(counts[i * kp + c], sum, 1e-12 * (1 + (double)n));
        }
    if (n) { /* what stands for a missing entry is no state */
        double first = x[0];
        x[0] = (double)(starts[1] - starts[0] - 1);
        CHECK(rows_lookup(n, d, k, kp, x, starts, table, out, NULL) == 1);
        CHECK(rows_tally(n, d, k, kp, x, starts, r, counts, NULL) == 1);
        x[0] = first;
    }
    static const double WRONG[] = {-1, 7, 1e300, INFINITY, -INFINITY};
    for (int i = 0; i < LENGTH(WRONG) && n; i++) {
        x[random_below((int)(n * d))] = WRONG[i];
        CHECK(rows_lookup(n, d, k, kp, x, starts, table, out, NULL) == 1);
        CHECK(rows_tally(n, d, k, kp, x, starts, r, counts, NULL) == 1);
    }
}

int main(void) {
    static const int64_t ROWS[] = {0, 1, 3, 4, 5, 8, 255, 256, 257, 300}, COLUMNS[] = {1, 2, 3, 7, 8, 9},
                         COMPONENTS[] = {1, 2, 3, 4, 7, 8, 9, 15, 16, 17};
    for (int i = 0; i < LENGTH(ROWS); i++)
        for (int j = 0; j < LENGTH(COLUMNS); j++)
            for (int q = 0; q < LENGTH(COMPONENTS); q++) {
                if (ROWS[i] > 8 && (j + q) % 4) continue;
                for (int order = 1; order <= 2; order++) {
                    check_densities(ROWS[i], COLUMNS[j], COMPONENTS[q], order == 2);
                    check_moments(ROWS[i], COLUMNS[j], COMPONENTS[q], order);
                }
                check_states(ROWS[i], COLUMNS[j], COMPONENTS[q]);
                release();
            }
    double *x = normals(12, 1), *wide = ZEROS(double, 8 * 10), *out = TAKE(double, 8);
    RUNS_OUT(rows_densities(4, 3, 2, 8, 1, x, wide, wide, wide, out, NULL), NO_MEMORY, 0);
    RUNS_OUT(rows_moments(4, 3, 2, 8, 2, x, x, x, wide, wide + 8, wide + 32, NULL), NO_MEMORY, 0);
    release();
    return 0;
}
