/* Random hidden Markov chains, and the recursions one state after another in long doubles. */
#ifndef TRACTABLE_TEST_CHAINS_H
#define TRACTABLE_TEST_CHAINS_H

#include "chain.h"
#include "check.h"

/* All transitions are likely; some are zero, and some observations impossible; scales leave the doubles; and where they do,
 * some transitions are zero. */
enum { DENSE, SPARSE, FAR, FAR_AND_SPARSE, CHAIN_KINDS };

static inline double *random_simplex(int k, int kind, double *p) {
    double sum = 0;
    for (int i = 0; i < k; i++) {
        p[i] = random_unit() + 0.05;
        if ((kind == SPARSE || kind == FAR_AND_SPARSE) && random_below(2)) p[i] = 0;
        if (kind == FAR && random_below(3) == 0) p[i] *= 1e-60;
        sum += p[i];
    }
    if (sum == 0) p[random_below(k)] = sum = 1;
    for (int i = 0; i < k; i++) p[i] /= sum;
    return p;
}

/* n sequences of up to `most` rows, each array as long as it has to be. */
static inline Chain random_chain(int k, int n, int most, int kind) {
    double *start = random_simplex(k, kind, TAKE(double, k)), *transition = TAKE(double, k * k),
           *weights = TAKE(double, n);
    int64_t *offsets = TAKE(int64_t, n + 1), *order = TAKE(int64_t, n);
    for (int i = 0; i < k; i++) random_simplex(k, kind, transition + i * k);
    offsets[0] = 0;
    for (int s = 0; s < n; s++) {
        offsets[s + 1] = offsets[s] + 1 + random_below(most);
        weights[s] = random_unit() * 2;
        int i = s; /* the longest first */
        for (; i > 0 && offsets[order[i - 1] + 1] - offsets[order[i - 1]] < offsets[s + 1] - offsets[s]; i--)
            order[i] = order[i - 1];
        order[i] = s;
    }
    int64_t rows = offsets[n];
    double *log_likelihood = normals(rows * k, kind == FAR ? 400 : kind == FAR_AND_SPARSE ? 200 : 3);
    for (int64_t t = 0; t < rows; t++)
        for (int j = 0; j < k; j++) {
            if (kind == FAR && t % 3 == 0) log_likelihood[t * k + j] -= 1e6;
            if (kind == SPARSE && random_below(6) == 0) log_likelihood[t * k + j] = -INFINITY;
        }
    return (Chain){k, rows, n, start, transition, log_likelihood, offsets, order, weights};
}

typedef struct {
    long double *log_p, *filtered, *smoothed, *counts; /* [n], [rows, k], [rows, k], [k, k] */
} Expected;

static inline long double scaled(long double *x, int64_t k) {
    long double sum = 0;
    for (int64_t j = 0; j < k; j++) sum += x[j];
    for (int64_t j = 0; j < k && sum > 0; j++) x[j] /= sum;
    return sum;
}

/* The likelihoods of a row, the largest of them one; the logarithm of that is returned. */
static inline long double likelihoods(const double *row, int64_t k, long double *b) {
    double most = -INFINITY;
    for (int64_t j = 0; j < k; j++) most = fmax(most, row[j]);
    for (int64_t j = 0; j < k; j++) b[j] = most > -INFINITY ? expl((long double)row[j] - most) : 0;
    return most > -INFINITY ? most : 0;
}

/* log p and filtered probabilities of one sequence; -infinity where it is impossible. */
static inline long double filter(const Chain *c, int64_t s, long double *alpha) {
    int64_t k = c->k, length = c->offsets[s + 1] - c->offsets[s];
    long double b[64], log_p = 0;
    for (int64_t t = 0; t < length; t++) {
        log_p += likelihoods(c->log_likelihood + (c->offsets[s] + t) * k, k, b);
        for (int64_t j = 0; j < k; j++) {
            long double p = t ? 0 : c->start[j];
            for (int64_t i = 0; i < k && t; i++) p += alpha[(t - 1) * k + i] * c->transition[i * k + j];
            alpha[t * k + j] = p * b[j];
        }
        log_p += logl(scaled(alpha + t * k, k));
        if (log_p == -INFINITY) return log_p;
    }
    return log_p;
}

static inline void smooth(const Chain *c, int64_t s, const long double *alpha, long double *gamma,
                          long double *counts) {
    int64_t k = c->k, length = c->offsets[s + 1] - c->offsets[s];
    long double b[64], v[64], r[64];
    for (int64_t j = 0; j < k; j++) v[j] = 1;
    for (int64_t t = length - 1; t >= 0; t--) {
        for (int64_t j = 0; j < k; j++) gamma[t * k + j] = alpha[t * k + j] * v[j];
        scaled(gamma + t * k, k);
        if (!t) return;
        likelihoods(c->log_likelihood + (c->offsets[s] + t) * k, k, b);
        long double sum = 0;
        for (int64_t j = 0; j < k; j++) r[j] = b[j] * v[j];
        for (int64_t i = 0; i < k; i++)
            for (int64_t j = 0; j < k; j++) sum += alpha[(t - 1) * k + i] * c->transition[i * k + j] * r[j];
        for (int64_t i = 0; i < k; i++) {
            v[i] = 0;
            for (int64_t j = 0; j < k; j++) {
                v[i] += c->transition[i * k + j] * r[j];
                counts[i * k + j] += alpha[(t - 1) * k + i] * c->transition[i * k + j] * r[j] / sum * c->weights[s];
            }
        }
        scaled(v, k);
    }
}

static inline Expected expect(const Chain *c) {
    int64_t k = c->k;
    Expected e = {TAKE(long double, c->n), ZEROS(long double, c->n_rows * k), ZEROS(long double, c->n_rows * k),
                  ZEROS(long double, k * k)};
    for (int64_t s = 0; s < c->n; s++) {
        long double *alpha = e.filtered + c->offsets[s] * k;
        e.log_p[s] = filter(c, s, alpha);
        if (e.log_p[s] > -INFINITY) smooth(c, s, alpha, e.smoothed + c->offsets[s] * k, e.counts);
    }
    return e;
}

static inline void check_log_p(const Chain *c, const Expected *e, int64_t s, double log_p) {
    (void)c;
    CHECK_NEAR(log_p, e->log_p[s], 1e-11 * (1 + fabsl(e->log_p[s])));
}

static inline void check_rows(const Chain *c, int64_t s, const long double *expected, const double *found) {
    for (int64_t i = c->offsets[s] * c->k; i < c->offsets[s + 1] * c->k; i++) CHECK_NEAR(found[i], expected[i], 1e-10);
}

static inline void check_counts(const Chain *c, const Expected *e, const double *counts) {
    for (int64_t i = 0; i < c->k * c->k; i++) CHECK_NEAR(counts[i], e->counts[i], 1e-10 * (1 + (double)c->n_rows));
}

static const int STATES[] = {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 33};

#endif
