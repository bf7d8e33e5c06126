/* Tests of run.c, leaves.c, walk.c: sums, marginals, posteriors of entries, states and samples along random
 * trees, against sums over all joint states. */
#include "models.h"
#include "run.h"

int run_tree(int n, int m, const int32_t *sizes, const int64_t *starts, const int32_t *scopes,
             const int64_t *value_starts, const double *values, const uint8_t *keep, const int32_t *pairs, int task,
             int semiring, int row, double *log_z, double *root, double *marginals, int64_t n_samples,
             const double *uniforms, int32_t *states, int64_t *peak, int blas, Caller caller);

static const int SEMIRINGS[] = {SUM_PRODUCT, LOG_SUM_EXP};

static int run_model(const Model *model, const int32_t *pairs, int task, int semiring, int row, Answer *to) {
    const Tables *t = &model->tables;
    return run_tree(t->n, t->m, t->sizes, t->starts, t->scopes, t->value_starts, t->values, model->net.keep, pairs,
                    task, semiring, row, to->log_z, to->root, to->marginals, to->n_samples, to->uniforms, to->states,
                    &to->peak, 0, NULL);
}

/* The sum over the joint states in row r, and over those with state s of variable v among them. */
static long double sum_in_row(const Model *model, int row, int32_t r, int v, int32_t s) {
    int32_t evidence[MOST_VARIABLES];
    for (int u = 0; u < model->tables.n; u++) evidence[u] = u == row ? r : u == v ? s : -1;
    return sum_over(model, evidence, NULL);
}

static void check_log_z(const Model *model, int row, int status, const double *log_z) {
    int n_rows = row < 0 ? 1 : model->tables.sizes[row], zero = 0;
    for (int32_t r = 0; r < n_rows; r++) {
        long double z = sum_in_row(model, row, r, -1, 0);
        zero |= z == 0;
        CHECK_NEAR(log_z[r], logl(z), 1e-10 * (1 + fabsl(logl(z))));
    }
    CHECK(status == (zero ? ZERO : OK));
}

static void check_marginals(const Model *model, int row, const double *marginals) {
    int n_rows = row < 0 ? 1 : model->tables.sizes[row];
    for (int v = 0; v < model->tables.n; v++)
        for (int32_t s = 0; s < model->tables.sizes[v]; s++)
            for (int32_t r = 0; r < n_rows; r++, marginals++) {
                long double z = sum_in_row(model, row, r, -1, 0);
                if (v != row && z > 0) CHECK_NEAR(*marginals, sum_in_row(model, row, r, v, s) / z, 1e-10);
            }
}

static void check_entries(const Model *model, int row, const double *found) {
    int32_t state[MOST_VARIABLES];
    const Tables *t = &model->tables;
    long double *expected = ZEROS(long double, model->n_values);
    for (int64_t i = 0; i < model->n_joint; i++) {
        states_of(model, i, state);
        long double z = sum_in_row(model, row, row < 0 ? 0 : state[row], -1, 0);
        for (int j = 0; j < t->m && z > 0; j++) expected[entry_of(t, j, state)] += weight_of(t, state) / z;
    }
    for (int64_t i = 0; i < model->n_values; i++)
        if (!isnan(found[i])) CHECK_NEAR(found[i], expected[i], 1e-10);
}

/* A run that is not said to be unsafe is right; with logarithms none is unsafe. */
static int check_sums(const Model *model, int semiring, int row) {
    const int32_t *pairs = random_pairs(model->tables.m);
    int n_rows = row < 0 ? 1 : model->tables.sizes[row], safe = 1;
    Answer to = {.log_z = TAKE(double, n_rows)};
    int status = run_model(model, pairs, EVIDENCE, semiring, row, &to);
    if (status != UNSAFE) check_log_z(model, row, status, to.log_z);
    safe &= status != UNSAFE;
    to.marginals = TAKE(double, model->n_states * n_rows);
    status = run_model(model, pairs, MARGINALS, semiring, row, &to);
    if (status != UNSAFE) check_log_z(model, row, status, to.log_z);
    if (status == OK || (status == ZERO && row >= 0)) check_marginals(model, row, to.marginals);
    safe &= status != UNSAFE;
    CHECK(to.peak > 0);
    CHECK(safe || semiring == SUM_PRODUCT);
    return safe;
}

static void check_posteriors(const Model *model, int semiring, int row) {
    int n_rows = row < 0 ? 1 : model->tables.sizes[row];
    Answer to = {.log_z = TAKE(double, n_rows), .marginals = TAKE(double, model->n_values)};
    int status = run_model(model, random_pairs(model->tables.m), ENTRIES, semiring, row, &to);
    CHECK(status != UNSAFE || semiring == SUM_PRODUCT);
    if (status == OK || (status == ZERO && row >= 0)) check_entries(model, row, to.marginals);
}

static void test_sums(void) {
    int n_safe = 0, n_all = 0;
    for (int i = 0; i < 600; i++) {
        int n = 1 + random_below(5), kind = i % KINDS, semiring = SEMIRINGS[i / KINDS % 2];
        int row = semiring == SUM_PRODUCT && i % 3 == 0 ? random_below(n) : -1;
        Model model = random_model(n, 1 + random_below(7), 3, 3, kind, row, 0);
        int safe = check_sums(&model, semiring, row);
        if (kind != EXTREME) n_all++, n_safe += safe;
        model = random_model(n, 1 + random_below(7), 3, 3, kind, row, row >= 0);
        check_posteriors(&model, semiring, row);
        release();
    }
    CHECK(n_safe == n_all);
}

/* The table over the kept variables, exp(log_z) taken out, is proportional to their sums. */
static void test_root(void) {
    for (int i = 0; i < 100; i++) {
        Model model =
            random_model(1 + random_below(5), 1 + random_below(6), 3, 3, i % 2 ? WITH_ZEROS : CONDITIONAL, -1, 0);
        const Tables *t = &model.tables;
        uint8_t *keep = (uint8_t *)(uintptr_t)model.net.keep, *held = ZEROS(uint8_t, t->n);
        int32_t state[MOST_VARIABLES], evidence[MOST_VARIABLES];
        int64_t size = 1;
        for (int64_t k = 0; k < model.n_scope; k++) held[t->scopes[k]] = 1;
        for (int v = 0; v < t->n; v++) keep[v] = held[v] && random_below(2), size *= keep[v] ? t->sizes[v] : 1;
        Answer to = {.log_z = TAKE(double, 1), .root = TAKE(double, size)};
        CHECK(run_model(&model, random_pairs(t->m), EVIDENCE, SUM_PRODUCT, -1, &to) == OK);
        for (int64_t k = 0; k < model.n_joint; k++) {
            int64_t at = 0;
            states_of(&model, k, state);
            for (int v = 0; v < t->n; v++) {
                evidence[v] = keep[v] ? state[v] : -1;
                if (keep[v]) at = at * t->sizes[v] + state[v];
            }
            long double z = sum_over(&model, evidence, NULL);
            CHECK_NEAR(to.root[at] * exp(*to.log_z), z, 1e-12 * z);
        }
        release();
    }
}

static long double largest_weight(const Model *model) {
    int32_t state[MOST_VARIABLES];
    long double best = 0;
    for (int64_t i = 0; i < model->n_joint; i++) {
        states_of(model, i, state);
        long double w = weight_of(&model->tables, state);
        best = w > best ? w : best;
    }
    return best;
}

static void check_in_range(const Model *model, const int32_t *state) {
    for (int v = 0; v < model->tables.n; v++) CHECK(state[v] >= 0 && state[v] < model->tables.sizes[v]);
}

static void test_most_probable(void) {
    for (int i = 0; i < 200; i++) {
        Model model = random_model(1 + random_below(5), 1 + random_below(7), 3, 3, i % KINDS, -1, 0);
        long double best = largest_weight(&model);
        Answer to = {.log_z = TAKE(double, 1), .n_samples = 1, .states = ZEROS(int32_t, model.tables.n)};
        int status = run_model(&model, random_pairs(model.tables.m), WALK, MAX_PLUS, -1, &to);
        CHECK(status == (best > 0 ? OK : ZERO));
        CHECK_NEAR(*to.log_z, logl(best), 1e-10 * (1 + fabsl(logl(best))));
        check_in_range(&model, to.states);
        if (best > 0)
            CHECK_NEAR(logl(weight_of(&model.tables, to.states)), logl(best), 1e-10 * (1 + fabsl(logl(best))));
        release();
    }
}

/* Samples in two semirings from the same numbers, their frequencies against the marginals: five standard errors. */
static void test_samples(void) {
    enum { N = 4000 };
    for (int i = 0; i < 24; i++) {
        Model model =
            random_model(1 + random_below(4), 1 + random_below(5), 3, 3, i % 2 ? WITH_ZEROS : CONDITIONAL, -1, 0);
        const Tables *t = &model.tables;
        long double *marginals = TAKE(long double, model.n_states), z = sum_over(&model, NULL, marginals);
        double *uniforms = TAKE(double, (int64_t)N * 2 * t->m);
        uint8_t *held = ZEROS(uint8_t, t->n);
        for (int64_t k = 0; k < model.n_scope; k++) held[t->scopes[k]] = 1;
        for (int64_t k = 0; k < (int64_t)N * 2 * t->m; k++) uniforms[k] = k % 97 ? random_unit() : 0;
        Answer to = {
            .log_z = TAKE(double, 1), .n_samples = N, .uniforms = uniforms, .states = ZEROS(int32_t, N * t->n)};
        int status = run_model(&model, random_pairs(t->m), WALK, SEMIRINGS[i % 4 / 2], -1, &to);
        CHECK(status == (z > 0 ? OK : ZERO));
        if (z == 0) continue;
        int64_t *counts = ZEROS(int64_t, model.n_states);
        for (int64_t s = 0; s < N; s++) {
            const int32_t *state = to.states + s * t->n;
            check_in_range(&model, state);
            CHECK(weight_of(t, state) > 0);
            for (int64_t v = 0, at = 0; v < t->n; at += t->sizes[v++]) counts[at + state[v]]++;
        }
        for (int64_t v = 0, at = 0; v < t->n; at += t->sizes[v++])
            for (int s = 0; s < t->sizes[v] && held[v]; s++) {
                double p = (double)(marginals[at + s] / z);
                CHECK_NEAR((double)counts[at + s] / N, p, 5 * sqrt(p * (1 - p) / N) + 0.02); /* one in 97 is zero */
            }
        release();
    }
}

static void test_memory(void) {
    Model model = random_model(5, 7, 3, 3, POSITIVE, -1, 0);
    const int32_t *pairs = random_pairs(7);
    Answer to = {.log_z = TAKE(double, 1), .marginals = TAKE(double, model.n_states + model.n_values)};
    RUNS_OUT(run_model(&model, pairs, MARGINALS, SUM_PRODUCT, -1, &to), NO_MEMORY, OK);
    check_log_z(&model, -1, OK, to.log_z);
    check_marginals(&model, -1, to.marginals);
    RUNS_OUT(run_model(&model, pairs, ENTRIES, LOG_SUM_EXP, -1, &to), NO_MEMORY, OK);
    to.n_samples = 3, to.states = ZEROS(int32_t, 15);
    RUNS_OUT(run_model(&model, pairs, WALK, MAX_PLUS, -1, &to), NO_MEMORY, OK);
    release();
}

int main(void) {
    test_memory();
    test_sums();
    test_root();
    test_most_probable();
    test_samples();
    release();
    return 0;
}
