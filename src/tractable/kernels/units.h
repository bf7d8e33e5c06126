/* A sweep over units with common children. */
#ifndef TRACTABLE_UNITS_H
#define TRACTABLE_UNITS_H

#include "binary.h"

/* Chains of n units with m children: logits of the units from above, states, whether they are free; of the children
 * states, logits and whether they count, and weights [m][n] of the units in these logits. What the children say counts
 * `beta`. Units are visited in an order that may leave some out. */
typedef struct {
    int64_t n_chains, n, m, n_visits;
    const uint32_t *seed, *numbers, *order;
    const float *own, *h, *free, *x, *logits, *counts, *weights;
    float beta;
    float *out;
    float *columns, *scratch; /* made here: the weights by units, and room for each worker */
} Units;

/* 1 when there is no memory. */
int sweep_units(const Crew *crew, Units *units);

#endif
