/* What Python calls: each opens a region, and returns NO_MEMORY if that ran out, GIVEN_UP where the caller stopped it. */
#include "reduce.h"
#include "run.h"

/* Copies the reduced network into the caller's buffers, laid out for the original sizes. */
static void finish(const Reduced *r, int64_t n_scope, int32_t *ints, int64_t *longs, double *doubles) {
    int n = r->n, m = r->m;
    int64_t n_states = r->state_start[n];
    int32_t *sizes = ints, *scopes = sizes + n, *index = scopes + n_scope, *kept = index + n;
    int32_t *n_kept = kept + n_states, *factor = n_kept + n;
    int64_t *starts = longs + 3, *value_starts = starts + m + 1;
    double *values = doubles + 2;
    memcpy(index, r->index, sizeof(int32_t) * (size_t)n);
    memcpy(kept, r->kept, sizeof(int32_t) * (size_t)n_states);
    memcpy(n_kept, r->sizes, sizeof(int32_t) * (size_t)n);
    for (int v = 0; v < n; v++)
        if (r->index[v] >= 0) sizes[r->index[v]] = r->sizes[v];
    int k = 0;
    starts[0] = value_starts[0] = 0;
    for (int j = 0; j < m; j++) {
        const Factor *f = &r->factors[j];
        int alive = f->alive && !r->impossible;
        factor[j] = alive ? k : -1;
        if (!alive) continue;
        for (int i = 0; i < f->nd; i++) scopes[starts[k] + i] = r->index[f->scope[i]];
        memcpy(values + value_starts[k], f->values, sizeof(double) * (size_t)f->size);
        starts[k + 1] = starts[k] + f->nd;
        value_starts[k + 1] = value_starts[k] + f->size;
        k++;
    }
    longs[0] = r->impossible, longs[1] = r->n_free, longs[2] = k;
    doubles[0] = r->constant, doubles[1] = r->exponent;
}

/* `reduce_tables` into the caller's buffers. longs: impossible, free variables, factors, then the starts of scopes and of
 * values (m+1 each); doubles: constant, exponent of two, then values; ints: sizes (n), scopes (as many as given), new
 * number of each variable or -1 (n), the remaining states of each variable at the front of its slice (as many as states),
 * their numbers (n), new number of each factor or -1 (m). Each part is filled from its front. */
EXPORT int reduce_network(int n, int m, const int32_t *sizes, const int64_t *starts, const int32_t *scopes,
                          const int64_t *value_starts, const double *values, const int32_t *evidence,
                          const int32_t *child, const uint8_t *wanted, int merge, int32_t *ints, int64_t *longs,
                          double *doubles, Caller caller) {
    REGION(caller)
    Tables given = {n, m, sizes, starts, scopes, value_starts, values};
    Reduced r = {0};
    reduce_tables(&r, &given, evidence, child, wanted, merge);
    finish(&r, starts[m], ints, longs, doubles);
    region_leave();
    return 0;
}

EXPORT int greedy_tree(int n, int m, const int64_t *starts, const int32_t *scopes, const double *log_size,
                       const uint8_t *keep, int heuristic, double noise, uint64_t seed, double limit, double seconds,
                       int32_t *pairs, double *price, Caller caller) {
    REGION(caller)
    Network net = {n, m, starts, scopes, log_size, keep};
    double sum = tree_greedily(&net, &(Greediness){heuristic, noise, seed, limit, seconds}, pairs, price);
    region_leave();
    return sum < INFINITY;
}

EXPORT int greedy_order(int n, int m, const int64_t *starts, const int32_t *scopes, const double *log_size,
                        const uint8_t *keep, int heuristic, double noise, uint64_t seed, double limit, double seconds,
                        int32_t *order, int32_t *order_len, Caller caller) {
    REGION(caller)
    Network net = {n, m, starts, scopes, log_size, keep};
    double sum = order_greedily(&net, &(Greediness){heuristic, noise, seed, limit, seconds}, order, order_len);
    region_leave();
    return sum < INFINITY;
}

EXPORT int tree_from_order(int n, int m, const int64_t *starts, const int32_t *scopes, const double *log_size,
                           const uint8_t *keep, const int32_t *order, int order_len, int32_t *pairs,
                           Caller caller) {
    REGION(caller)
    tree_of_order(&(Network){n, m, starts, scopes, log_size, keep}, order, order_len, pairs);
    region_leave();
    return 0;
}

EXPORT int tree_cost(int n, int m, const int64_t *starts, const int32_t *scopes, const double *log_size,
                     const uint8_t *keep, const int32_t *pairs, double *price, Caller caller) {
    REGION(caller)
    price_tree(&(Network){n, m, starts, scopes, log_size, keep}, pairs, price);
    region_leave();
    return 0;
}

EXPORT int tree_widest(int n, int m, const int64_t *starts, const int32_t *scopes, const double *log_size,
                       const uint8_t *keep, const int32_t *pairs, double threshold, double *weight, int32_t *legs,
                       Caller caller) {
    REGION(caller)
    int len = widest_table(&(Network){n, m, starts, scopes, log_size, keep}, pairs, threshold, weight, legs);
    region_leave();
    return len;
}

EXPORT int anneal_tree(int n, int m, const int64_t *starts, const int32_t *scopes, const double *log_size,
                       const uint8_t *keep, int32_t *pairs, double beta0, double beta1, int n_betas, int sweeps,
                       double traffic, double seconds, uint64_t seed, Caller caller) {
    REGION(caller)
    Annealing how = {beta0, beta1, n_betas, sweeps, traffic, seconds, seed};
    anneal(&(Network){n, m, starts, scopes, log_size, keep}, &how, pairs);
    region_leave();
    return 0;
}

/* task: EVIDENCE, MARGINALS or WALK; semiring: SUM_PRODUCT, MAX_PLUS or LOG_SUM_EXP; `blas`: the caller makes large
 * products; the rest as in `Answer`. */
EXPORT int run_tree(int n, int m, const int32_t *sizes, const int64_t *starts, const int32_t *scopes,
                    const int64_t *value_starts, const double *values, const uint8_t *keep, const int32_t *pairs,
                    int task, int semiring, int row, double *log_z, double *root, double *marginals, int64_t n_samples,
                    const double *uniforms, int32_t *states, int64_t *peak, int blas, Caller caller) {
    REGION(caller)
    Network net = {n, m, starts, scopes, NULL, keep};
    const double **tables = grab(sizeof(double *) * (size_t)(m + 1));
    for (int j = 0; j < m; j++) tables[j] = values + value_starts[j];
    Job job = {&net, sizes, pairs, tables, task, semiring, row, blas && caller};
    Answer to = {log_z, root, marginals, n_samples, uniforms, states, 0};
    int status = run_job(&job, &to);
    *peak = to.peak;
    region_leave();
    return status;
}
