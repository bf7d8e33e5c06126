/* A whole query in one call, where its price is so low that the first tree found will do: on a small network most of the
 * time would otherwise go into what Python does between conditioning, planning and running. */
#include "query.h"

Rest compact(const Reduced *r, int64_t n_scope) {
    int32_t *scopes = grab(sizeof(int32_t) * (size_t)(n_scope + 1));
    int64_t *starts = grab(sizeof(int64_t) * (size_t)(r->m + 2));
    double *log_size = grab(sizeof(double) * (size_t)(r->n + 1));
    Rest rest = {.sizes = grab(sizeof(int32_t) * (size_t)(r->n + 1)), .starts = starts};
    rest.values = grab(sizeof(double *) * (size_t)(r->m + 1));
    rest.net = (Network){r->n_free, 0, starts, scopes, log_size, grab_zeroed((size_t)r->n + 1, 1)};
    for (int v = 0; v < r->n; v++) {
        if (r->index[v] < 0) continue;
        rest.sizes[r->index[v]] = r->sizes[v];
        log_size[r->index[v]] = log2(r->sizes[v]);
    }
    starts[0] = 0;
    for (int j = 0; j < r->m; j++) {
        const Factor *f = &r->factors[j];
        if (!f->alive) continue;
        int k = rest.net.m++;
        for (int i = 0; i < f->nd; i++) scopes[starts[k] + i] = r->index[f->scope[i]];
        starts[k + 1] = starts[k] + f->nd;
        rest.values[k] = f->values;
    }
    return rest;
}

double foreseen(const Terms *terms, const double *price, int n_steps) {
    double seconds = terms->call + terms->step * n_steps;
    for (int i = 0; i < N_PRICES; i++) seconds += terms->each[i] * price[i];
    return seconds;
}

void spread(const Reduced *r, const double *x, double none, double certain, double *out) {
    for (int64_t i = 0; i < r->state_start[r->n]; i++) out[i] = none;
    for (int v = 0; v < r->n; v++) {
        double *to = out + r->state_start[v];
        const int32_t *kept = r->kept + r->state_start[v];
        if (r->index[v] < 0) to[kept[0]] = certain;
        else
            for (int s = 0; s < r->sizes[v]; s++) to[kept[s]] = *x++;
    }
}

/* What was found: log Z, the marginals, and the tree that ran with its price. */
typedef struct {
    double *marginals, *log_z, *price;
    int32_t *pairs;
} Found;

static int answer(const Reduced *r, const Terms *terms, const Greediness *how, int64_t n_scope, int blas,
                  const Found *found) {
    Rest rest = compact(r, n_scope);
    int32_t *pairs = found->pairs;
    double *price = found->price;
    if (!rest.net.m || tree_greedily(&rest.net, how, pairs, price) == INFINITY) return DECLINED;
    if (price[6] > terms->entries || foreseen(terms, price, rest.net.m - 1) > terms->seconds) return DECLINED;
    Job job = {&rest.net, rest.sizes, pairs, rest.values, MARGINALS, SUM_PRODUCT, -1, blas};
    Answer to = {.log_z = found->log_z, .marginals = grab(sizeof(double) * (size_t)(r->state_start[r->n] + 1))};
    int status = run_job(&job, &to);
    if (status != OK) return DECLINED;
    spread(r, to.marginals, 0, 1, found->marginals);
    *found->log_z += log(r->constant) + r->exponent * 0.693147180559945309417;
    return OK;
}

/* In `out` all marginals (over all states, one variable after the other), log Z and the price of the tree, whose pairs
 * [2 × m] are written too; or DECLINED: beyond the terms, impossible, or in need of logarithms. With `child` and `wanted`
 * barren variables are dropped first (see reduce.h): their marginals are no answer. */
EXPORT int query_marginals(int n, int m, const int32_t *sizes, const int64_t *starts, const int32_t *scopes,
                           const int64_t *value_starts, const double *values, const int32_t *evidence,
                           const int32_t *child, const uint8_t *wanted, const double *terms, int heuristic,
                           double limit, double seconds, double *out, int32_t *pairs, Caller caller) {
    REGION(caller)
    Tables given = {n, m, sizes, starts, scopes, value_starts, values};
    Greediness how = {heuristic, 0, 0, limit, seconds};
    Reduced r = {0};
    reduce_tables(&r, &given, evidence, child, wanted, 1);
    double *log_z = out + r.state_start[n];
    Found found = {out, log_z, log_z + 1, pairs};
    int status = r.impossible ? DECLINED : answer(&r, (const Terms *)terms, &how, starts[m], caller != NULL, &found);
    region_leave();
    return status;
}
