/* A query in one call, from conditioning to its answer. */
#ifndef TRACTABLE_QUERY_H
#define TRACTABLE_QUERY_H

#include "reduce.h"
#include "run.h"

enum { DECLINED = 3 };

/* What the caller allows without being asked again. */
typedef struct {
    double entries, seconds; /* at most so many entries at once, and so long a run */
    double call, step, each[N_PRICES]; /* predicted seconds: for the call, for a step, for each unit of a price */
} Terms;

/* What is left of a network, its variables numbered anew; there is room for one more table over no variable. */
typedef struct {
    Network net;
    int32_t *sizes;
    int64_t *starts;
    const double **values;
} Rest;

Rest compact(const Reduced *r, int64_t n_scope);
/* Predicted seconds of a tree with this price. */
double foreseen(const Terms *terms, const double *price, int n_steps);
/* What x says of the remaining states, laid out over all states: `none` of those that are gone, `certain` of the one that
 * a fixed variable has. */
void spread(const Reduced *r, const double *x, double none, double certain, double *out);

#endif
