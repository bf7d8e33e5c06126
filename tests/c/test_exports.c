/* Tests of exports.c: what Python calls gives what the functions behind it give, and says so where memory runs out. */
#include "models.h"
#include "reduce.h"

int reduce_network(int n, int m, const int32_t *sizes, const int64_t *starts, const int32_t *scopes,
                   const int64_t *value_starts, const double *values, const int32_t *evidence, const int32_t *child,
                   const uint8_t *wanted, int merge, int32_t *ints, int64_t *longs, double *doubles, Caller caller);
int greedy_tree(int n, int m, const int64_t *starts, const int32_t *scopes, const double *log_size, const uint8_t *keep,
                int heuristic, double noise, uint64_t seed, double limit, double seconds, int32_t *pairs,
                double *price, Caller caller);
int greedy_order(int n, int m, const int64_t *starts, const int32_t *scopes, const double *log_size,
                 const uint8_t *keep, int heuristic, double noise, uint64_t seed, double limit, double seconds,
                 int32_t *order, int32_t *order_len, Caller caller);
int tree_from_order(int n, int m, const int64_t *starts, const int32_t *scopes, const double *log_size,
                    const uint8_t *keep, const int32_t *order, int order_len, int32_t *pairs, Caller caller);
int tree_cost(int n, int m, const int64_t *starts, const int32_t *scopes, const double *log_size, const uint8_t *keep,
              const int32_t *pairs, double *price, Caller caller);
int tree_widest(int n, int m, const int64_t *starts, const int32_t *scopes, const double *log_size, const uint8_t *keep,
                const int32_t *pairs, double threshold, double *weight, int32_t *legs, Caller caller);
int anneal_tree(int n, int m, const int64_t *starts, const int32_t *scopes, const double *log_size, const uint8_t *keep,
                int32_t *pairs, double beta0, double beta1, int n_betas, int sweeps, double traffic, double seconds,
                uint64_t seed, Caller caller);

#define NETWORK(net) (net).n, (net).m, (net).starts, (net).scopes, (net).log_size, (net).keep

/* The new network over the variables that are left sums to what the old one does, and the buffers are long enough. */
static void check_reduced(const Model *model, const int32_t *evidence, int merge, int run_out) {
    const Tables *t = &model->tables;
    int n = t->n, m = t->m;
    int32_t *ints = TAKE(int32_t, 3 * n + model->n_scope + model->n_states + m);
    int64_t *longs = TAKE(int64_t, 2 * m + 5);
    double *doubles = TAKE(double, model->n_values + 2);
#define REDUCE                                                                                                    \
    reduce_network(n, m, t->sizes, t->starts, t->scopes, t->value_starts, t->values, evidence, NULL, NULL, merge, \
                   ints, longs, doubles, NULL)
    if (run_out)
        RUNS_OUT(REDUCE, NO_MEMORY, 0);
    else
        CHECK(REDUCE == 0);
    long double z = sum_over(model, evidence, NULL);
    if (longs[0]) {
        CHECK(z == 0);
        return;
    }
    const int32_t *index = ints + n + model->n_scope, *n_kept = index + n + model->n_states, *factor = n_kept + n;
    Model left = {.tables = {(int)longs[1], (int)longs[2], ints, longs + 3, ints + n, longs + 4 + m, doubles + 2}};
    left.n_joint = 1;
    int k = 0;
    for (int v = 0; v < n; v++) {
        CHECK((index[v] < 0) == (n_kept[v] == 1));
        if (index[v] >= 0) CHECK(ints[index[v]] == n_kept[v]);
        left.n_joint *= n_kept[v];
    }
    for (int j = 0; j < m; j++) CHECK(factor[j] == -1 || factor[j] == k++);
    CHECK(k == left.tables.m && left.tables.value_starts[k] <= model->n_values);
    long double sum = ldexpl(sum_over(&left, NULL, NULL) * doubles[0], (int)doubles[1]);
    CHECK_NEAR(sum / (z > 0 ? z : 1), z > 0, 1e-12);
}

static void test_reduce(void) {
    for (int i = 0; i < 200; i++) {
        Model model = random_model(1 + random_below(6), random_below(8), 4, 3, i % KINDS, -1, 0);
        int32_t *evidence = TAKE(int32_t, model.tables.n);
        for (int v = 0; v < model.tables.n; v++)
            evidence[v] = random_below(3) ? -1 : random_below(model.tables.sizes[v]);
        check_reduced(&model, evidence, i % 2, i % 20 == 0);
        release();
    }
}

static void test_trees(void) {
    Network net = random_scopes(25, 30, 3, 0);
    int32_t *order = TAKE(int32_t, 25), *len = TAKE(int32_t, 1), *pairs = TAKE(int32_t, 58), *same = TAKE(int32_t, 58),
            *legs = TAKE(int32_t, 25);
    double *price = TAKE(double, N_PRICES), *again = TAKE(double, N_PRICES), *weight = ZEROS(double, 25);
    RUNS_OUT(greedy_order(NETWORK(net), 1, 0, 3, 1000, 1000, order, len, NULL), NO_MEMORY, 1);
    CHECK(*len == 25);
    RUNS_OUT(tree_from_order(NETWORK(net), order, *len, pairs, NULL), NO_MEMORY, 0);
    check_tree(&net, pairs);
    RUNS_OUT(greedy_tree(NETWORK(net), 1, 0, 3, 1000, 1000, same, price, NULL), NO_MEMORY, 1);
    CHECK(!memcmp(pairs, same, 58 * sizeof *pairs));
    RUNS_OUT(tree_cost(NETWORK(net), pairs, again, NULL), NO_MEMORY, 0);
    CHECK(!memcmp(price, again, N_PRICES * sizeof *price));
    int widest = tree_widest(NETWORK(net), pairs, INFINITY, weight, legs, NULL);
    double size = 0;
    for (int i = 0; i < widest; i++) size += net.log_size[legs[i]];
    for (int v = 0; v < 25; v++) CHECK(weight[v] == 0);
    CHECK(size >= price[1] - 1e-9);
    RUNS_OUT(tree_widest(NETWORK(net), pairs, INFINITY, weight, legs, NULL), NO_MEMORY, widest);
    CHECK(greedy_order(NETWORK(net), 1, 0, 3, 1, 1000, order, len, NULL) == 0); /* beyond the limit */
    CHECK(greedy_tree(NETWORK(net), 1, 0, 3, 1, 1000, same, price, NULL) == 0);
    RUNS_OUT(anneal_tree(NETWORK(net), pairs, 1, 30, 10, 10, 3, 1000, 1, NULL), NO_MEMORY, 0);
    check_tree(&net, pairs);
    release();
}

int main(void) {
    test_trees();
    test_reduce();
    return 0;
}
