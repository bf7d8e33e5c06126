/* Tests of chain_walk.c: the most probable path against a search in long doubles, and samples against what is smoothed. */
#include "chains.h"

int chain_viterbi(const Chain *c, int64_t first, int64_t last, double *log_p, int32_t *paths, Caller caller);
int chain_sample(const Chain *c, int64_t first, int64_t last, double *log_p, double *alpha, int64_t n, uint64_t seed,
                 int32_t *paths, Caller caller);

static long double log_of_path(const Chain *c, int64_t s, const int32_t *path) {
    int64_t begin = c->offsets[s], length = c->offsets[s + 1] - begin;
    long double x = logl(c->start[path[0]]);
    for (int64_t t = 0; t < length; t++) {
        CHECK(path[t] >= 0 && path[t] < c->k);
        x += c->log_likelihood[(begin + t) * c->k + path[t]];
        if (t) x += logl(c->transition[path[t - 1] * c->k + path[t]]);
    }
    return x;
}

static long double log_of_best(const Chain *c, int64_t s) {
    int64_t begin = c->offsets[s], length = c->offsets[s + 1] - begin, k = c->k;
    long double now[64], next[64], most = -INFINITY;
    for (int64_t t = 0; t < length; t++) {
        for (int64_t j = 0; j < k; j++) {
            next[j] = t ? -INFINITY : logl(c->start[j]);
            for (int64_t i = 0; i < k && t; i++) next[j] = fmaxl(next[j], now[i] + logl(c->transition[i * k + j]));
        }
        for (int64_t j = 0; j < k; j++) now[j] = next[j] + c->log_likelihood[(begin + t) * k + j];
    }
    for (int64_t j = 0; j < k; j++) most = fmaxl(most, now[j]);
    return most;
}

static void check_viterbi(const Chain *c) {
    double *log_p = TAKE(double, c->n);
    int32_t *paths = TAKE(int32_t, c->n_rows);
    CHECK(chain_viterbi(c, 0, c->n, log_p, paths, NULL) == 0);
    CHECK(chain_viterbi(c, c->n, c->n, log_p, paths, NULL) == 0);
    for (int64_t s = 0; s < c->n; s++) {
        long double best = log_of_best(c, s);
        CHECK_NEAR(log_p[s], best, 1e-11 * (1 + fabsl(best)));
        if (best > -INFINITY) CHECK_NEAR(log_of_path(c, s, paths + c->offsets[s]), best, 1e-11 * (1 + fabsl(best)));
    }
}

static void check_samples(const Chain *c, const Expected *e, int n) {
    double *log_p = TAKE(double, c->n), *alpha = TAKE(double, c->n_rows * c->k);
    int32_t *paths = TAKE(int32_t, n * c->n_rows), *again = TAKE(int32_t, n * c->n_rows);
    memset(again, 0xA5, sizeof(int32_t) * (size_t)(n * c->n_rows));
    CHECK(chain_sample(c, 0, c->n, log_p, alpha, n, 7, paths, NULL) == 0);
    for (int64_t s = 0; s < c->n; s++) { /* one by one they are the same */
        int64_t at = 0;
        while (c->order[at] != s) at++;
        CHECK(chain_sample(c, at, at + 1, log_p, alpha, n, 7, again, NULL) == 0);
        check_log_p(c, e, s, log_p[s]);
    }
    CHECK(!memcmp(paths, again, sizeof(int32_t) * (size_t)(n * c->n_rows)));
    for (int64_t s = 0; s < c->n; s++) {
        if (e->log_p[s] == -INFINITY) continue;
        for (int64_t t = c->offsets[s]; t < c->offsets[s + 1]; t++)
            for (int64_t j = 0; j < c->k; j++) {
                double p = (double)e->smoothed[t * c->k + j], found = 0;
                for (int64_t q = 0; q < n; q++) found += paths[q * c->n_rows + t] == j;
                CHECK_NEAR(found / n, p, 6 * sqrt(p * (1 - p) / n) + 4.0 / n);
            }
        for (int64_t q = 0; q < n; q++) CHECK(log_of_path(c, s, paths + q * c->n_rows + c->offsets[s]) > -INFINITY);
    }
}

static void test_memory(void) {
    Chain c = random_chain(4, 5, 6, DENSE);
    double *log_p = TAKE(double, 5), *alpha = TAKE(double, c.n_rows * 4);
    int32_t *paths = TAKE(int32_t, 2 * c.n_rows);
    RUNS_OUT(chain_viterbi(&c, 0, 5, log_p, paths, NULL), NO_MEMORY, 0);
    RUNS_OUT(chain_sample(&c, 0, 5, log_p, alpha, 2, 1, paths, NULL), NO_MEMORY, 0);
    release();
}

int main(void) {
    test_memory();
    for (int kind = 0; kind < CHAIN_KINDS; kind++)
        for (int i = 0; i < LENGTH(STATES); i++)
            for (int n = 1; n < 10; n += 1 + n / 2) {
                Chain c = random_chain(STATES[i], n, 12, kind);
                Expected e = expect(&c);
                check_viterbi(&c);
                if (STATES[i] < 10) check_samples(&c, &e, 400);
                release();
            }
    return 0;
}
