/* Clauses while they are made simpler: who occurs where, and what is known already. */
#ifndef TRACTABLE_COUNT_SIMPLIFY_H
#define TRACTABLE_COUNT_SIMPLIFY_H

#include "count_search.h"

/* Which variables are summed out: none; those that others define; also those that leave clauses with a factor. */
enum { NONE, DEFINED, ALL };

/* Variables that were summed out, one after the other: number, weights, its clauses. */
typedef struct {
    Ints at, text;
} Summed;

typedef struct {
    int sum_out;
    uint8_t *kept; /* variables that stay; NULL: none has to */
    int64_t work;        /* at most */
} Effort;

typedef struct {
    Formula *f;
    const Effort *effort;
    Summed *summed;
    Ints *occurs;   /* of each literal: numbers of clauses, some of which may be gone or have it no more */
    uint64_t *sign; /* of each clause: a bit for each of its literals */
    int cap_sign;
    uint8_t *value; /* of literals */
    uint8_t *gone;  /* variables that were summed out, or stand for others */
    int32_t *same;  /* a literal that stands for each, see `simple_same` */
    Ints known;     /* literals that are true, `head` of them worked in */
    int head;
    Ints queue;     /* clauses that have changed */
    uint8_t *queued;
    uint32_t *mark, stamp; /* of literals */
    Ints trail, scratch, scratch2;
    int64_t work, most;
} Simple;

void simple_open(Simple *w, Formula *f, const Effort *effort, Summed *summed);
int simple_add(Simple *w, const int32_t *lits, int len, double factor); /* the number of the clause, or -1 */
int32_t simple_same(Simple *w, int32_t lit); /* the one that stands for it in the end */
void simple_remove(Simple *w, int id);
void simple_fix(Simple *w, int32_t lit);
void simple_settle(Simple *w); /* what is known is worked in, clauses imply and shorten one another */
void simple_probe(Simple *w);
int simple_sum_out(Simple *w); /* how many variables */
void simple_close(Simple *w, int32_t *image);

/* What became of each variable: the new literal that it equals, or one of these. */
enum { SUMMED_OUT = -1, IS_TRUE = -2, IS_FALSE = -3 };

/* Makes a formula simpler without a change of its sum; what is summed out is written to `summed`. */
void formula_simplify(Formula *f, const Effort *effort, int32_t *image, Summed *summed);
Formula formula_copy(const Formula *f);
void formula_close(Formula *f);

void summed_equal(Summed *summed, int32_t lit, int32_t other); /* one stands for the other from now on */

/* The states of variables that were summed out, given the others': the only ones possible, or drawn. */
void summed_states(const Summed *summed, uint8_t *is_true, uint64_t *random);

static inline int is_alive(const Formula *f, int id) { return f->clauses[id].len > 0; }

#endif
