/* Tests of chain_log.c: the recursions with logarithms, over the transitions that are there. */
#include "chains.h"

int chain_log_filter(const Chain *c, int64_t first, int64_t last, double *log_p, double *out, Caller caller);

static int check_arrows(const Chain *c, int into) {
    REGION(NULL)
    Arrows a;
    arrows_open(&a, c, into);
    int64_t n = 0;
    for (int64_t j = 0; j < c->k; j++) {
        CHECK(a.starts[j] == n);
        for (int64_t i = 0; i < c->k; i++) {
            double p = into ? c->transition[i * c->k + j] : c->transition[j * c->k + i];
            if (p == 0) continue;
            CHECK(a.states[n] == i && a.logs[n] == log(p));
            n++;
        }
    }
    CHECK(a.starts[c->k] == n);
    arrows_close(&a);
    region_leave();
    return 0;
}

static int log_smooth(const Chain *c, int64_t s, double *log_p, double *out, double *counts) {
    REGION(NULL)
    chain_log_smooth(c, s, log_p + s, out + c->offsets[s] * c->k, counts);
    region_leave();
    return 0;
}

/* Of each sequence the smoothed rows and the counts, or the filtered rows. */
static void check_smooth(const Chain *c, const Expected *e) {
    double *log_p = TAKE(double, c->n), *out = TAKE(double, c->n_rows * c->k), *counts = ZEROS(double, c->k * c->k);
    for (int whole = 0; whole < 2; whole++)
        for (int64_t s = 0; s < c->n; s++) {
            CHECK(log_smooth(c, s, log_p, out, whole ? counts : NULL) == 0);
            check_log_p(c, e, s, log_p[s]);
            if (e->log_p[s] > -INFINITY) check_rows(c, s, whole ? e->smoothed : e->filtered, out);
        }
    check_counts(c, e, counts);
}

/* Logarithms of the filtered probabilities, also of those that no double holds. */
static void check_filter(const Chain *c, const Expected *e) {
    double *log_p = TAKE(double, c->n), *out = TAKE(double, c->n_rows * c->k);
    CHECK(chain_log_filter(c, 0, c->n, log_p, out, NULL) == 0);
    for (int64_t s = 0; s < c->n; s++) {
        check_log_p(c, e, s, log_p[s]);
        for (int64_t t = c->offsets[s]; t < c->offsets[s + 1] && e->log_p[s] > -INFINITY; t++) {
            double *row = out + t * c->k, most = -INFINITY, sum = 0;
            for (int64_t j = 0; j < c->k; j++) most = fmax(most, row[j]);
            for (int64_t j = 0; j < c->k; j++) sum += exp(row[j] - most);
            for (int64_t j = 0; j < c->k; j++) {
                long double log_expected = logl(e->filtered[t * c->k + j]), found = row[j] - most - log(sum);
                if (log_expected > -11000) CHECK_NEAR(found, log_expected, 1e-10 * (1 + fabsl(log_expected)));
            }
        }
    }
}

static void test_memory(void) {
    Chain c = random_chain(4, 2, 6, FAR);
    double *log_p = TAKE(double, 2), *out = TAKE(double, c.n_rows * 4), *counts = ZEROS(double, 16);
    RUNS_OUT(log_smooth(&c, 1, log_p, out, counts), NO_MEMORY, 0);
    RUNS_OUT(chain_log_filter(&c, 0, 2, log_p, out, NULL), NO_MEMORY, 0);
    release();
}

int main(void) {
    test_memory();
    for (int kind = 0; kind < CHAIN_KINDS; kind++)
        for (int i = 0; i < LENGTH(STATES); i++)
            for (int n = 1; n < 5; n++) {
                Chain c = random_chain(STATES[i], n, 12, kind);
                Expected e = expect(&c);
                CHECK(check_arrows(&c, n % 2) == 0);
                check_smooth(&c, &e);
                check_filter(&c, &e);
                release();
            }
    return 0;
}
