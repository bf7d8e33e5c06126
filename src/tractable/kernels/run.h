/* A run of a contraction tree. */
#ifndef TRACTABLE_RUN_H
#define TRACTABLE_RUN_H

#include "tensor.h"

enum { EVIDENCE = 0, MARGINALS = 1, WALK = 2, ENTRIES = 3 };
enum { OK = 0, ZERO = 1, UNSAFE = 2 };

typedef struct {
    Context c;
    const int32_t *pairs;
    const uint8_t *keep;
    Table *full;    /* the given tables */
    Table *node;    /* tables of the tree: leaves without the axes only they have, then what the pairs made */
    int32_t *count; /* tables in how many live nodes a variable occurs */
    uint8_t *alone; /* variables that occur in one table only */
    uint8_t *drop;
} Run;

typedef struct {
    const Network *net;
    const int32_t *sizes, *pairs;
    const double **values; /* of each table */
    int task, semiring, row;
    int blas; /* the caller makes large products */
} Job;

typedef struct {
    double *log_z;     /* per evidence row, the natural logarithm of the sum (or the maximum) */
    double *root;      /* where not NULL: the table over the kept variables in ascending order, exp(log_z[0]) taken out */
    double *marginals; /* [state][row] of each variable; for ENTRIES of each given table, laid out as it is */
    int64_t n_samples;
    const double *uniforms;
    int32_t *states;
    int64_t peak;      /* the most bytes held at once */
} Answer;

/* Runs the tree within the region that is open. */
int run_job(const Job *job, Answer *to);
void posterior_of(Context *c, const Table *t, const Table *adjoint, double *out);
void walk_down(Run *r, int64_t n_samples, const double *uniforms, int32_t *states);

#endif
