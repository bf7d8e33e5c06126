/* Tests of wasm.c: what a page is told is what sums and maxima over all joint states give. */
#include "models.h"

enum { FOUND = 0, IMPOSSIBLE = 1, DECLINED = 3 };

int ask_network(int n, int m, const int32_t *sizes, const int64_t *starts, const int32_t *scopes,
                const int64_t *value_starts, const double *values, const int32_t *evidence,
                const double *terms, double patience, double *price, double *out, int32_t *states, Caller caller);
int why_trapped(void);

static double terms[4 + N_PRICES] = {1e9, 1e9}, price[N_PRICES + 1];

static int ask(const Model *model, const int32_t *evidence, double *out, int32_t *states) {
    const Tables *t = &model->tables;
    return ask_network(t->n, t->m, t->sizes, t->starts, t->scopes, t->value_starts, t->values, evidence, terms,
                       0.001, price, out, states, NULL);
}

/* The largest weight of all joint states that agree with the evidence, and of those that have each state. */
static long double maximum_over(const Model *model, const int32_t *evidence, long double *maxima) {
    int32_t state[MOST_VARIABLES];
    long double best = 0;
    for (int64_t i = 0; i < model->n_states; i++) maxima[i] = 0;
    for (int64_t i = 0; i < model->n_joint; i++) {
        states_of(model, i, state);
        if (!agrees(model, state, evidence)) continue;
        long double w = weight_of(&model->tables, state);
        best = w > best ? w : best;
        for (int64_t v = 0, at = 0; v < model->tables.n; at += model->tables.sizes[v++])
            maxima[at + state[v]] = fmaxl(maxima[at + state[v]], w);
    }
    return best;
}

static void test_random(int kind) {
    Model model = random_model(1 + random_below(6), random_below(8), 3, 3, kind, -1, 0);
    int n = model.tables.n;
    int32_t *evidence = TAKE(int32_t, n), *states = TAKE(int32_t, n);
    for (int v = 0; v < n; v++) evidence[v] = random_below(3) ? -1 : random_below(model.tables.sizes[v]);
    double *out = TAKE(double, model.n_states + 1);
    long double *expected = TAKE(long double, model.n_states), z = sum_over(&model, evidence, expected);
    if (z == 0 || z < 1e-4900L) { /* those of EXTREME may leave the long doubles */
        CHECK(z != 0 || kind == EXTREME || ask(&model, evidence, out, NULL) == IMPOSSIBLE);
        CHECK(z != 0 || kind == EXTREME || ask(&model, evidence, out, states) == IMPOSSIBLE);
        release();
        return;
    }
    CHECK(ask(&model, evidence, out, NULL) == FOUND);
    CHECK_NEAR(out[0], logl(z), 1e-10 * (1 + fabsl(logl(z))));
    for (int64_t i = 0; i < model.n_states; i++) CHECK_NEAR(out[1 + i], expected[i] / z, 1e-10);
    long double best = maximum_over(&model, evidence, expected);
    CHECK(ask(&model, evidence, out, states) == FOUND);
    CHECK_NEAR(out[0], logl(best), 1e-10 * (1 + fabsl(logl(best))));
    CHECK(agrees(&model, states, evidence));
    CHECK_NEAR(logl(weight_of(&model.tables, states)), logl(best), 1e-10 * (1 + fabsl(logl(best))));
    for (int64_t i = 0; i < model.n_states; i++)
        CHECK_NEAR(out[1 + i], logl(expected[i]), 1e-10 * (1 + fabsl(logl(expected[i]))));
    release();
}

/* A ring of so many variables of three states. */
static Model ring(int n) {
    Model model = random_model(n, n, 1, 1, POSITIVE, -1, 0);
    int32_t *sizes = TAKE(int32_t, n), *scopes = TAKE(int32_t, 2 * n);
    int64_t *starts = TAKE(int64_t, n + 1), *value_starts = TAKE(int64_t, n + 1);
    double *values = TAKE(double, 9 * n);
    for (int v = 0; v < n; v++) sizes[v] = 3, scopes[2 * v] = v, scopes[2 * v + 1] = (v + 1) % n;
    for (int j = 0; j <= n; j++) starts[j] = 2 * j, value_starts[j] = 9 * j;
    for (int i = 0; i < 9 * n; i++) values[i] = random_entry(POSITIVE);
    model.tables = (Tables){n, n, sizes, starts, scopes, value_starts, values};
    model.n_states = 3 * n;
    return model;
}

static void test_prices(void) {
    Model model = ring(8);
    int32_t nothing[8] = {-1, -1, -1, -1, -1, -1, -1, -1}, one[8] = {2, -1, -1, -1, -1, -1, -1, -1};
    double *out = TAKE(double, model.n_states + 1);
    terms[2] = 1, terms[3] = 0.5; /* seconds of a call and of a step */
    CHECK(ask(&model, nothing, NULL, NULL) == DECLINED);
    CHECK_NEAR(price[1], log2(9), 1e-9);
    CHECK_NEAR(price[N_PRICES], 1 + 0.5 * 7, 1e-9);
    CHECK(ask(&model, one, NULL, NULL) == DECLINED); /* a chain is left */
    CHECK_NEAR(price[1], log2(3), 1e-9);
    terms[1] = 4;
    CHECK(ask(&model, nothing, out, NULL) == DECLINED);
    terms[1] = 5;
    CHECK(ask(&model, nothing, out, NULL) == FOUND);
    terms[0] = price[6] + price[8] - 1;
    CHECK(ask(&model, nothing, out, NULL) == DECLINED);
    terms[0] = terms[1] = 1e9, terms[2] = terms[3] = 0;
    RUNS_OUT(ask(&model, nothing, out, NULL), NO_MEMORY, FOUND);
    CHECK(why_trapped() == NO_MEMORY || !EACH_ALONE);
    release();
}

int main(void) {
    test_prices();
    for (int i = 0; i < 200; i++)
        for (int kind = 0; kind < KINDS; kind++) test_random(kind);
    return 0;
}
