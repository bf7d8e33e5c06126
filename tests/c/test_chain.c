/* Tests of chain.c: smoothing and filtering of sequences of all lengths, whatever their scale. */
#include "chains.h"

int chain_smooth(const Chain *c, int64_t first, int64_t last, double *log_p, double *out, double *counts,
                 Caller caller);

/* All sequences in pieces, as by several cores; or filtered, without counts. */
static void check_smooth(const Chain *c, const Expected *e, int whole, int64_t piece) {
    double *log_p = TAKE(double, c->n), *out = TAKE(double, c->n_rows * c->k), *counts = ZEROS(double, c->k * c->k);
    for (int64_t at = 0; at < c->n; at += piece)
        CHECK(chain_smooth(c, at, at + piece < c->n ? at + piece : c->n, log_p, out, whole ? counts : NULL, NULL) == 0);
    CHECK(chain_smooth(c, c->n, c->n, log_p, out, counts, NULL) == 0);
    for (int64_t s = 0; s < c->n; s++) {
        check_log_p(c, e, s, log_p[s]);
        if (e->log_p[s] > -INFINITY) check_rows(c, s, whole ? e->smoothed : e->filtered, out);
    }
    if (whole) check_counts(c, e, counts);
}

static int forward(const Chain *c, double *log_p, double *out, int32_t *status) {
    REGION(NULL)
    chain_forward(c, 0, c->n, log_p, out, status);
    region_leave();
    return 0;
}

/* chain_forward does what it can and says what it cannot. */
static int check_forward(const Chain *c, const Expected *e) {
    double *log_p = TAKE(double, c->n), *out = TAKE(double, c->n_rows * c->k);
    int32_t *status = TAKE(int32_t, c->n);
    int n_unsafe = 0;
    CHECK(forward(c, log_p, out, status) == 0);
    for (int64_t s = 0; s < c->n; s++) {
        n_unsafe += status[s] == CHAIN_UNSAFE;
        if (status[s] == CHAIN_UNSAFE) continue;
        CHECK((status[s] == CHAIN_IMPOSSIBLE) == (e->log_p[s] == -INFINITY));
        check_log_p(c, e, s, log_p[s]);
        if (status[s] == CHAIN_OK) check_rows(c, s, e->filtered, out);
    }
    return n_unsafe;
}

/* A row that hardly says anything of the states that can be reached, but much of one that cannot: beside that one, two that
 * can are below the smallest double with all its digits, and the less probable one is the only one that goes on. */
static void test_beside_the_impossible(void) {
    static const double LOG_LIKELIHOODS[] = {0, -440, -700, 0, -INFINITY, 0},
                        TRANSITION[] = {1, 0, 0, 0, 1, 0, 0, 0, 1};
    static const int64_t OFFSETS[] = {0, 2}, ORDER[] = {0};
    double *start = TAKE(double, 3), weight = 1;
    for (double rare = 1e-8; rare > 1e-30; rare /= 10) {
        start[0] = 0, start[1] = 1 - rare, start[2] = rare;
        Chain c = {3, 2, 1, start, TRANSITION, LOG_LIKELIHOODS, OFFSETS, ORDER, &weight};
        double log_p, out[6], counts[9] = {0};
        CHECK(chain_smooth(&c, 0, 1, &log_p, out, counts, NULL) == 0);
        CHECK_NEAR(log_p, log(rare) - 700, 1e-10);
        CHECK_NEAR(counts[8], 1, 1e-12);
    }
    release();
}

static void test_memory(void) {
    Chain c = random_chain(5, 6, 9, SPARSE);
    Expected e = expect(&c);
    double *log_p = TAKE(double, 6), *out = TAKE(double, c.n_rows * 5), *counts = TAKE(double, 25);
    int32_t *status = TAKE(int32_t, 6);
    RUNS_OUT(chain_smooth(&c, 0, 6, log_p, out, memset(counts, 0, sizeof(double) * 25), NULL), NO_MEMORY, 0);
    check_counts(&c, &e, counts);
    RUNS_OUT(forward(&c, log_p, out, status), NO_MEMORY, 0);
    release();
}

int main(void) {
    int n_unsafe[CHAIN_KINDS] = {0};
    test_memory();
    test_beside_the_impossible();
    for (int kind = 0; kind < CHAIN_KINDS; kind++)
        for (int i = 0; i < LENGTH(STATES); i++)
            for (int n = 1; n < 12; n += 2) {
                Chain c = random_chain(STATES[i], n, i % 3 || kind == FAR_AND_SPARSE ? 9 : 40, kind);
                Expected e = expect(&c);
                for (int64_t piece = 1; piece <= n; piece += n / 2 + 1) check_smooth(&c, &e, 1, piece);
                check_smooth(&c, &e, 1, n);
                check_smooth(&c, &e, 0, n);
                n_unsafe[kind] += check_forward(&c, &e);
                release();
            }
    CHECK(n_unsafe[DENSE] == 0 && n_unsafe[FAR] > 0 && n_unsafe[FAR_AND_SPARSE] > 0);
    return 0;
}
