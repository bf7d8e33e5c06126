/* Annealing of machines that are narrow on one side, the other side summed out. */
#ifndef TRACTABLE_NARROW_H
#define TRACTABLE_NARROW_H

#include "binary.h"

/* log p(x) = (c0 + beta (c1 - c0)).x + sum_j log(1 + exp(b0_j + beta (b1_j - b0_j + x.W_j))) with x in {0, 1}^k.
 * The fields c0, b0 of the base are the same for all chains, or each chain has its own. */
typedef struct {
    int64_t n_chains, n_steps, k, m, n_bases; /* n_bases is 1 or n_chains */
    const uint32_t *seeds; /* [n_steps][k][2] */
    const uint32_t *rows;  /* [n_chains] the numbers of the chains */
    const float *betas;    /* [n_steps + 1] */
    const float *x;        /* [n_chains][k] */
    const float *w;        /* [k][m] */
    const float *c;        /* [n_bases + 1][k], those of the model last */
    const float *b;        /* [n_bases + 1][m] */
    int backward;          /* whether units are visited from the last to the first */
    float *out;            /* [n_chains][k] the states at the end */
    float *change;         /* [n_steps][n_chains] log p at the new temperature less that at the old one */
} Narrow;

/* Every chain goes from temperature to temperature, and at each new one all its units are drawn one by one; 1 when there
 * is no memory. */
int narrow_anneal(const Crew *crew, const Narrow *given);

#endif
