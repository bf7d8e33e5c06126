/* Tests of anneal.c: what it returns is a tree, never dearer than the one it began with, and at the price it says. */
#include "trees.h"

static double log2_sum(double a, double b) { return fmax(a, b) + log2(1 + exp2(-fabs(a - b))); }

/* log2 of the summed prices of the steps: multiply-adds, and 2^traffic for each entry made. */
static double price(const Network *net, const int32_t *pairs, double traffic) {
    Sets s = follow(net, pairs);
    double sum = -INFINITY;
    uint8_t *both = ZEROS(uint8_t, net->n);
    for (int i = 0; i < net->m - 1; i++) {
        for (int v = 0; v < net->n; v++)
            both[v] = s.has[pairs[2 * i] * net->n + v] | s.has[pairs[2 * i + 1] * net->n + v];
        double step = log2_sum(log_size_of(net, both), log_size_of(net, s.has + (net->m + i) * net->n) + traffic);
        sum = sum == -INFINITY ? step : log2_sum(sum, step);
    }
    return sum;
}

static int test_random(int n, int m, int uniform, Annealing how) {
    REGION(NULL)
    Network net = random_scopes(n, m, 4, uniform);
    if (n > 20) keep_some(&net);
    int32_t *pairs = random_pairs(m);
    double before = price(&net, pairs, how.traffic), found = anneal(&net, &how, pairs);
    check_tree(&net, pairs);
    double after = price(&net, pairs, how.traffic);
    if (m < 3)
        CHECK(found == 0 && after == before);
    else
        CHECK_NEAR(found, after, 1e-6);
    CHECK(after <= before + 1e-6);
    if (how.n_betas > 10 && how.sweeps > 5 && m > 20 && n > 20 && how.seconds > 0)
        CHECK(after < before); /* a random tree is never the best */
    release();
    region_leave();
    return 0;
}

int main(void) {
    static const int N[] = {1, 5, 63, 64, 65, 130};
    for (int i = 0; i < LENGTH(N); i++)
        for (int m = 1; m < 40; m += m < 5 ? 1 : 17)
            for (int uniform = 0; uniform < 2; uniform++) {
                CHECK(test_random(N[i], m, uniform, (Annealing){1, 30, 20, 10, 3, 100, (uint64_t)i}) == 0);
                CHECK(test_random(N[i], m, uniform, (Annealing){1, 30, 1, 3, 3, 100, 1}) == 0);
            }
    CHECK(test_random(30, 30, 0, (Annealing){1, 30, 0, 10, 3, 100, 1}) == 0);
    CHECK(test_random(30, 30, 0, (Annealing){1, 30, 10, 0, 3, 100, 1}) == 0);
    CHECK(test_random(30, 30, 0, (Annealing){1, 30, 1000000, 1000000, 3, -1, 1}) == 0); /* out of time at once */
    CHECK(test_random(0, 5, 1, (Annealing){1, 30, 3, 3, 3, 100, 1}) == 0);              /* tables of single numbers */
    RUNS_OUT(test_random(20, 20, 0, (Annealing){1, 30, 3, 3, 3, 100, 1}), NO_MEMORY, 0);
    release();
    return 0;
}
