/* Tests of query.c: a query in one call gives the marginals of the sum over all joint states, or declines. */
#include "models.h"

enum { OK = 0, DECLINED = 3 };

int query_marginals(int n, int m, const int32_t *sizes, const int64_t *starts, const int32_t *scopes,
                    const int64_t *value_starts, const double *values, const int32_t *evidence, const int32_t *child,
                    const uint8_t *wanted, const double *terms, int heuristic, double limit, double seconds,
                    double *out, int32_t *pairs, Caller caller);

static double terms[3 + 1 + N_PRICES] = {1e9, 1e9};
static const int32_t *child; /* whose conditional table each factor is, where barren variables are to be dropped */
static const uint8_t *wanted;

static int query(const Model *model, const int32_t *evidence, int heuristic, double *out, int32_t *pairs) {
    const Tables *t = &model->tables;
    return query_marginals(t->n, t->m, t->sizes, t->starts, t->scopes, t->value_starts, t->values, evidence, child,
                           wanted, terms, heuristic, 1000, 1000, out, pairs, NULL);
}

static int test_random(int kind) {
    Model model = random_model(1 + random_below(6), 1 + random_below(8), 3, 3, kind, -1, 0);
    int32_t *evidence = TAKE(int32_t, model.tables.n), *pairs = TAKE(int32_t, 2 * model.tables.m);
    for (int v = 0; v < model.tables.n; v++) evidence[v] = random_below(3) ? -1 : random_below(model.tables.sizes[v]);
    double *out = TAKE(double, model.n_states + 1 + N_PRICES);
    long double *marginals = TAKE(long double, model.n_states), z = sum_over(&model, evidence, marginals);
    int status = query(&model, evidence, random_below(4), out, pairs);
    CHECK(status == OK || status == DECLINED);
    if (status == OK) {
        CHECK(z > 0);
        CHECK_NEAR(out[model.n_states], logl(z), 1e-10 * (1 + fabsl(logl(z))));
        for (int64_t i = 0; i < model.n_states; i++) CHECK_NEAR(out[i], marginals[i] / z, 1e-10);
    }
    release();
    return status == OK;
}

/* Where barren variables are dropped, what is wanted and log Z of it stay as they are. */
static int test_pruned(void) {
    Model model = random_model(2 + random_below(5), 1 + random_below(8), 3, 3, CONDITIONAL, -1, 0);
    const Tables *t = &model.tables;
    int32_t *evidence = TAKE(int32_t, t->n), *pairs = TAKE(int32_t, 2 * t->m), *of = TAKE(int32_t, t->m);
    uint8_t *asked = TAKE(uint8_t, t->n);
    for (int v = 0; v < t->n; v++) {
        evidence[v] = random_below(4) ? -1 : random_below(t->sizes[v]);
        asked[v] = evidence[v] >= 0 || !random_below(3);
    }
    for (int j = 0; j < t->m; j++) of[j] = t->starts[j + 1] > t->starts[j] ? t->scopes[t->starts[j + 1] - 1] : -1;
    double *out = TAKE(double, model.n_states + 1 + N_PRICES);
    long double *marginals = TAKE(long double, model.n_states), z = sum_over(&model, evidence, marginals);
    child = of, wanted = asked;
    int status = query(&model, evidence, random_below(4), out, pairs);
    child = NULL, wanted = NULL;
    if (status == OK) {
        CHECK_NEAR(out[model.n_states], logl(z), 1e-10 * (1 + fabsl(logl(z))));
        for (int64_t v = 0, i = 0; v < t->n; v++)
            for (int s = 0; s < t->sizes[v]; s++, i++)
                if (asked[v]) CHECK_NEAR(out[i], marginals[i] / z, 1e-10);
    }
    release();
    return status == OK;
}

/* A chain of three variables that is always answered, on whatever terms allow it. */
static Model chain(void) {
    Model model;
    do {
        release();
        model = random_model(3, 3, 3, 3, POSITIVE, -1, 0);
    } while (model.n_scope < 5 || model.n_joint < 8 || model.n_values < 8);
    return model;
}

static void test_terms(void) {
    static const int32_t nothing[] = {-1, -1, -1}, all[] = {0, 0, 0};
    Model model = chain();
    double *out = TAKE(double, model.n_states + 1 + N_PRICES);
    int32_t *pairs = TAKE(int32_t, 2 * model.tables.m);
    RUNS_OUT(query(&model, nothing, 0, out, pairs), NO_MEMORY, OK);
    CHECK(query(&model, all, 0, out, pairs) == DECLINED); /* nothing is left to be summed */
    terms[0] = 1;
    CHECK(query(&model, nothing, 0, out, pairs) == DECLINED);
    terms[0] = 1e9, terms[1] = -1;
    CHECK(query(&model, nothing, 0, out, pairs) == DECLINED);
    terms[1] = 1, terms[2] = 2; /* the call alone takes too long */
    CHECK(query(&model, nothing, 0, out, pairs) == DECLINED);
    terms[1] = 1e9, terms[2] = 0;
    CHECK(query(&model, nothing, 0, out, pairs) == OK);
    release();
}

int main(void) {
    int n = 0, pruned = 0;
    test_terms();
    for (int i = 0; i < 300; i++) {
        n += test_random(POSITIVE);
        test_random(WITH_ZEROS);
        test_random(EXTREME);
        test_random(CONDITIONAL);
        pruned += test_pruned();
    }
    CHECK(n > 150 && pruned > 100);
    return 0;
}
