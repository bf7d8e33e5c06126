/* Tests of chain_factorial.c: chains side by side against one chain over their joint states. */
#include "chain_factorial.c"

#include "chains.h"

enum { GROUPS = 3 };

typedef struct {
    Factorial f;
    Chain joint; /* the same as one chain */
} Both;

static Both random_factorial(int m, const int64_t *k, int n, int most, int kind) {
    int64_t j = 1, s = 0, square = 0, at = 0;
    for (int q = 0; q < m; q++) j *= k[q], s += k[q], square += k[q] * k[q];
    Both b = {.joint = random_chain((int)j, n, most, DENSE)};
    Chain *c = &b.joint;
    double *transition = TAKE(double, square), *linear = normals(c->n_rows * s, 1.5), *base = normals(GROUPS * j, 1.5);
    double *log_likelihood = (double *)(uintptr_t)c->log_likelihood, *joint = (double *)(uintptr_t)c->transition;
    int32_t *group = TAKE(int32_t, c->n_rows);
    int64_t *sizes = memcpy(TAKE(int64_t, m), k, sizeof(int64_t) * (size_t)m);
    for (int q = 0; q < m; at += k[q] * k[q], q++)
        for (int64_t i = 0; i < k[q]; i++) random_simplex((int)k[q], kind, transition + at + i * k[q]);
    for (int64_t x = 0; x < j; x++)
        for (int64_t y = 0; y < j; y++) {
            int64_t u = x, v = y, end = square;
            joint[x * j + y] = 1;
            for (int q = m - 1; q >= 0; u /= k[q], v /= k[q], q--) {
                end -= k[q] * k[q];
                joint[x * j + y] *= transition[end + u % k[q] * k[q] + v % k[q]];
            }
        }
    for (int64_t t = 0; t < c->n_rows; t++) {
        group[t] = random_below(GROUPS);
        for (int64_t x = 0; x < j; x++) {
            int64_t u = x, end = s;
            double sum = base[group[t] * j + x];
            for (int q = m - 1; q >= 0; u /= k[q], q--) end -= k[q], sum += linear[t * s + end + u % k[q]];
            log_likelihood[t * j + x] = sum;
        }
    }
    int watched = 0;
    for (int64_t i = 0; i < square; i++) watched |= transition[i] == 0;
    b.f = (Factorial){m,      j,    s,     c->n_rows,  n,        sizes,      c->start, transition,
                      linear, base, group, c->offsets, c->order, c->weights, watched};
    return b;
}

/* What the joint states say of each chain: sums over the others. */
static void check_chains(const Both *b, const Expected *e, const double *counts) {
    const Factorial *f = &b->f;
    int64_t j = f->j, inner = j;
    for (int64_t q = 0; q < f->m; q++) {
        int64_t k = f->k[q];
        inner /= k;
        long double *own = ZEROS(long double, k * k);
        for (int64_t x = 0; x < j; x++)
            for (int64_t y = 0; y < j; y++) own[x / inner % k * k + y / inner % k] += e->counts[x * j + y];
        for (int64_t i = 0; i < k * k; i++) CHECK_NEAR(*counts++, own[i], 1e-10 * (1 + (double)f->n_rows));
    }
}

static void check_marginals(const Both *b, int64_t s, const long double *expected, const double *out) {
    const Factorial *f = &b->f;
    for (int64_t t = f->offsets[s]; t < f->offsets[s + 1]; t++)
        for (int64_t q = 0, at = 0, inner = f->j; q < f->m; at += f->k[q++]) {
            inner /= f->k[q];
            for (int64_t i = 0; i < f->k[q]; i++) {
                long double sum = 0;
                for (int64_t x = 0; x < f->j; x++) sum += x / inner % f->k[q] == i ? expected[t * f->j + x] : 0;
                CHECK_NEAR(out[t * f->s + at + i], sum, 1e-10);
            }
        }
}

static int check(const Both *b, int whole) {
    const Factorial *f = &b->f;
    int64_t square = 0;
    int n_unsafe = 0;
    for (int64_t q = 0; q < f->m; q++) square += f->k[q] * f->k[q];
    double *log_p = TAKE(double, f->n), *out = TAKE(double, f->n_rows * f->s);
    double *counts = ZEROS(double, square), *joint = ZEROS(double, GROUPS * f->j);
    CHECK(factorial_smooth(f, 0, f->n, log_p, out, whole ? counts : NULL, whole ? joint : NULL, NULL) == 0);
    CHECK(factorial_smooth(f, f->n, f->n, log_p, out, NULL, NULL, NULL) == 0);
    Expected e = expect(&b->joint);
    long double *expected = ZEROS(long double, GROUPS * f->j);
    for (int64_t s = 0; s < f->n; s++) {
        n_unsafe += isnan(log_p[s]);
        if (isnan(log_p[s])) continue;
        check_log_p(&b->joint, &e, s, log_p[s]);
        check_marginals(b, s, whole ? e.smoothed : e.filtered, out);
        for (int64_t t = f->offsets[s]; t < f->offsets[s + 1]; t++)
            for (int64_t x = 0; x < f->j; x++)
                expected[f->group[t] * f->j + x] += f->weights[s] * e.smoothed[t * f->j + x];
    }
    if (!whole || n_unsafe) return n_unsafe;
    check_chains(b, &e, counts);
    for (int64_t i = 0; i < GROUPS * f->j; i++) CHECK_NEAR(joint[i], expected[i], 1e-10 * (1 + (double)f->n_rows));
    return 0;
}

/* As in test_chain.c: a state that is hardly seen beside an impossible one is the only one that goes on. */
static void test_beside_the_impossible(void) {
    static const double LINEAR[] = {0, -440, -700, -500, -500, 0}, TRANSITION[] = {1, 0, 0, 1, 0, 0, 0, 0, 1},
                        BASE[3] = {0};
    static const int64_t K[] = {3}, OFFSETS[] = {0, 2}, ORDER[] = {0};
    static const int32_t GROUP[2] = {0};
    double *start = TAKE(double, 3), weight = 1;
    for (double rare = 1e-8; rare > 1e-30; rare /= 10) {
        start[0] = 0, start[1] = 1 - rare, start[2] = rare;
        Factorial f = {1, 3, 3, 2, 1, K, start, TRANSITION, LINEAR, BASE, GROUP, OFFSETS, ORDER, &weight, 1};
        double log_p, out[6], counts[9] = {0}, joint[3] = {0};
        CHECK(factorial_smooth(&f, 0, 1, &log_p, out, counts, joint, NULL) == 0);
        if (!isnan(log_p)) CHECK_NEAR(log_p, log(rare) - 700, 1e-10);
    }
    release();
}

int main(void) {
    static const int64_t SIZES[][4] = {{1},       {5},       {16},         {2, 3},       {3, 1},      {1, 9},
                                       {2, 2, 2}, {3, 2, 4}, {2, 3, 2, 2}, {1, 1, 1, 1}, {2, 2, 2, 3}};
    static const int CHAINS[] = {1, 1, 1, 2, 2, 2, 3, 3, 4, 4, 4};
    int n_unsafe = 0;
    test_beside_the_impossible();
    for (int i = 0; i < LENGTH(CHAINS); i++)
        for (int n = 1; n < 6; n += 2) {
            Both b = random_factorial(CHAINS[i], SIZES[i], n, 9, DENSE);
            CHECK(check(&b, 0) == 0 && check(&b, 1) == 0);
            release();
            b = random_factorial(CHAINS[i], SIZES[i], n, 9, SPARSE);
            n_unsafe += check(&b, 1) + check(&b, 0);
            release();
        }
    Both b = random_factorial(3, SIZES[7], 1, 1, DENSE); /* so long that its rows are kept in blocks */
    ((int64_t *)(uintptr_t)b.f.offsets)[1] = 1;
    check(&b, 1);
    release();
    do {
        release();
        b = random_factorial(3, SIZES[7], 1, 9000, DENSE);
    } while (b.f.n_rows < 6000);
    CHECK(rows_of_block(&b.f, b.f.n_rows) < b.f.n_rows);
    CHECK(check(&b, 1) == 0);
    release();
    b = random_factorial(3, SIZES[7], 2, 5, DENSE);
    double *log_p = TAKE(double, 2), *out = TAKE(double, b.f.n_rows * b.f.s), *counts = ZEROS(double, 29),
           *joint = ZEROS(double, GROUPS * 24);
    RUNS_OUT(factorial_smooth(&b.f, 0, 2, log_p, out, counts, joint, NULL), NO_MEMORY, 0);
    release();
    return 0;
}
