/* What a page asks of a network, each in one call: what an answer would cost, all marginals, the most probable state.
 * Compiled for browsers alone, with those of the other kernels that it needs; hatch_build.py lists them. */
#include "query.h"

/* Which heuristics look for an order, the best first; how much of the predicted run the search for a better one takes. */
static const int heuristics[] = {2, 0, 1, 3};
enum { N_HEURISTICS = 4, N_TREES = 16 };
static const double worth = 0.1, first_patience = 2.0;

/* So many times too many entries are hardly ever followed by few enough: the search is short then. */
static const double far = 1e4, hopeless = 0.1;

typedef struct {
    Rest rest;
    const Terms *terms;
    int32_t *pairs;
    double *price; /* of the tree, then its predicted seconds */
} Planned;

/* Keeps a tree if it is the best so far: by time, and a little by memory. */
static void offer(Planned *p, const int32_t *pairs, const double *price, double *best) {
    double seconds = foreseen(p->terms, price, p->rest.net.m - 1);
    double score = log2(seconds) + 0.25 * log2(fmax(price[6] / p->terms->entries, 1));
    if (!(score < *best)) return;
    *best = score;
    memcpy(p->pairs, pairs, sizeof(int32_t) * 2 * (size_t)p->rest.net.m);
    memcpy(p->price, price, sizeof(double) * N_PRICES);
    p->price[N_PRICES] = seconds;
}

/* Greedy orders, then annealing from the best; a search that takes no longer than it is worth. */
static void look_for_tree(Planned *p, double patience) {
    const Network *net = &p->rest.net;
    int32_t *pairs = grab(sizeof(int32_t) * 2 * (size_t)net->m);
    double price[N_PRICES], start = now_seconds(), best = INFINITY, left = first_patience;
    p->price[N_PRICES] = INFINITY;
    for (int i = 0; i < N_TREES && left > 0; i++) {
        double found = 0;
        if (i < N_HEURISTICS) {
            found = tree_greedily(net, &(Greediness){heuristics[i], 0, 0, 1000, left}, pairs, price);
        } else if (best < INFINITY) {
            memcpy(pairs, p->pairs, sizeof(int32_t) * 2 * (size_t)net->m);
            anneal(net, &(Annealing){1, 6, 60, 20, 3, left, (uint64_t)i}, pairs);
            price_tree(net, pairs, price);
        }
        if (found < INFINITY) offer(p, pairs, price, &best);
        if (p->price[6] > far * p->terms->entries) patience = fmin(patience, hopeless);
        left = fmin(worth * p->price[N_PRICES], patience) - (now_seconds() - start);
    }
    drop(pairs);
}

/* What is left of the network, with a table of its own where nothing is. */
static Planned prepare(const Reduced *r, const Tables *given, const Terms *terms, double *price) {
    static const double one = 1;
    Planned p = {.rest = compact(r, given->starts[given->m]), .terms = terms, .price = price};
    Network *net = &p.rest.net;
    if (!net->m) {
        p.rest.values[0] = &one;
        p.rest.starts[++net->m] = 0;
    }
    p.pairs = grab(sizeof(int32_t) * 2 * (size_t)net->m);
    return p;
}

static int run(const Planned *p, int task, int semiring, Answer *to) {
    return run_job(&(Job){&p->rest.net, p->rest.sizes, p->pairs, p->rest.values, task, semiring, -1, 0}, to);
}

/* log Z or the largest log weight, then all marginals, or the largest log weight with each state; the best state. */
static int answer(const Reduced *r, const Planned *p, double *out, int32_t *states) {
    int64_t n_states = r->state_start[r->n];
    double constant = log(r->constant) + r->exponent * 0.693147180559945309417;
    Answer to = {.log_z = out, .marginals = grab(sizeof(double) * (size_t)(n_states + 1)), .n_samples = 1};
    int status = run(p, MARGINALS, states ? MAX_PLUS : SUM_PRODUCT, &to);
    if (status == UNSAFE) status = run(p, MARGINALS, LOG_SUM_EXP, &to);
    if (status != OK) return status;
    if (!states) {
        spread(r, to.marginals, 0, 1, out + 1);
        *out += constant;
        return OK;
    }
    spread(r, to.marginals, -INFINITY, *out, out + 1);
    for (int64_t i = 0; i <= n_states; i++) out[i] += constant;
    to.log_z = grab(sizeof(double));
    to.states = grab_zeroed((size_t)r->n_free + 1, sizeof(int32_t));
    run(p, WALK, MAX_PLUS, &to);
    for (int v = 0; v < r->n; v++)
        states[v] = r->kept[r->state_start[v] + (r->index[v] < 0 ? 0 : to.states[r->index[v]])];
    return OK;
}

/* Whatever comes out, `price` [N_PRICES + 1] is that of the tree, and its predicted seconds; ZERO: the evidence is
 * impossible. DECLINED: beyond the terms, or nothing but the price was asked for, as no `out` is given. Else out [1 + states]
 * is log Z and all marginals; with `states` [n] it is the largest log weight of all joint states, and of those that have
 * each state, and they are the best one. The search for a tree takes `patience` seconds at most. */
EXPORT int ask_network(int n, int m, const int32_t *sizes, const int64_t *starts, const int32_t *scopes,
                       const int64_t *value_starts, const double *values, const int32_t *evidence,
                       const double *terms, double patience, double *price, double *out, int32_t *states,
                       Caller caller) {
    REGION(caller)
    Tables given = {n, m, sizes, starts, scopes, value_starts, values};
    Reduced r = {0};
    int status = ZERO;
    for (int i = 0; i <= N_PRICES; i++) price[i] = 0;
    reduce_tables(&r, &given, evidence, NULL, NULL, 1);
    if (!r.impossible) {
        Planned p = prepare(&r, &given, (const Terms *)terms, price);
        look_for_tree(&p, patience);
        /* logarithms of the given tables are tables too; in 32 bits there is no room for more than so many bytes */
        double most = fmin(p.terms->entries, (double)(SIZE_MAX / 16));
        int within = price[6] + price[8] <= most && price[N_PRICES] <= p.terms->seconds;
        status = out && within ? answer(&r, &p, out, states) : DECLINED;
    }
    region_leave();
    return status;
}

/* Why a call ended in a trap: NO_MEMORY, or 0 where it was something else. */
EXPORT int why_trapped(void) { return region_failure(); }
