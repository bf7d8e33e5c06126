/* Tests of greedy.c: each variable of an order has the least score of those that are left, counted on a matrix of links. */
#include "trees.h"

enum { MOST = 40 };

typedef struct {
    const Network *net;
    uint8_t linked[MOST][MOST], gone[MOST];
} Links;

static Links links_of(const Network *net) {
    Links l = {.net = net};
    for (int j = 0; j < net->m; j++)
        for (int64_t a = net->starts[j]; a < net->starts[j + 1]; a++)
            for (int64_t b = net->starts[j]; b < net->starts[j + 1]; b++)
                l.linked[net->scopes[a]][net->scopes[b]] = a != b || l.linked[net->scopes[a]][net->scopes[b]];
    for (int v = 0; v < MOST; v++) l.linked[v][v] = 0;
    return l;
}

static double clique(const Links *l, int v) {
    double s = l->net->log_size[v];
    for (int u = 0; u < l->net->n; u++) s += l->linked[v][u] ? l->net->log_size[u] : 0;
    return s;
}

static double fill(const Links *l, int v, int weighted) {
    double s = 0;
    for (int a = 0; a < l->net->n; a++)
        for (int b = 0; b < a; b++)
            if (l->linked[v][a] && l->linked[v][b] && !l->linked[a][b])
                s += weighted ? exp2(l->net->log_size[a] + l->net->log_size[b]) : 1;
    return s;
}

static double score(const Links *l, int v, int heuristic) {
    switch (heuristic) {
    case 0: return clique(l, v);
    case 1: return fill(l, v, 0) + 1e-3 * clique(l, v);
    case 2: return log2(1 + fill(l, v, 1)) + 1e-3 * clique(l, v);
    default: return clique(l, v) - 0.5 * l->net->log_size[v] + 0.1 * fill(l, v, 0);
    }
}

static void eliminate(Links *l, int v) {
    for (int a = 0; a < l->net->n; a++)
        for (int b = 0; b < l->net->n; b++) l->linked[a][b] |= l->linked[a][v] && l->linked[v][b] && a != b;
    for (int u = 0; u < l->net->n; u++) l->linked[u][v] = l->linked[v][u] = 0;
    l->gone[v] = 1;
}

/* Returns log2 of the summed cliques, as the kernel says it. */
static double check_order(const Network *net, const int32_t *order, int len, int heuristic) {
    Links l = links_of(net);
    double sum = 0;
    for (int i = 0; i < len; i++) {
        int v = order[i];
        CHECK(v >= 0 && v < net->n && !l.gone[v] && !net->keep[v]);
        double own = score(&l, v, heuristic < 0 ? 0 : heuristic);
        for (int u = 0; u < net->n && heuristic >= 0; u++)
            if (!l.gone[u] && !net->keep[u]) CHECK(own <= score(&l, u, heuristic) + 1e-9 * (1 + fabs(own)));
        sum += exp2(clique(&l, v));
        eliminate(&l, v);
    }
    return sum > 0 ? log2(sum) : log2(1e-300);
}

static int test_random(int i) {
    REGION(NULL)
    Network net = random_scopes(i % MOST, random_below(50), 4, i % 3 == 0);
    if (i % 4 == 0) keep_some(&net);
    int32_t *order = TAKE(int32_t, net.n), len, n_free = 0;
    for (int v = 0; v < net.n; v++) n_free += !net.keep[v];
    Greediness how = {i / 2 % 4, i % 5 == 1 ? 0.3 : 0, (uint64_t)i, 1000, 1000};
    double found = order_greedily(&net, &how, order, &len);
    CHECK(len == n_free);
    double sum = check_order(&net, order, len, how.noise > 0 ? -1 : how.heuristic);
    CHECK_NEAR(found, sum, 1e-9 * (1 + fabs(sum)));
    how.limit = sum - 0.5; /* given up when the sum passes it */
    if (n_free > 1) CHECK(order_greedily(&net, &how, order, &len) == INFINITY || len == n_free);
    how.limit = 1000, how.seconds = -1;
    CHECK(order_greedily(&net, &how, order, &len) == (n_free ? INFINITY : fmin(found, INFINITY)) && len == 0);
    release();
    region_leave();
    return 0;
}

int main(void) {
    for (int i = 0; i < 400; i++) CHECK(test_random(i) == 0);
    random_state = 5;
    RUNS_OUT(test_random(37), NO_MEMORY, 0);
    release();
    return 0;
}
