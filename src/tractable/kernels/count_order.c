/* Where in a tree of separators a variable stands: those near its centre come first. */
#include "count_search.h"

/* The graph of who shares a clause with whom, as scopes. */
static Network primal(const Formula *f, Ints *members) {
    int64_t *starts = grab(sizeof(int64_t) * (size_t)(f->m + 1));
    double *size = grab(sizeof(double) * (size_t)(f->n + 1));
    starts[0] = 0;
    for (int i = 0; i < f->m; i++) {
        const Clause *c = &f->clauses[i];
        for (int a = 0; a < c->len; a++) ints_push(members, literals(f, c)[a] >> 1);
        starts[i + 1] = members->len;
    }
    for (int v = 0; v < f->n; v++) size[v] = 1;
    return (Network){f->n, f->m, starts, members->at, size, grab_zeroed((size_t)f->n + 1, 1)};
}

/* Neighbours of each variable when it is eliminated, all that come later; false where they are too many. */
static int bags_of(const Formula *f, const int32_t *order, const int32_t *rank, Ints *bags, int64_t most) {
    int64_t total = 0;
    int32_t *mark = grab_zeroed((size_t)f->n + 1, sizeof(int32_t));
    for (int i = 0; i < f->m; i++) {
        const int32_t *lits = literals(f, &f->clauses[i]);
        int first = lits[0] >> 1;
        for (int a = 0; a < f->clauses[i].len; a++)
            if (rank[lits[a] >> 1] < rank[first]) first = lits[a] >> 1;
        for (int a = 0; a < f->clauses[i].len; a++)
            if (lits[a] >> 1 != first) ints_push(&bags[first], lits[a] >> 1);
    }
    for (int k = 0; k < f->n; k++) {
        int v = order[k], next = -1, n = 0;
        Ints *bag = &bags[v];
        for (int i = 0; i < bag->len; i++) {
            int u = bag->at[i];
            if (mark[u] == k + 1) continue;
            mark[u] = k + 1, bag->at[n++] = u;
            if (next < 0 || rank[u] < rank[next]) next = u;
        }
        bag->len = n;
        total += n;
        region_worked(n);
        if (total > most) return 0;
        if (next < 0) continue;
        int32_t swap = bag->at[0];
        for (int i = 0; i < n; i++)
            if (bag->at[i] == next) bag->at[i] = swap, bag->at[0] = next; /* the parent in front */
        for (int i = 1; i < n; i++) ints_push(&bags[next], bag->at[i]);
    }
    drop(mark);
    return 1;
}

/* The bag from which no branch holds more than half of all, in the largest tree. */
static int centre(const int32_t *order, int n, const Ints *bags) {
    int32_t *below = grab(sizeof(int32_t) * (size_t)(n + 1)), *most = grab_zeroed((size_t)n + 1, sizeof(int32_t));
    int32_t *whole = grab_zeroed((size_t)n + 1, sizeof(int32_t));
    for (int v = 0; v < n; v++) below[v] = 1;
    for (int k = 0; k < n; k++) {
        int v = order[k], up = bags[v].len ? bags[v].at[0] : -1;
        if (up < 0) continue;
        below[up] += below[v];
        if (below[v] > most[up]) most[up] = below[v];
    }
    int best = -1, largest = 0;
    for (int k = n - 1; k >= 0; k--) {
        int v = order[k];
        whole[v] = bags[v].len ? whole[bags[v].at[0]] : below[v];
        int rest = whole[v] - below[v], balance = rest > most[v] ? rest : most[v];
        if (whole[v] > largest) largest = whole[v], best = -1, most[n] = INT32_MAX;
        if (whole[v] == largest && (best < 0 || balance < most[n])) best = v, most[n] = balance;
    }
    drop(below), drop(most), drop(whole);
    return best;
}

/* Steps from the centre to each bag, and for each variable the fewest to one that holds it. */
static int depths(const int32_t *order, int n, const Ints *bags, int root, int32_t *depth) {
    int32_t *bag_depth = grab(sizeof(int32_t) * (size_t)(n + 1));
    for (int v = 0; v < n; v++) bag_depth[v] = depth[v] = INT32_MAX;
    int at = root, d = 0, deepest = 1;
    for (;; at = bags[at].at[0]) { /* the way up from the centre */
        bag_depth[at] = d++;
        if (!bags[at].len) break;
    }
    for (int k = n - 1; k >= 0; k--) {
        int v = order[k];
        if (bag_depth[v] == INT32_MAX) bag_depth[v] = bags[v].len ? bag_depth[bags[v].at[0]] + 1 : 0;
    }
    for (int v = 0; v < n; v++) {
        if (bag_depth[v] > deepest) deepest = bag_depth[v];
        if (bag_depth[v] < depth[v]) depth[v] = bag_depth[v];
        for (int i = 0; i < bags[v].len; i++)
            if (bag_depth[v] < depth[bags[v].at[i]]) depth[bags[v].at[i]] = bag_depth[v];
    }
    drop(bag_depth);
    return deepest;
}

/* An order of elimination by the cheaper of two rules; false where both leave too much together. */
static int cheaper(const Network *net, int32_t *order, double seconds) {
    int32_t *second = grab(sizeof(int32_t) * (size_t)(net->n + 1)), len = 0, second_len = 0;
    double a = order_greedily(net, &(Greediness){0, 0, 0, 1e6, seconds}, order, &len);
    int found = a < INFINITY && len == net->n;
    double b = order_greedily(net, &(Greediness){1, 0, 0, found ? a : 1e6, seconds / 10}, second, &second_len);
    if (b < (found ? a : INFINITY) && second_len == net->n) {
        memcpy(order, second, sizeof(int32_t) * (size_t)second_len);
        found = 1;
    }
    drop(second);
    return found;
}

/* How much a place near the centre is worth: nothing where separators are as large as what they separate. */
static double worth(const Formula *f, const Ints *bags) {
    int width = 1;
    for (int v = 0; v < f->n; v++) width = bags[v].len > width ? bags[v].len : width;
    double spread = (double)f->n / width;
    return spread < 5 ? 0 : fmin(100 * exp(fmin(spread, 20)) / f->n, 1e7);
}

void order_by_tree(Search *s, double seconds) {
    const Formula *f = s->f;
    size_t n = (size_t)f->n + 1;
    s->tree = grab_zeroed(n, sizeof(double));
    Ints members = {0}, *bags = grab_zeroed(n, sizeof(Ints));
    Network net = primal(f, &members);
    int32_t *order = grab(sizeof(int32_t) * n), *rank = grab(sizeof(int32_t) * n), *depth = grab(sizeof(int32_t) * n);
    if (f->n > 1 && cheaper(&net, order, seconds)) {
        for (int k = 0; k < f->n; k++) rank[order[k]] = k;
        if (bags_of(f, order, rank, bags, 1 << 24)) {
            int deepest = depths(order, f->n, bags, centre(order, f->n, bags), depth);
            double weight = worth(f, bags);
            for (int v = 0; v < f->n; v++) s->tree[v] = weight * (1 - (double)depth[v] / deepest);
        }
    }
    for (int v = 0; v < f->n; v++) drop(bags[v].at);
    drop(bags), drop(order), drop(rank), drop(depth), drop(members.at);
    drop((void *)net.starts), drop((void *)net.log_size), drop((void *)net.keep);
}
