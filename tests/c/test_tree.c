/* Tests of tree.c: prices of trees against the sets of their nodes, and trees made from orders. */
#include "trees.h"

static void check_price(const Network *net, const int32_t *pairs) {
    static const int SUMS[] = {0, 1, 2, 3, 4, 5, 7, 8};
    double *price = TAKE(double, N_PRICES);
    Sets s = follow(net, pairs);
    price_tree(net, pairs, price);
    for (int i = 0; i < LENGTH(SUMS); i++) CHECK_NEAR(price[SUMS[i]], s.price[SUMS[i]], 1e-9 * (1 + s.price[SUMS[i]]));
    CHECK(price[6] >= price[2]); /* all tables are alive at once */
}

static void check_widest(const Network *net, const int32_t *pairs) {
    double *weight = ZEROS(double, net->n), widest = -1, threshold = random_below(4);
    int32_t *legs = TAKE(int32_t, net->n);
    Sets s = follow(net, pairs);
    int len = widest_table(net, pairs, threshold, weight, legs);
    double found = 0;
    for (int i = 0; i < len; i++) found += net->log_size[legs[i]];
    for (int v = 0; v < net->n; v++) {
        double sum = 0;
        for (int i = 0; i < 2 * net->m - 1; i++) {
            double size = log_size_of(net, s.has + i * net->n);
            widest = fmax(widest, size);
            if (s.has[i * net->n + v] && size >= threshold) sum += exp2(size);
        }
        CHECK_NEAR(weight[v], sum, 1e-9 * (1 + sum));
    }
    if (net->n && net->m) CHECK_NEAR(found, widest, 1e-9);
}

/* The tree of an order sums each variable as soon as its turn is over: no table has one that came before. */
static void check_order(const Network *net) {
    int32_t *order = TAKE(int32_t, net->n), *pairs = TAKE(int32_t, net->m > 1 ? 2 * (net->m - 1) : 0);
    int len = 0;
    for (int v = 0; v < net->n; v++)
        if (!net->keep[v]) order[len++] = v;
    for (int i = len - 1; i > 0; i--) {
        int j = random_below(i + 1), t = order[i];
        order[i] = order[j], order[j] = t;
    }
    tree_of_order(net, order, len, pairs);
    check_tree(net, pairs);
    check_price(net, pairs);
    Sets s = follow(net, pairs);
    for (int v = 0; v < net->n && net->m; v++) CHECK(s.has[(2 * net->m - 2) * net->n + v] <= net->keep[v]);
}

static int test_random(int i) {
    REGION(NULL)
    Network net = random_scopes(i % 30, 1 + random_below(i % 7 == 0 ? 60 : 14), 4, i % 2);
    if (i % 3) keep_some(&net);
    int32_t *pairs = random_pairs(net.m);
    check_tree(&net, pairs);
    check_price(&net, pairs);
    check_widest(&net, pairs);
    check_order(&net);
    release();
    region_leave();
    return 0;
}

/* One variable in very many scopes: a bucket too large for all pairs. */
static int test_star(void) {
    REGION(NULL)
    int64_t starts[51];
    int32_t scopes[50] = {0}, order[] = {0}, *pairs = TAKE(int32_t, 98);
    double log_size[] = {1}, price[N_PRICES];
    uint8_t keep[] = {0};
    for (int j = 0; j <= 50; j++) starts[j] = j;
    Network net = {1, 50, starts, scopes, log_size, keep};
    tree_of_order(&net, order, 1, pairs);
    check_tree(&net, pairs);
    price_tree(&net, pairs, price);
    CHECK(price[0] == 49 * 2 && price[1] == 1);
    release();
    region_leave();
    return 0;
}

static int test_nothing(void) {
    REGION(NULL)
    int64_t starts[] = {0};
    double price[N_PRICES];
    int32_t pairs[1], legs[1];
    Network net = {0, 0, starts, NULL, NULL, NULL};
    tree_of_order(&net, NULL, 0, pairs);
    price_tree(&net, pairs, price);
    for (int i = 0; i < N_PRICES; i++) CHECK(price[i] == 0);
    CHECK(widest_table(&net, pairs, 0, NULL, legs) == 0);
    region_leave();
    return 0;
}

static int test_greedily(void) {
    REGION(NULL)
    Network net = random_scopes(20, 25, 3, 0);
    Greediness how = {0, 0, 1, 1000, 1000};
    int32_t *pairs = TAKE(int32_t, 48);
    double *price = TAKE(double, N_PRICES), again[N_PRICES], start = now_seconds();
    CHECK(tree_greedily(&net, &how, pairs, price) < INFINITY);
    check_tree(&net, pairs);
    price_tree(&net, pairs, again);
    CHECK(!memcmp(price, again, sizeof again));
    how.limit = 1;
    CHECK(tree_greedily(&net, &how, pairs, price) == INFINITY);
    CHECK(now_seconds() >= start);
    release();
    region_leave();
    return 0;
}

int main(void) {
    for (int i = 0; i < 300; i++) CHECK(test_random(i) == 0);
    CHECK(test_star() == 0);
    CHECK(test_nothing() == 0);
    CHECK(test_greedily() == 0);
    RUNS_OUT(test_greedily(), NO_MEMORY, 0);
    release();
    return 0;
}
