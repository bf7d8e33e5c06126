/* Mini-buckets of small models, and the same by plain loops over joint states. */
#ifndef TRACTABLE_TEST_BUCKETS_H
#define TRACTABLE_TEST_BUCKETS_H

#include "buckets.h"
#include "models.h"

/* The order of elimination, the limit and the seed, as the kernels take them. */
typedef struct {
    Model model;
    int32_t *order;
    int64_t how[2];
} Case;

static inline int32_t *random_order(int n) {
    int32_t *order = TAKE(int32_t, n);
    for (int i = 0; i < n; i++) {
        int j = random_below(i + 1);
        order[i] = order[j], order[j] = i;
    }
    return order;
}

static inline Case random_case(int n, int m, int widest, int kind, int64_t limit) {
    return (Case){random_model(n, m, widest, 4, kind, -1, 0), random_order(n), {limit, (int64_t)(random_bits() >> 2)}};
}

#define GIVEN(c)                                                                                                   \
    (c)->model.tables.n, (c)->model.tables.m, (c)->model.tables.sizes, (c)->model.tables.starts,                   \
        (c)->model.tables.scopes, (c)->model.tables.value_starts, (c)->model.tables.values, (c)->order, (c)->how
#define TABLES                                                                                                     \
    int n, int m, const int32_t *sizes, const int64_t *starts, const int32_t *scopes, const int64_t *value_starts, \
        const double *values, const int32_t *order, const int64_t *how

int buckets_price(TABLES, const uint8_t *wanted, double *told, Caller caller);
int buckets_bound(TABLES, int fresh, const double *temperatures, const double *terms, double *weights, double *shifts,
                  double *told, Caller caller);
int buckets_search(TABLES, const double *temperatures, double *weights, double *shifts, int n_levels, int by_parts,
                   const double *terms, const double *lower, double *best, int32_t *rows, int32_t *states, double *told, Caller caller);
int buckets_proposal(TABLES, const uint8_t *wanted, double *weights, double *shifts, double *proposal, double *told,
                     Caller caller);
int buckets_draw(TABLES, const uint8_t *wanted, const double *weights, const double *proposal, int64_t first,
                 int64_t n_batches, uint64_t seed, double *log_w, int wide, void *states, Caller caller);

enum { N_PARTS, ENTRIES, MESSAGES, SHIFTS, LARGEST, SPLIT_BUCKETS, PROPOSAL, WORK, N_PRICED };

/* A state of a case's parts: how low the bound is, by how much it was raised for rounding, how many sweeps it took. */
typedef struct {
    double *weights, *shifts, told[3], priced[N_PRICED];
} Found;

enum { AS_IT_IS, FRESH, RESCALED };

static inline Found found_at(const Case *c, const double *temperatures, double sweeps) {
    Found f;
    double terms[] = {sweeps, INFINITY, 1, 1e-6};
    CHECK(!buckets_price(GIVEN(c), NULL, f.priced, NULL));
    f.weights = TAKE(double, f.priced[N_PARTS]), f.shifts = TAKE(double, f.priced[SHIFTS]);
    CHECK(!buckets_bound(GIVEN(c), FRESH, temperatures, terms, f.weights, f.shifts, f.told, NULL));
    return f;
}

static inline Found found_bound(const Case *c, double sweeps) { return found_at(c, NULL, sweeps); }

/* The bound of a state that is given, as it is. */
static inline double bound_at(const Case *c, const double *temperatures, double *weights, double *shifts, double *told) {
    double terms[] = {0, INFINITY, 1, 1e-6};
    CHECK(!buckets_bound(GIVEN(c), AS_IT_IS, temperatures, terms, weights, shifts, told, NULL));
    return told[0];
}

static inline double bound_of(const Case *c, double *weights, double *shifts, double *told) {
    return bound_at(c, NULL, weights, shifts, told);
}

/* The bound of joint states where each variable's sum is a power sum, one after the other in the order. */
static inline long double power_sum(const Case *c, const double *temperatures) {
    const Tables *t = &c->model.tables;
    int64_t n = c->model.n_joint, step[MOST_VARIABLES], size = 1;
    int32_t x[MOST_VARIABLES];
    long double *f = TAKE(long double, n);
    for (int v = t->n - 1; v >= 0; v--) step[v] = size, size *= t->sizes[v];
    for (int64_t i = 0; i < n; i++) states_of(&c->model, i, x), f[i] = logl(weight_of(t, x));
    for (int k = 0; k < t->n; k++) {
        int v = c->order[k];
        for (int64_t i = 0; i < n; i++) {
            if (i / step[v] % t->sizes[v]) continue;
            long double top = -INFINITY, sum = 0, tau = temperatures[v];
            for (int s = 0; s < t->sizes[v]; s++) top = fmaxl(top, f[i + s * step[v]]);
            for (int s = 0; s < t->sizes[v] && tau > 0 && top > -INFINITY; s++) sum += expl((f[i + s * step[v]] - top) / tau);
            f[i] = sum > 0 ? top + tau * logl(sum) : top;
        }
    }
    return f[0];
}

/* A state of given parts, with logarithms that know infinities. */
typedef struct {
    const Buckets *b;
    const double *weights, *shifts;
} Stated;

/* log f of a part at the states of its variables: factors, shift, and messages, each by its own sum. */
static long double log_function(const Stated *s, int i, int32_t *x);

static inline long double log_message(const Stated *s, int i, int32_t *x) {
    const Part *p = &s->b->parts[i];
    int v = s->b->groups[p->group].variable, k = s->b->t->sizes[v];
    int32_t now = x[v];
    long double w = s->weights[i], f[8], top = -INFINITY, sum = 0;
    for (x[v] = 0; x[v] < k; x[v]++) f[x[v]] = log_function(s, i, x), top = fmaxl(top, f[x[v]]);
    x[v] = now;
    for (int state = 0; state < k && w > 0; state++) sum += top > -INFINITY ? expl((f[state] - top) / w) : 0;
    return top > -INFINITY && w > 0 ? top + w * logl(sum) : top;
}

static inline long double log_function(const Stated *s, int i, int32_t *x) {
    const Part *p = &s->b->parts[i];
    const Group *g = &s->b->groups[p->group];
    long double sum = 0;
    int64_t at = 0;
    for (int k = 0; k < p->factors.len; k++) sum += logl(s->b->t->values[entry_of(s->b->t, p->factors.at[k], x)]);
    for (int k = 0; k < p->children.len; k++) sum += log_message(s, p->children.at[k], x);
    for (int a = 0; a < g->n_shared; a++) {
        int v = s->b->members.at[g->shared + a];
        at = at * s->b->t->sizes[v] + x[v];
    }
    return g->n > 1 ? sum + s->shifts[g->shift_at + (i - g->first) * g->shift_size + at] : sum;
}

/* log of the product of tables that no variable with a choice is in. */
static inline long double log_constants(const Tables *t) {
    long double sum = 0;
    for (int j = 0; j < t->m; j++)
        if (t->value_starts[j + 1] - t->value_starts[j] == 1) sum += logl(t->values[t->value_starts[j]]);
    return sum;
}

static inline long double plain_bound(const Stated *s, int32_t *x) {
    long double sum = log_constants(s->b->t);
    for (int i = 0; i < s->b->n_parts; i++)
        if (s->b->parts[i].up < 0) sum += log_message(s, i, x);
    return sum;
}

/* log q(x) of the buckets that are drawn: of each the mixture of its parts' conditionals, without what one rules out. */
static inline long double log_proposal(const Stated *s, const uint8_t *drawn, int32_t *x) {
    long double total = 0;
    for (int k = 0; k < s->b->t->n; k++) {
        const Group *g = &s->b->groups[k];
        int32_t now = x[g->variable];
        long double q[8], sum = 0;
        if (!drawn[g->variable]) continue;
        for (x[g->variable] = 0; x[g->variable] < s->b->t->sizes[g->variable]; x[g->variable]++) {
            long double *to = &q[x[g->variable]];
            *to = 0;
            for (int i = g->first; i < g->first + g->n; i++) {
                long double f = log_function(s, i, x), m = log_message(s, i, x), w = s->weights[i];
                *to = f == -INFINITY ? -INFINITY : *to + w * expl((f - m) / w);
            }
            sum += fmaxl(*to, 0);
        }
        x[g->variable] = now;
        if (!(q[now] > 0)) return -INFINITY;
        total += logl(q[now] / sum);
    }
    return total;
}

#endif
