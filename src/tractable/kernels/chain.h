/* Hidden Markov chains: what the files chain*.c share. States are the fast axis everywhere. */
#ifndef TRACTABLE_CHAIN_H
#define TRACTABLE_CHAIN_H

#include "kernels.h"
#include "vectors.h"

#define SMALLEST 1e-50 /* a transition less probable than this is left to logarithms */
#define SUM_TINY 1e-50 /* divided by a sum below this, what has lost digits could come out above TINY */

enum { CHAIN_OK, CHAIN_IMPOSSIBLE, CHAIN_UNSAFE };

/* Sequence s has the rows offsets[s] .. offsets[s+1]-1 of log_likelihood [rows, k]. */
typedef struct {
    int64_t k, n_rows, n; /* states, rows, sequences */
    const double *start, *transition; /* [k], [k, k] */
    const double *log_likelihood;
    const int64_t *offsets;
    const int64_t *order;  /* sequences, the longest first: neighbours run side by side */
    const double *weights; /* of the sequences */
} Chain;

/* Rows of which many are alike: row t is like the kind[t]-th of n; `scaled` [n, k] are their likelihoods, divided by
 * exp(shifts) [n], which makes the largest of each one. */
typedef struct {
    int64_t n;
    const int32_t *kind;
    const double *scaled, *shifts;
} Kinds;

/* The nonzero transitions, by state: `into` that are entered from others, `from` that others are entered from. */
typedef struct {
    int64_t *starts;
    int32_t *states;
    double *logs;
} Arrows;

/* `chain_smooth` of one sequence with logarithms, for what doubles cannot hold. */
void chain_log_smooth(const Chain *c, int64_t s, double *log_p, double *out, double *counts);
/* log p(z_t | x_1..t) of one sequence, up to a constant for each row, to `out`; log p(x) is returned. */
double chain_log_forward(const Chain *c, int64_t s, const Arrows *into, double *out);
void arrows_open(Arrows *a, const Chain *c, int into);
void arrows_close(Arrows *a);

/* Whether the sequences order[first..] can go side by side in lanes: they are not too long for the cache, and no
 * transition is zero. */
int chain_fits_lanes(const Chain *c, int64_t first);
/* `chain_smooth` of the sequences order[first..last), side by side in the lanes of vectors. status[s] says CHAIN_OK, or
 * CHAIN_UNSAFE of a sequence that has to be done otherwise. */
void chain_lanes(const Chain *c, int64_t first, int64_t last, double *log_p, double *out, int32_t *status,
                 double *counts);

/* Filtering of the sequences order[first..last): p(z_t | x_1..t) to `out`. status[s] says CHAIN_OK, _IMPOSSIBLE or
 * _UNSAFE: then doubles do not hold what may matter later, and logarithms have to. */
void chain_forward(const Chain *c, int64_t first, int64_t last, double *log_p, double *out, int32_t *status);

#endif
