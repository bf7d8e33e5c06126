/* Tests of count.c, count_clauses.c, count_simplify.c, count_eliminate.c, count_probe.c: what is made of tables, and
 * what is made simpler, has the sum that it had, and answers are those of the sum over all joint states. */
#include "formulas.h"

enum { EVIDENCE, MARGINALS, WALK_DOWN };

int count_tables(int n, int m, const int32_t *sizes, const int64_t *starts, const int32_t *scopes,
                 const int64_t *value_starts, const double *values, int task, int n_samples, uint64_t seed,
                 const double *terms, double *log_z, double *marginals, int32_t *states, double *told, Caller caller);

static double terms[4] = {1e7, INFINITY, 10, INFINITY};

/* Clauses say of every joint state what the tables say. */
static int test_clauses(int kind) {
    Model model = random_model(1 + random_below(5), random_below(7), 4, 4, kind, -1, 0);
    const Tables *t = &model.tables;
    REGION(NULL)
    Formula f;
    int32_t *first = TAKE(int32_t, t->n), state[MOST_VARIABLES];
    CHECK(formula_of_tables(&f, t, first));
    for (int64_t i = 0; i < model.n_joint && !f.extreme; i++) {
        uint32_t bits = 0;
        states_of(&model, i, state);
        for (int v = 0; v < t->n; v++)
            for (int k = 0; k < t->sizes[v]; k++) {
                int32_t l = literal_of(t->sizes[v], first[v], k);
                if ((state[v] == k) != (l & 1)) bits |= 1u << (l >> 1);
            }
        long double w = weight_of(t, state);
        CHECK_NEAR(product_of(&f, bits), w, 1e-12L * w);
    }
    region_leave();
    release();
    return 0;
}

/* A table with an entry that is unlike all others is one clause, however many axes it has. */
static int test_short_clauses(void) {
    REGION(NULL)
    enum { ND = 12 };
    int32_t sizes[ND], scope[ND], first[ND];
    int64_t starts[2] = {0, ND}, value_starts[2] = {0, 1 << ND};
    double *values = TAKE(double, 1 << ND);
    for (int i = 0; i < ND; i++) sizes[i] = 2, scope[i] = i;
    for (int i = 0; i < 1 << ND; i++) values[i] = 0.5;
    values[1234] = 0;
    Formula f;
    CHECK(formula_of_tables(&f, &(Tables){ND, 1, sizes, starts, scope, value_starts, values}, first));
    CHECK(f.m == 1 && f.clauses[0].len == ND && f.clauses[0].factor == 0 && f.constant.m == 0.5);
    values[1235] = 0; /* and the last axis does not matter */
    CHECK(formula_of_tables(&f, &(Tables){ND, 1, sizes, starts, scope, value_starts, values}, first));
    CHECK(f.m == 1 && f.clauses[0].len == ND - 1);
    sizes[0] = 65;
    CHECK(!formula_of_tables(&f, &(Tables){1, 0, sizes, (int64_t[]){0}, NULL, (int64_t[]){0}, NULL}, first));
    region_leave();
    release();
    return 0;
}

/* The sum stays, and states that are drawn or found for what was summed out are possible. */
static int test_simplify(int i) {
    REGION(NULL)
    Formula f = random_formula(1 + random_below(9), random_below(24), 4), before = formula_copy(&f);
    uint8_t *kept = TAKE(uint8_t, f.n), is_true[16];
    int32_t *image = TAKE(int32_t, f.n);
    Summed summed = {0};
    for (int v = 0; v < f.n; v++) kept[v] = !random_below(3);
    long double z = sum_of(&f);
    formula_simplify(&f, &(Effort){i % 3, i % 2 ? kept : NULL, 1 << 20}, image, &summed);
    CHECK_NEAR(sum_of(&f), z, 1e-12L * z);
    for (int v = 0; v < before.n; v++) CHECK(z == 0 || image[v] != SUMMED_OUT || (i % 3 && !(i % 2 && kept[v])));
    uint64_t random = seeded((uint64_t)i);
    for (uint32_t s = 0; s < 1u << f.n && z > 0; s++) {
        uint32_t whole = 0;
        long double w = product_of(&f, s);
        for (int v = 0; v < before.n; v++)
            is_true[v] = image[v] == IS_TRUE || (image[v] >= 0 && (int)(s >> (image[v] >> 1) & 1) != (image[v] & 1));
        summed_states(&summed, is_true, &random);
        for (int v = 0; v < before.n; v++) whole |= (uint32_t)is_true[v] << v;
        CHECK((product_of(&before, whole) > 0) == (w > 0) || w == 0);
        if (i % 3 == DEFINED) CHECK_NEAR(product_of(&before, whole), w, 1e-12L * w);
    }
    region_leave();
    release();
    return 0;
}

#define COUNT(task, n_samples)                                                                                     \
    count_tables(t->n, t->m, t->sizes, t->starts, t->scopes, t->value_starts, t->values, task, n_samples, 7, terms, \
                 log_z, out, states, told, NULL)

static void check_walk(const Model *model, double *log_z, double *out, int32_t *states, double *told) {
    const Tables *t = &model->tables;
    int32_t state[MOST_VARIABLES];
    long double best = 0;
    for (int64_t i = 0; i < model->n_joint; i++) {
        states_of(model, i, state);
        long double w = weight_of(t, state);
        if (w > best) best = w;
    }
    CHECK(COUNT(WALK_DOWN, 0) == SOLVED);
    CHECK_NEAR(*log_z, logl(best), 1e-10);
    if (best > 0) CHECK_NEAR(weight_of(t, states), best, 1e-10L * best);
    CHECK(COUNT(WALK_DOWN, 5) == SOLVED);
    for (int i = 0; i < 5 && best > 0; i++) CHECK(weight_of(t, states + i * t->n) > 0);
}

static int test_random(int i) {
    Model model = random_model(1 + random_below(6), random_below(9), 3, 4, i % KINDS, -1, 0);
    const Tables *t = &model.tables;
    double *out = TAKE(double, model.n_states), *log_z = TAKE(double, 1), *told = TAKE(double, 8);
    int32_t *states = TAKE(int32_t, 5 * t->n);
    long double *marginals = TAKE(long double, model.n_states), z = sum_over(&model, NULL, marginals);
    int status = COUNT(EVIDENCE, 0);
    CHECK(status == SOLVED || (status == UNSUITED && i % KINDS == EXTREME));
    if (status == SOLVED) {
        CHECK_NEAR(*log_z, logl(z), 1e-10 * (1 + fabsl(logl(z))));
        if (i % 10 == 0) RUNS_OUT(COUNT(MARGINALS, 0), NO_MEMORY, SOLVED);
        else CHECK(COUNT(MARGINALS, 0) == SOLVED);
        for (int64_t k = 0; k < model.n_states && z > 0; k++) CHECK_NEAR(out[k], marginals[k] / z, 1e-10);
        check_walk(&model, log_z, out, states, told);
    }
    release();
    return status == SOLVED;
}

/* A chain of tables of ones: 2^2000 states. */
static void test_large(void) {
    enum { N = 2000 };
    int32_t *sizes = TAKE(int32_t, N), *scopes = TAKE(int32_t, 2 * N);
    int64_t *starts = TAKE(int64_t, N), *value_starts = TAKE(int64_t, N);
    double *values = TAKE(double, 4 * N), *out = TAKE(double, 2 * N), log_z[1], told[8];
    int32_t *states = TAKE(int32_t, N);
    for (int v = 0; v < N; v++) sizes[v] = 2, starts[v] = 2 * v, value_starts[v] = 4 * v;
    for (int v = 0; v < N - 1; v++) scopes[2 * v] = v, scopes[2 * v + 1] = v + 1;
    for (int i = 0; i < 4 * N; i++) values[i] = i % 4 ? 1 : 0; /* no two zeros side by side */
    Tables tables = {N, N - 1, sizes, starts, scopes, value_starts, values}, *t = &tables;
    CHECK(COUNT(MARGINALS, 0) == SOLVED);
    double a = 1, b = 1, scale = 0; /* Fibonacci */
    for (int v = 0; v < N; v++) {
        double c = a + b;
        a = b, b = c;
        if (b > 1e100) a *= 1e-100, b *= 1e-100, scale += 100 * log(10);
    }
    CHECK_NEAR(*log_z, log(b) + scale, 1e-9);
    CHECK_NEAR(out[2], 1 - out[3], 1e-12);
    terms[1] = 100;
    CHECK(COUNT(EVIDENCE, 0) == OUT_OF_WORK);
    terms[1] = INFINITY, terms[3] = 0;
    CHECK(COUNT(EVIDENCE, 0) == OUT_OF_WORK || *log_z > 0);
    terms[3] = INFINITY, terms[0] = 1e4;
    CHECK(COUNT(MARGINALS, 0) == OUT_OF_ROOM);
    terms[0] = 1e7;
    release();
}

int main(void) {
    int n = 0;
    for (int i = 0; i < 300; i++) test_clauses(i % KINDS);
    test_short_clauses();
    for (int i = 0; i < 3000; i++)
        if (chosen(4)) test_simplify(i);
    for (int i = 0; i < 400; i++)
        if (chosen(2)) n += test_random(i);
    CHECK(n > 100);
    test_large();
    return 0;
}
