/* Expected table entries over many small cases of evidence: all joint states of what is hidden in a case, depth first.
 *
 * Cases come in groups with the same hidden variables (the levels) and the same tables; what is observed only says where
 * in its table a case reads. Tables over the same hidden variables make a clique, whose product is taken before the walk.
 * A clique counts at the level at which the last of its variables is set, so that a zero ends the walk below it, and on
 * the way back what the levels below add up to gives the posterior of its joint states. */
#include "kernels.h"

enum { MANY = 16 };
#define FAINT 1e-200 /* a product below this is taken anew with logarithms */
#define LOST 1e-250  /* a sum below this may have lost terms: the caller has to take logarithms throughout */

typedef struct {
    const int64_t *level_start, *clique_start, *case_start, *base_start; /* of each group, and the end of the last */
    const int32_t *level_size;
    const int32_t *clique_level, *clique_size;  /* levels ascend within a group; numbers of joint states */
    const int64_t *stride_start;                /* of each clique: its strides, one for each level of its group */
    const int32_t *stride;
    const int64_t *family_start;                /* of each clique: its tables, and the end of the last */
    const int64_t *offset_start;                /* of each table: where its entries for the states of its clique are */
    const int32_t *offset;
    const int32_t *base;                        /* of each group, [case][table]: where the case reads */
    int64_t n_groups;
} Cases;

typedef struct {
    const Cases *c;
    int64_t first;       /* clique of the group */
    int n_levels;
    const int32_t *size;
    const int64_t *from; /* of each level, its first clique, counted from `first` */
    int32_t *state;
    int64_t *at;         /* of each clique, its place without the level that completes it */
    int64_t *start;      /* of each clique, where its entries are in the two arrays below */
    double *product, *posterior;
} Walk;

static double visit(Walk *w, int d, double prefix) {
    const Cases *c = w->c;
    double total = 0;
    if (d + 4 <= w->n_levels) region_worked(8 * (int64_t)w->size[d] * w->size[d + 1] * w->size[d + 2] * w->size[d + 3]);
    for (int64_t k = w->from[d]; k < w->from[d + 1]; k++) {
        const int32_t *stride = c->stride + c->stride_start[w->first + k];
        w->at[k] = w->start[k];
        for (int l = 0; l < d; l++) w->at[k] += (int64_t)stride[l] * w->state[l];
    }
    for (int s = 0; s < w->size[d]; s++) {
        double m = 1;
        for (int64_t k = w->from[d]; k < w->from[d + 1]; k++)
            m *= w->product[w->at[k] + (int64_t)c->stride[c->stride_start[w->first + k] + d] * s];
        if (m == 0) continue;
        w->state[d] = s;
        if (d + 1 < w->n_levels) m *= visit(w, d + 1, prefix * m);
        total += m;
        for (int64_t k = w->from[d]; k < w->from[d + 1]; k++)
            w->posterior[w->at[k] + (int64_t)c->stride[c->stride_start[w->first + k] + d] * s] += prefix * m;
    }
    return total;
}

/* The product of the tables of a clique at each of its joint states, and the logarithm of what was taken out of it. */
static double multiply(const Cases *c, int64_t clique, const int32_t *base, const double *theta, double *out) {
    int64_t from = c->family_start[clique], to = c->family_start[clique + 1];
    int size = c->clique_size[clique], faint = to - from > MANY;
    for (int s = 0; s < size; s++) out[s] = 1;
    for (int64_t f = from; f < to && !faint; f++) {
        const int32_t *offset = c->offset + c->offset_start[f];
        const double *x = theta + base[f - from];
        for (int s = 0; s < size; s++) out[s] *= x[offset[s]];
    }
    for (int s = 0; s < size && !faint; s++) {
        int zero = 0;
        if (out[s] < FAINT)
            for (int64_t f = from; f < to; f++) zero |= theta[base[f - from] + c->offset[c->offset_start[f] + s]] == 0;
        faint = out[s] < FAINT && !zero;
    }
    if (!faint) return 0;
    double top = -INFINITY;
    for (int s = 0; s < size; s++) out[s] = 0;
    for (int64_t f = from; f < to; f++) {
        const int32_t *offset = c->offset + c->offset_start[f];
        const double *x = theta + base[f - from];
        for (int s = 0; s < size; s++) out[s] += log(x[offset[s]]);
    }
    for (int s = 0; s < size; s++) top = out[s] > top ? out[s] : top;
    for (int s = 0; s < size; s++) out[s] = top > -INFINITY ? exp(out[s] - top) : 0;
    return top > -INFINITY ? top : 0;
}

/* Adds the posterior of the clique's joint states to the entries that the case reads. */
static void add_counts(const Cases *c, int64_t clique, const int32_t *base, const double *posterior, double factor,
                       double *counts) {
    int64_t from = c->family_start[clique], to = c->family_start[clique + 1];
    for (int64_t f = from; f < to; f++) {
        const int32_t *offset = c->offset + c->offset_start[f];
        double *x = counts + base[f - from];
        for (int s = 0; s < c->clique_size[clique]; s++) x[offset[s]] += factor * posterior[s];
    }
}

/* log Z of the case; NaN where doubles do not suffice. */
static double run_case(Walk *w, const int32_t *base, double weight, const double *theta, double *counts) {
    const Cases *c = w->c;
    int64_t n = w->from[w->n_levels], first_family = c->family_start[w->first];
    double log_scale = 0;
    region_worked(4 * w->start[n]);
    for (int64_t k = 0; k < n; k++) {
        const int32_t *own = base + c->family_start[w->first + k] - first_family;
        log_scale += multiply(c, w->first + k, own, theta, w->product + w->start[k]);
    }
    memset(w->posterior, 0, sizeof(double) * (size_t)w->start[n]);
    double z = visit(w, 0, 1);
    if (!(z > LOST)) return NAN;
    for (int64_t k = 0; k < n && counts; k++)
        add_counts(c, w->first + k, base + c->family_start[w->first + k] - first_family, w->posterior + w->start[k],
                   weight / z, counts);
    return log(z) + log_scale;
}

/* The walk over the cases of a group; its arrays are the caller's to drop. */
static Walk prepare(const Cases *c, int64_t g) {
    Walk w = {.c = c, .first = c->clique_start[g], .n_levels = (int)(c->level_start[g + 1] - c->level_start[g])};
    int64_t n = c->clique_start[g + 1] - w.first, *from = grab(sizeof(int64_t) * (size_t)(w.n_levels + 1));
    w.size = c->level_size + c->level_start[g];
    w.state = grab(sizeof(int32_t) * (size_t)w.n_levels);
    w.at = grab(sizeof(int64_t) * (size_t)(n + 1));
    w.start = grab(sizeof(int64_t) * (size_t)(n + 1));
    w.start[0] = 0;
    for (int64_t k = 0; k < n; k++) w.start[k + 1] = w.start[k] + c->clique_size[w.first + k];
    w.product = grab(sizeof(double) * (size_t)w.start[n]);
    w.posterior = grab(sizeof(double) * (size_t)w.start[n]);
    int64_t k = 0;
    for (int d = 0; d <= w.n_levels; d++) {
        while (k < n && c->clique_level[w.first + k] < d) k++;
        from[d] = k;
    }
    w.from = from;
    return w;
}

/* For the cases from .. to: log Z of each, and, unless counts is NULL, the posterior of every table entry times the
 * weight of the case, added to counts. Cases of weight zero are passed over. */
EXPORT int cases_expected(const Cases *c, int64_t from, int64_t to, const double *theta, const double *weight,
                          double *counts, double *log_z, Caller caller) {
    REGION(caller)
    int64_t g = 0;
    for (int64_t i = from; i < to;) {
        while (c->case_start[g + 1] <= i) g++;
        Walk w = prepare(c, g);
        int64_t n = c->family_start[c->clique_start[g + 1]] - c->family_start[w.first];
        for (; i < to && i < c->case_start[g + 1]; i++)
            if (weight[i] > 0)
                log_z[i] = run_case(&w, c->base + c->base_start[g] + (i - c->case_start[g]) * n, weight[i], theta, counts);
        drop(w.state), drop(w.at), drop(w.start), drop(w.product), drop(w.posterior), drop((void *)w.from);
    }
    region_leave();
    return 0;
}
