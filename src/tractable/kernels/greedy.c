/* Greedy elimination orders: at each step eliminate the variable of least score, joining its neighbours. */
#include "kernels.h"

enum { MIN_WEIGHT = 0, MIN_FILL = 1, WEIGHTED_MIN_FILL = 2, MIN_GROWTH = 3 };

typedef struct {
    const Network *net;
    Ints *adj;
    double *weight, *ones; /* number of states, and 1 for each */
    double *near;     /* the weights of neighbours, zero elsewhere; cleared after use */
    double *score;
    int *heap, *pos;  /* indexed binary heap; pos = -1 outside */
    int heap_len;
    int32_t *mark;
    int32_t stamp;
    int heuristic;
    double noise;
    uint64_t rng;
} Greedy;

static void heap_up(Greedy *g, int i) {
    int v = g->heap[i];
    while (i > 0) {
        int p = (i - 1) / 2;
        if (g->score[g->heap[p]] <= g->score[v]) break;
        g->heap[i] = g->heap[p];
        g->pos[g->heap[i]] = i;
        i = p;
    }
    g->heap[i] = v;
    g->pos[v] = i;
}

static void heap_down(Greedy *g, int i) {
    int v = g->heap[i];
    for (;;) {
        int c = 2 * i + 1;
        if (c >= g->heap_len) break;
        if (c + 1 < g->heap_len && g->score[g->heap[c + 1]] < g->score[g->heap[c]]) c++;
        if (g->score[v] <= g->score[g->heap[c]]) break;
        g->heap[i] = g->heap[c];
        g->pos[g->heap[i]] = i;
        i = c;
    }
    g->heap[i] = v;
    g->pos[v] = i;
}

static int heap_pop(Greedy *g) {
    int v = g->heap[0];
    g->pos[v] = -1;
    int last = g->heap[--g->heap_len];
    if (g->heap_len) {
        g->heap[0] = last;
        g->pos[last] = 0;
        heap_down(g, 0);
    }
    return v;
}

static double clique_log_size(const Greedy *g, int v) {
    double w = g->net->log_size[v];
    for (int i = 0; i < g->adj[v].len; i++) w += g->net->log_size[g->adj[v].at[i]];
    return w;
}

/* Sum over pairs of unjoined neighbours of the product of their weights: their sizes, or 1 each (min-fill). */
static double fill_score(Greedy *g, int v, const double *weight) {
    const Ints *a = &g->adj[v];
    double total = 0, missing = 0;
    int64_t looked = 0;
    for (int i = 0; i < a->len; i++) {
        double own = weight[a->at[i]];
        g->near[a->at[i]] = own;
        total += own;
    }
    for (int i = 0; i < a->len; i++) {
        double own = g->near[a->at[i]], joined = 0;
        const Ints *b = &g->adj[a->at[i]];
        for (int j = 0; j < b->len; j++) joined += g->near[b->at[j]];
        missing += own * (total - own - joined);
        looked += b->len;
    }
    for (int i = 0; i < a->len; i++) g->near[a->at[i]] = 0;
    if (looked > REGION_LITTLE) region_worked(looked);
    return 0.5 * missing;
}

static void rescore(Greedy *g, int v) {
    double s;
    switch (g->heuristic) {
    case MIN_WEIGHT: s = clique_log_size(g, v); break;
    case MIN_FILL: s = fill_score(g, v, g->ones) + 1e-3 * clique_log_size(g, v); break;
    case WEIGHTED_MIN_FILL: s = log2(1.0 + fill_score(g, v, g->weight)) + 1e-3 * clique_log_size(g, v); break;
    default: { /* MIN_GROWTH: size of the message, against the tables it replaces */
        double w = clique_log_size(g, v);
        s = w - 0.5 * g->net->log_size[v] + 0.1 * fill_score(g, v, g->ones);
    }
    }
    if (g->noise > 0) s += g->noise * (1.0 + fabs(s)) * next_uniform(&g->rng);
    g->score[v] = s;
}

static void update(Greedy *g, int v) {
    double old = g->score[v];
    rescore(g, v);
    if (g->pos[v] < 0) return;
    if (g->score[v] < old) heap_up(g, g->pos[v]);
    else if (g->score[v] > old) heap_down(g, g->pos[v]);
}

static void build_adjacency(Greedy *g) {
    const Network *net = g->net;
    int n = net->n;
    int64_t total = net->starts[net->m];
    int64_t *first = grab_zeroed((size_t)n + 2, sizeof(int64_t));
    int32_t *of = grab(sizeof(int32_t) * (size_t)(total + 1));
    for (int64_t i = 0; i < total; i++) first[net->scopes[i] + 2]++;
    for (int v = 0; v < n; v++) first[v + 2] += first[v + 1];
    for (int j = 0; j < net->m; j++)
        for (int64_t i = net->starts[j]; i < net->starts[j + 1]; i++) of[first[net->scopes[i] + 1]++] = j;
    IN_PIECES(v, n, 16) {
        int32_t stamp = ++g->stamp;
        g->mark[v] = stamp;
        for (int64_t f = first[v]; f < first[v + 1]; f++)
            for (int64_t i = net->starts[of[f]]; i < net->starts[of[f] + 1]; i++) {
                int u = net->scopes[i];
                if (g->mark[u] != stamp) {
                    g->mark[u] = stamp;
                    ints_push(&g->adj[v], u);
                }
            }
    }
    drop(first);
    drop(of);
}

static void remove_from(Ints *a, int v) {
    for (int i = 0; i < a->len; i++)
        if (a->at[i] == v) {
            a->at[i] = a->at[--a->len];
            return;
        }
}

/* Joins the neighbours of v and takes v out; returns whether a fill edge was added. */
static int eliminate(Greedy *g, int v) {
    Ints *a = &g->adj[v];
    int filled = 0;
    for (int i = 0; i < a->len; i++) remove_from(&g->adj[a->at[i]], v);
    for (int i = 0; i < a->len; i++) {
        int u = a->at[i];
        int32_t stamp = ++g->stamp;
        for (int j = 0; j < g->adj[u].len; j++) g->mark[g->adj[u].at[j]] = stamp;
        region_worked(g->adj[u].len + a->len);
        for (int j = i + 1; j < a->len; j++) {
            int w = a->at[j];
            if (g->mark[w] == stamp) continue;
            ints_push(&g->adj[u], w);
            ints_push(&g->adj[w], u);
            filled = 1;
        }
    }
    return filled;
}

static void rescore_around(Greedy *g, int v, int filled, Ints *dirty) {
    Ints *a = &g->adj[v];
    dirty->len = 0;
    int32_t stamp = ++g->stamp;
    for (int i = 0; i < a->len; i++) {
        g->mark[a->at[i]] = stamp;
        ints_push(dirty, a->at[i]);
    }
    if (filled && g->heuristic != MIN_WEIGHT)
        for (int i = 0; i < a->len; i++) {
            Ints *b = &g->adj[a->at[i]];
            for (int j = 0; j < b->len; j++)
                if (g->mark[b->at[j]] != stamp) {
                    g->mark[b->at[j]] = stamp;
                    ints_push(dirty, b->at[j]);
                }
        }
    for (int i = 0; i < dirty->len; i++) update(g, dirty->at[i]);
}

/* Writes the order; returns log2 of the summed clique sizes, or infinity as soon as it exceeds `limit` or the search
 * has taken `seconds`. */
double order_greedily(const Network *net, const Greediness *how, int32_t *order, int32_t *order_len) {
    Greedy g = {.net = net, .heuristic = how->heuristic, .noise = how->noise, .rng = seeded(how->seed)};
    int n = net->n;
    size_t k = (size_t)n + 1;
    g.adj = grab_zeroed(k, sizeof(Ints));
    g.weight = grab(k * sizeof(double));
    g.ones = grab(k * sizeof(double));
    g.near = grab_zeroed(k, sizeof(double));
    g.score = grab(k * sizeof(double));
    g.heap = grab(k * sizeof(int));
    g.pos = grab(k * sizeof(int));
    g.mark = grab_zeroed(k, sizeof(int32_t));
    for (int v = 0; v < n; v++) g.weight[v] = exp2(net->log_size[v]), g.ones[v] = 1;
    build_adjacency(&g);
    for (int v = 0; v < n; v++) {
        g.pos[v] = -1;
        if (net->keep[v]) continue;
        rescore(&g, v);
        g.heap[g.heap_len] = v;
        heap_up(&g, g.heap_len++);
    }
    Ints dirty = {0};
    double sum = 0, stop = exp2(how->limit), start = now_seconds();
    int len = 0;
    while (g.heap_len && sum <= stop && ((len & 15) || now_seconds() - start < how->seconds)) {
        int v = heap_pop(&g);
        order[len++] = v;
        sum += exp2(clique_log_size(&g, v));
        rescore_around(&g, v, eliminate(&g, v), &dirty);
    }
    *order_len = len;
    for (int v = 0; v < n; v++) drop(g.adj[v].at);
    drop(g.adj), drop(g.weight), drop(g.ones), drop(g.near), drop(g.score), drop(g.heap), drop(g.pos), drop(g.mark), drop(dirty.at);
    return g.heap_len ? INFINITY : fmin(log2(sum + 1e-300), 1e300);
}
