/* Tables with named axes, and the one operation on them: contract two over the axes that nothing else needs. */
#ifndef TRACTABLE_TENSOR_H
#define TRACTABLE_TENSOR_H

#include "kernels.h"

#define TINY 1e-290          /* products below this may lose bits */
#define SAFE 1e-140          /* products of two tables within this and its inverse keep all bits */
#define SUBNORMAL 0x1p-1074  /* what an underflow takes at most */

enum { SUM_PRODUCT = 0, MAX_PLUS = 1, LOG_SUM_EXP = 2 };

typedef struct {
    int nd;
    int32_t *legs;   /* variables, slowest axis first */
    double *x;
    int64_t size;
    double exponent; /* of two, taken out of x */
    double *row_exponent; /* the same for every evidence row, where the table has the row axis */
    double least, most; /* bounds of the nonzero entries */
    double slip;     /* what underflow may have taken from any entry */
    int owned;
    int constant;    /* all entries are one: a conditional table summed over its child */
} Table;

enum { POOL = 64, SCRATCH = 1 << 12 };

typedef struct {
    const Network *net;
    const int32_t *sizes;
    int semiring;
    int row;         /* the variable that numbers evidence rows, always the fastest axis; -1 if none, as in the other semirings */
    int64_t n_rows;
    int blas;        /* the caller makes large products */
    int64_t live, pooled, peak; /* bytes of tables in use, kept for the next ones, and the most of both at once */
    char *pool[POOL];
    int n_pool;
    int risky;       /* some product may have underflowed */
    int unsafe;      /* a given table may have: only logarithms will do */
    uint8_t *mark;   /* per variable, cleared after use */
    int64_t *scratch; /* offsets of small tables, used anew by every contraction */
    int64_t n_scratch;
} Context;

double *table_alloc(Context *c, int64_t entries);
void table_release(Context *c, double *x);
void table_free(Context *c, Table *t);
/* out's axes are those of a and b, without the shared ones for which drop[v] is set. */
void contract(Context *c, const Table *a, const Table *b, const uint8_t *drop, Table *out);
void normalize(Context *c, Table *t);
void gather(Context *c, const Table *t, const int32_t *order, double *dst);
/* Offsets of all joint states of some axes of t, the last axis fastest; `give_back` them. */
int64_t *offsets(Context *c, const Table *t, const int32_t *axes, int n, int64_t size);
void give_back(Context *c, int64_t *x);

/* c[m][n] = sum over k of a[am[m] + ak[k]] b[bk[k] + n], rows of c are `row` apart. */
void block_product(const double *a, const int64_t *am, const int64_t *ak, const double *b, const int64_t *bk, double *c,
                   int64_t row, int64_t M, int64_t K, int64_t N);
void dot_product(const double *a, const double *b, double *c, int64_t M, int64_t K, int64_t N);
void max_product(const double *a, const double *b, double *c, int64_t M, int64_t K, int64_t N);
void log_product(const double *a, const double *b, double *c, int64_t M, int64_t K, int64_t N);

/* c[:] += x[:] y[:], or c[:] = x[:] y[:] the first time. */
static inline void vector_product(const double *x, const double *y, double *z, int64_t len, int first) {
    if (first)
        for (int64_t v = 0; v < len; v++) z[v] = x[v] * y[v];
    else
        for (int64_t v = 0; v < len; v++) z[v] += x[v] * y[v];
}

#endif
