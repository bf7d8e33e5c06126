/* Counting by search: the sum over all states of a product of tables, where many entries are zero or alike.
 *
 * Tables become clauses over Boolean variables (`count_clauses.c`). A literal is 2v where variable v is true, 2v + 1
 * where it is false, and has a weight; a clause is a disjunction of literals with a factor that counts where all of
 * them are false: 0 where that cannot be, another number where a table has an entry unlike most of its others. The
 * search decides variables one by one (`count_search.c`), draws conclusions (`count_propagate.c`), learns from
 * contradictions (`count_learn.c`), takes what falls apart by itself (`count_parts.c`) and remembers the sums of parts
 * (`count_cache.c`). */
#ifndef TRACTABLE_COUNT_H
#define TRACTABLE_COUNT_H

#include "kernels.h"

/* m * 2^e: sums neither overflow nor vanish. */
typedef struct {
    double m;
    int64_t e;
} Number;

static inline Number number_scaled(Number x) {
    if (x.m > 0x1p-200 && x.m < 0x1p200) return x;
    if (x.m == 0) return (Number){0, 0};
    int k;
    x.m = frexp(x.m, &k);
    x.e += k;
    return x;
}

static inline Number number_times(Number a, Number b) { return number_scaled((Number){a.m * b.m, a.e + b.e}); }
static inline Number number_by(Number a, double x) { return number_scaled((Number){a.m * x, a.e}); }

/* The same for a number that may be as large or small as doubles are. */
static inline Number number_of(Number a, double x) { return number_times(a, number_scaled((Number){x, 0})); }

static inline double number_shift(double m, int64_t by) { return by < -2000 ? 0 : ldexp(m, (int)by); }

static inline Number number_plus(Number a, Number b) {
    if (a.e == b.e) return number_scaled((Number){a.m + b.m, a.e});
    if (a.m == 0) return b;
    if (b.m == 0) return a;
    if (a.e < b.e) return number_plus(b, a);
    return number_scaled((Number){a.m + number_shift(b.m, b.e - a.e), a.e});
}

static inline double number_log(Number x) { return log(x.m) + (double)x.e * 0.6931471805599453; }

typedef struct {
    int32_t at, len; /* its literals in the pool */
    double factor;   /* 0: a hard clause */
} Clause;

typedef struct {
    int n, m, cap;
    double *weight; /* of each literal */
    Number constant;
    Clause *clauses;
    Ints pool;
    int impossible, extreme; /* extreme: a weight or a factor is beyond what products of a few of them bear */
} Formula;

static inline int32_t *literals(const Formula *f, const Clause *c) { return f->pool.at + c->at; }

#define BEARABLE 1e200

/* Multiplies a weight or a factor. */
static inline void formula_scale(Formula *f, double *what, double by) {
    double before = *what;
    *what *= by;
    if (*what != 0 && !(*what > 1 / BEARABLE && *what < BEARABLE)) f->extreme = 1;
    if (*what == 0 && by != 0 && before != 0) f->extreme = 1;
}

void formula_add(Formula *f, const int32_t *lits, int len, double factor);

/* count_clauses.c: the first Boolean variable of each variable; false where a table or a variable is too large. */
int formula_of_tables(Formula *f, const Tables *t, int32_t *first);

/* The literal that says that a variable is in this state. */
static inline int32_t literal_of(int size, int32_t first, int state) {
    return size == 2 ? 2 * first + (state == 0) : 2 * (first + state);
}

#endif
