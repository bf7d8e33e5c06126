/* Rows of numbers beside K components: log-densities of each row under each, and sums weighted by responsibilities.
 *
 * Components are the fast axis. Arrays over components have rows of kp entries, of which k count: kp is a multiple of
 * all vector lengths. Four rows go together, so that a parameter that is loaded is used four times. */
#include "kernels.h"
#include "vectors.h"

enum { SIDE = 4, BLOCK = 256 };

/* A row of k entries from j on; what lies behind its end may be anything, but nothing is read behind `end`. */
INLINE V entries(const double *row, int64_t j, const double *end) {
    if (row + j + LANES <= end) return v_load(row + j);
    double x[LANES] = {0};
    for (int l = 0; row + j + l < end; l++) x[l] = row[j + l];
    return v_load(x);
}

/* Whether every number is there. */
static int complete(const double *x, int64_t n) {
    int gap = 0;
    for (int64_t i = 0; i < n; i++) gap |= x[i] != x[i];
    return !gap;
}

/* ---------------------------------------------------------------- log-densities */

typedef struct {
    int64_t d, k, kp;
    const double *centre, *white, *constant; /* [d, kp], [d or d(d+1)/2, kp], [kp] */
} Gaussians;

/* sum_i (w_i (x_i - m_i))^2 of n rows. */
INLINE void diagonal(const int n, const Gaussians *p, const double *x, int64_t at, V *sum) {
    for (int64_t i = 0; i < p->d; i++) {
        V m = v_load(p->centre + i * p->kp + at), w = v_load(p->white + i * p->kp + at);
        for (int g = 0; g < n; g++) {
            V z = (x[g * p->d + i] - m) * w;
            sum[g] += z * z;
        }
    }
}

/* sum_i (sum_j<=i w_ij (x_j - m_j))^2 of n rows; `z` is room for d vectors of each. */
INLINE void triangular(const int n, const Gaussians *p, const double *x, int64_t at, V *sum, double *z) {
    const double *white = p->white + at;
    for (int64_t i = 0; i < p->d; i++) {
        V m = v_load(p->centre + i * p->kp + at), y[SIDE];
        for (int g = 0; g < n; g++) {
            v_store(z + (i * n + g) * LANES, x[g * p->d + i] - m);
            y[g] = v_all(0.0);
        }
        for (int64_t j = 0; j <= i; j++, white += p->kp) {
            V w = v_load(white);
            for (int g = 0; g < n; g++) y[g] += w * v_load(z + (j * n + g) * LANES);
        }
        for (int g = 0; g < n; g++) sum[g] += y[g] * y[g];
    }
}

INLINE void densities(const int n, int full, const Gaussians *p, const double *x, double *out, double *z) {
    for (int64_t at = 0; at < p->k; at += LANES) {
        V sum[SIDE];
        for (int g = 0; g < n; g++) sum[g] = v_all(0.0);
        if (full) triangular(n, p, x, at, sum, z);
        else diagonal(n, p, x, at, sum);
        for (int g = 0; g < n; g++) row_store(out + g * p->k, v_load(p->constant + at) - 0.5 * sum[g], at, p->k);
    }
}

/* constant_k - 1/2 |W_k (x - m_k)|^2 of n rows x [n, d] to `out` [n, k], W being lower triangular (`full`) or diagonal.
 * Returns 1 without doing so if a number is missing. */
EXPORT int rows_densities(int64_t n, int64_t d, int64_t k, int64_t kp, int full, const double *x, const double *centre,
                          const double *white, const double *constant, double *out, Caller caller) {
    Gaussians p = {d, k, kp, centre, white, constant};
    if (!complete(x, n * d)) return 1;
    REGION(caller)
    double *z = grab(sizeof(double) * (size_t)(d * SIDE * LANES));
    int64_t whole = n / SIDE;
    IN_PIECES(i, whole, SIDE * (k + 1) * (full ? d * (d + 1) / 2 : d))
        densities(SIDE, full, &p, x + i * SIDE * d, out + i * SIDE * k, z);
    for (int64_t t = whole * SIDE; t < n; t++) densities(1, full, &p, x + t * d, out + t * k, z);
    region_leave();
    return 0;
}

/* ---------------------------------------------------------------- sums */

typedef struct {
    int64_t d, kp;
    int order; /* 1: products of a column with itself, 2: of all pairs */
    const double *shift;
    double *count, *sum, *square; /* [kp], [d, kp], [d or d(d+1)/2, kp] */
} Moments;

/* Adds n rows, weighted by r, to the sums of the components from `at` on; `z` is room for n rows. */
INLINE void add_rows(const int n, const Moments *m, const double *x, const V *r, int64_t at, double *z) {
    double *square = m->square + at;
    for (int g = 0; g < n; g++) {
        for (int64_t i = 0; i < m->d; i++) z[g * m->d + i] = x[g * m->d + i] - m->shift[i];
        v_store(m->count + at, v_load(m->count + at) + r[g]);
    }
    for (int64_t i = 0; i < m->d; i++) {
        V weighted[SIDE], sum = v_load(m->sum + i * m->kp + at);
        for (int g = 0; g < n; g++) sum += weighted[g] = r[g] * z[g * m->d + i];
        v_store(m->sum + i * m->kp + at, sum);
        for (int64_t j = m->order == 1 ? i : 0; j <= i; j++, square += m->kp) {
            V s = v_load(square);
            for (int g = 0; g < n; g++) s += weighted[g] * z[g * m->d + j];
            v_store(square, s);
        }
    }
}

/* Sums over n rows x [n, d] weighted by r [n, k], about the shift: of one, of each column, of squares (order 1) or of
 * products of all pairs of columns (order 2, the lower triangle), added to what is there. Returns 1 without doing so if
 * a number is missing. */
EXPORT int rows_moments(int64_t n, int64_t d, int64_t k, int64_t kp, int order, const double *x, const double *r,
                        const double *shift, double *count, double *sum, double *square, Caller caller) {
    Moments m = {d, kp, order, shift, count, sum, square};
    const double *end = r + n * k;
    if (!complete(x, n * d)) return 1;
    REGION(caller)
    double *z = grab(sizeof(double) * (size_t)(d * SIDE));
    for (int64_t first = 0; first < n; first += BLOCK) { /* so many rows stay near while the components pass */
        int64_t last = first + BLOCK < n ? first + BLOCK : n;
        for (int64_t at = 0; at < k; at += LANES) {
            V w[SIDE];
            region_worked(BLOCK * (order == 1 ? 2 * d : d * (d + 1) / 2));
            int64_t t = first;
            for (; t + SIDE <= last; t += SIDE) {
                for (int g = 0; g < SIDE; g++) w[g] = entries(r + (t + g) * k, at, end);
                add_rows(SIDE, &m, x + t * d, w, at, z);
            }
            for (; t < last; t++) {
                w[0] = entries(r + t * k, at, end);
                add_rows(1, &m, x + t * d, w, at, z);
            }
        }
    }
    region_leave();
    return 0;
}

/* ---------------------------------------------------------------- states */

/* Whether every entry is missing or a state that its column has; column j has starts[j+1] - starts[j] - 1 of them. */
static int are_states(int64_t n, int64_t d, const double *x, const int64_t *starts) {
    for (int64_t t = 0; t < n; t++, x += d)
        for (int64_t j = 0; j < d; j++)
            if (x[j] == x[j] && !(x[j] >= 0 && x[j] < (double)(starts[j + 1] - starts[j] - 1))) return 0;
    return 1;
}

/* The row of the table for entry j of a row: that of its state, the last of the column's where it is missing. */
INLINE int64_t place(const double *x, int64_t j, const int64_t *starts) {
    return x[j] != x[j] ? starts[j + 1] - 1 : starts[j] + (int64_t)x[j];
}

/* out [n, k] = sum over columns of the table's row [kp] for the state; column j has the rows starts[j] .. starts[j+1]-1,
 * of which the last is for what is missing. Returns 1 without doing so if an entry is no state. */
EXPORT int rows_lookup(int64_t n, int64_t d, int64_t k, int64_t kp, const double *x, const int64_t *starts,
                       const double *table, double *out, Caller caller) {
    if (!are_states(n, d, x, starts)) return 1;
    REGION(caller)
    IN_PIECES(t, n, d * k + 8) {
        const double *row = x + t * d;
        for (int64_t at = 0; at < k; at += LANES) {
            V sum = v_load(table + place(row, 0, starts) * kp + at);
            for (int64_t j = 1; j < d; j++) sum += v_load(table + place(row, j, starts) * kp + at);
            row_store(out + t * k, sum, at, k);
        }
    }
    region_leave();
    return 0;
}

/* Adds r [n, k] to the rows of `counts` [rows, kp] of the states. Returns 1 without doing so if an entry is no state. */
EXPORT int rows_tally(int64_t n, int64_t d, int64_t k, int64_t kp, const double *x, const int64_t *starts,
                      const double *r, double *counts, Caller caller) {
    const double *end = r + n * k;
    if (!are_states(n, d, x, starts)) return 1;
    REGION(caller)
    IN_PIECES(t, n, d * k + 8)
        for (int64_t j = 0; j < d; j++) {
            double *row = counts + place(x + t * d, j, starts) * kp;
            for (int64_t at = 0; at < k; at += LANES) v_store(row + at, v_load(row + at) + entries(r + t * k, at, end));
        }
    region_leave();
    return 0;
}
