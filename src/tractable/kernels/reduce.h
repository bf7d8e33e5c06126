/* A network that is being conditioned. */
#ifndef TRACTABLE_REDUCE_H
#define TRACTABLE_REDUCE_H

#include "kernels.h"

typedef struct {
    int nd, alive, has_zero, queued;
    int32_t *scope;
    const double *values; /* the given ones as long as they need no change */
    double *own;          /* else a copy of them */
    int64_t size;
    double least, most; /* smallest nonzero and largest entry, after scaling */
} Factor;

typedef struct {
    int n, m;
    const int32_t *old_sizes;
    int32_t *sizes;       /* remaining numbers of states */
    int64_t *state_start; /* of variable v in `kept` */
    int32_t *kept;        /* remaining states of each variable, ascending */
    int32_t *index;       /* new number of a free variable, -1 if fixed */
    int n_free;
    int impossible;
    double exponent;      /* of two, taken out of the tables */
    double constant;      /* product of tables over no variable, mantissa */
    Factor *factors;
    int64_t *of_start;
    int32_t *of;          /* factors of each variable */
    int32_t *scope_buffer;
} Reduced;

/* Conditions the network on evidence (state index, -1 where unobserved). `child` names the variable whose conditional
 * table factor j is (-1: none), `wanted` the variables asked for; with both NULL nothing is pruned as barren. `merge`
 * multiplies tables into those whose scope contains theirs. */
void reduce_tables(Reduced *r, const Tables *given, const int32_t *evidence, const int32_t *child,
                   const uint8_t *wanted, int merge);

#endif
