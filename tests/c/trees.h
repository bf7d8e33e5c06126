/* Networks of scopes alone, and contraction trees over them, followed set by set. */
#ifndef TRACTABLE_TEST_TREES_H
#define TRACTABLE_TEST_TREES_H

#include "check.h"
#include "kernels.h"

/* n variables in m scopes of at most `widest` each. `uniform`: all have two states. */
static inline Network random_scopes(int n, int m, int widest, int uniform) {
    int64_t *starts = TAKE(int64_t, m + 1);
    int32_t *all = TAKE(int32_t, m * widest), *scopes;
    double *log_size = TAKE(double, n);
    starts[0] = 0;
    for (int v = 0; v < n; v++) log_size[v] = uniform ? 1 : log2(1 + random_below(5));
    for (int j = 0; j < m; j++) {
        int64_t at = starts[j];
        int nd = random_below((widest < n ? widest : n) + 1);
        while (at < starts[j] + nd) {
            int v = random_below(n), there = 0;
            for (int64_t i = starts[j]; i < at; i++) there |= all[i] == v;
            if (!there) all[at++] = v;
        }
        starts[j + 1] = at;
    }
    scopes = memcpy(TAKE(int32_t, starts[m]), all, sizeof(int32_t) * (size_t)starts[m]);
    return (Network){n, m, starts, scopes, log_size, ZEROS(uint8_t, n)};
}

static inline void keep_some(const Network *net) {
    for (int v = 0; v < net->n; v++) ((uint8_t *)(uintptr_t)net->keep)[v] = random_below(4) == 0;
}

/* The sets of the nodes of a tree [2m][n]: a variable stays where it is kept or some other live node has it. */
typedef struct {
    uint8_t *has, *alive;
    int n, nodes;
    double price[N_PRICES]; /* but [6] */
} Sets;

static inline double log_size_of(const Network *net, const uint8_t *set) {
    double s = 0;
    for (int v = 0; v < net->n; v++) s += set[v] ? net->log_size[v] : 0;
    return s;
}

static inline int elsewhere(const Sets *s, int v, int but) {
    for (int i = 0; i < s->nodes; i++)
        if (i != but && s->alive[i] && s->has[i * s->n + v]) return 1;
    return 0;
}

static inline Sets follow(const Network *net, const int32_t *pairs) {
    int n = net->n, m = net->m;
    Sets s = {ZEROS(uint8_t, (2 * m + 1) * n), ZEROS(uint8_t, 2 * m + 1), n, 2 * m, {0}};
    double live = 0, full = 0; /* the leaves' own tables, and the largest that one of them is made from */
    uint8_t *both = ZEROS(uint8_t, n), *all = ZEROS(uint8_t, m * n);
    for (int j = 0; j < m; j++) {
        s.alive[j] = 1;
        for (int64_t i = net->starts[j]; i < net->starts[j + 1]; i++) all[j * n + net->scopes[i]] = 1;
        s.price[8] += exp2(log_size_of(net, all + j * n));
    }
    memcpy(s.has, all, (size_t)(m * n));
    for (int j = 0; j < m; j++) { /* a leaf sums out what it alone has */
        int gone = 0;
        for (int v = 0; v < n; v++)
            if (all[j * n + v] && !net->keep[v] && !elsewhere(&s, v, j)) s.has[j * n + v] = 0, gone = 1;
        if (!gone) continue;
        live += exp2(log_size_of(net, s.has + j * n));
        full = fmax(full, exp2(log_size_of(net, all + j * n)));
    }
    s.price[2] = live, s.price[3] = live + full;
    for (int i = 0; i < m - 1; i++) {
        int x = pairs[2 * i], y = pairs[2 * i + 1];
        uint8_t *made = s.has + (m + i) * n;
        for (int v = 0; v < n; v++) both[v] = s.has[x * n + v] | s.has[y * n + v];
        s.alive[x] = s.alive[y] = 0;
        for (int v = 0; v < n; v++) made[v] = both[v] && (net->keep[v] || elsewhere(&s, v, -1));
        s.alive[m + i] = 1;
        double flops = exp2(log_size_of(net, both)), size = exp2(log_size_of(net, made));
        double moved = size + exp2(log_size_of(net, s.has + x * n)) + exp2(log_size_of(net, s.has + y * n));
        double held = live + moved - size; /* operands may be copied */
        for (int k = m; k <= m + i; k++)
            if (s.alive[k] || k == x || k == y) held += exp2(log_size_of(net, s.has + k * n));
        s.price[3] = fmax(s.price[3], held);
        s.price[0] += flops, s.price[1] = fmax(s.price[1], log2(size)), s.price[2] += size, s.price[4] += moved;
        s.price[5] += flops > 8 * moved ? flops : 0, s.price[7] += size > 1 << 17 ? size : 0;
    }
    return s;
}

/* Whether the pairs are a tree: each node is used once, after it is made. */
static inline void check_tree(const Network *net, const int32_t *pairs) {
    uint8_t *used = ZEROS(uint8_t, 2 * net->m + 1);
    for (int i = 0; i < 2 * (net->m - 1); i++) {
        CHECK(pairs[i] >= 0 && pairs[i] < net->m + i / 2 && !used[pairs[i]]);
        used[pairs[i]] = 1;
    }
}

/* Any tree: two nodes at random, again and again. */
static inline int32_t *random_pairs(int m) {
    int32_t *pairs = TAKE(int32_t, m > 1 ? 2 * (m - 1) : 0), *alive = TAKE(int32_t, m);
    int n = m;
    for (int i = 0; i < m; i++) alive[i] = i;
    for (int i = 0; i < m - 1; i++)
        for (int side = 0; side < 2; side++) {
            int k = random_below(n);
            pairs[2 * i + side] = alive[k];
            alive[k] = alive[n - 1];
            if (side)
                alive[n - 1] = m + i;
            else
                n--;
        }
    return pairs;
}

#endif
