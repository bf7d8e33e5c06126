/* Tests of chain_best.c: the best paths against all of them, in long doubles. */
#include "chains.h"

int chain_best(const Chain *c, int64_t first, int64_t last, int64_t n, double *log_p, int32_t *paths, Caller caller);
int chain_viterbi(const Chain *c, int64_t first, int64_t last, double *log_p, int32_t *paths, Caller caller);

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

static int downward(const void *x, const void *y) {
    long double a = *(const long double *)x, b = *(const long double *)y;
    return (a < b) - (a > b);
}

/* The logs of the probabilities of all paths of a sequence, the largest first. */
static int64_t all_paths(const Chain *c, int64_t s, long double *log_p) {
    int64_t length = c->offsets[s + 1] - c->offsets[s], n = 1, possible = 0;
    for (int64_t t = 0; t < length; t++) n *= c->k;
    for (int64_t i = 0; i < n; i++) {
        int32_t path[8];
        for (int64_t t = 0, rest = i; t < length; t++, rest /= c->k) path[t] = (int32_t)(rest % c->k);
        log_p[i] = log_of_path(c, s, path);
        possible += log_p[i] > -INFINITY;
    }
    qsort(log_p, (size_t)n, sizeof(long double), downward);
    return possible;
}

static void check_best(const Chain *c, int64_t n) {
    double *log_p = TAKE(double, n * c->n), *best = TAKE(double, c->n);
    int32_t *paths = TAKE(int32_t, n * c->n_rows), *first = TAKE(int32_t, c->n_rows);
    long double *all = TAKE(long double, 1024);
    CHECK(chain_best(c, 0, c->n, n, log_p, paths, NULL) == 0);
    CHECK(chain_best(c, c->n, c->n, n, log_p, paths, NULL) == 0);
    CHECK(chain_viterbi(c, 0, c->n, best, first, NULL) == 0);
    for (int64_t s = 0; s < c->n; s++) {
        int64_t possible = all_paths(c, s, all), begin = c->offsets[s], length = c->offsets[s + 1] - begin;
        CHECK(log_p[s] == best[s]);
        CHECK(best[s] == -INFINITY || !memcmp(paths + begin, first + begin, sizeof(int32_t) * (size_t)length));
        for (int64_t q = 0; q < n; q++) {
            const int32_t *path = paths + q * c->n_rows + begin;
            if (q >= possible) {
                CHECK(log_p[q * c->n + s] == -INFINITY && path[0] == -1 && path[length - 1] == -1);
                continue;
            }
            CHECK_NEAR(log_p[q * c->n + s], all[q], 1e-11 * (1 + fabsl(all[q])));
            CHECK_NEAR(log_of_path(c, s, path), all[q], 1e-11 * (1 + fabsl(all[q])));
            for (int64_t r = 0; r < q; r++)
                CHECK(memcmp(path, paths + r * c->n_rows + begin, sizeof(int32_t) * (size_t)length));
        }
    }
}

static void test_memory(void) {
    Chain c = random_chain(4, 5, 6, DENSE);
    double *log_p = TAKE(double, 15);
    int32_t *paths = TAKE(int32_t, 3 * c.n_rows);
    RUNS_OUT(chain_best(&c, 0, 5, 3, log_p, paths, NULL), NO_MEMORY, 0);
    release();
}

int main(void) {
    static const int FEW[] = {1, 2, 3, 4}, WANTED[] = {1, 2, 7, 100, 1100};
    test_memory();
    for (int kind = 0; kind < CHAIN_KINDS; kind++)
        for (int i = 0; i < LENGTH(FEW); i++)
            for (int j = 0; j < LENGTH(WANTED); j++) {
                Chain c = random_chain(FEW[i], 6, 5, kind);
                check_best(&c, WANTED[j]);
                release();
            }
    return 0;
}
