/* The state of a search: what is assigned and why, the parts that are open, the sums that are known. */
#ifndef TRACTABLE_COUNT_SEARCH_H
#define TRACTABLE_COUNT_SEARCH_H

#include "count.h"

enum { OPEN, TRUE, FALSE };               /* values of literals */
enum { CLAUSE_HEAD = 3 };                 /* before the literals of a clause: length, levels it joins, last use */
enum { SOLVED, OUT_OF_WORK, OUT_OF_ROOM, UNSUITED };

typedef struct {
    uint64_t a, b;
} Hash;

/* A part: variables that are open and the clauses over them, in the pool. */
typedef struct {
    int32_t at, n, m;
    Hash hash;
} Part;

typedef struct {
    int trail, part, parts, pool, notes; /* where its own begin; `part` is the one being summed */
    int opened; /* how many parts this branch fell into */
    int32_t decision;
    int branch, branch_notes;
    uint64_t mark; /* the time when the branch began */
    Number sum, product, value[2]; /* of both branches, of this one so far, of each */
    double own[2];
} Level;

typedef struct {
    Hash hash;
    double m;
    int32_t e;
    uint32_t node;
    uint64_t time; /* 0: empty */
} Known;

typedef struct {
    Known *at;
    int64_t size, used, most, hits, lookups;
    uint64_t time;
    struct Span {
        uint64_t from, to;
    } *spoilt; /* what was found out between was found under assumptions that contradict one another */
    int n_spoilt, cap_spoilt;
} Cache;

/* A part in the trace: where it begins, of each branch its share and the logarithm of what it adds by itself. */
typedef struct {
    int64_t at;
    double share[2], own[2];
} Node;

typedef struct {
    Node *nodes;
    int32_t *pool;
    int64_t n, cap, len, room, most; /* `most` bytes in all */
    int on;
} Trace;

typedef struct {
    const Formula *f;
    int n;
    uint8_t *value;
    int32_t *level, *place; /* of variables: the level, and where in the trail */
    int32_t *reason; /* 0: none; r > 0: the clause there; r < 0: the literal -r - 1 is false */
    int32_t *trail;
    int n_trail, head;
    Ints *pairs;   /* for each literal those that are true where it is false */
    Ints *watch;   /* for each literal the clauses that watch it: clause, some literal of it */
    Ints db;       /* long clauses */
    int32_t given; /* where learned ones begin */
    Ints units;    /* learned literals */
    int32_t conflict[2];
    Ints learned, decided, analysed; /* clauses made of a conflict; variables looked at */
    uint8_t *seen;
    double *activity, *side, bump;
    int64_t conflicts, decisions, n_learned, next_cut, work, most_work, look;
    double end; /* when to give up */
    int any;    /* a branch that is possible is enough */
    double *shown; /* for who waits: the decisions made, the share of all ways that is done */

    int32_t *near, *links; /* for each variable, neighbours in pairs, then clauses with their literals */
    int32_t *near_at, *links_at, *soft, *soft_at;
    double *tree, *frequency;
    uint32_t *own, *open_var, *open_clause, *met, stamp;
    Hash *hash_var, *hash_clause;

    Level *levels; /* 0: the root */
    int n_levels, cap_levels;
    Part *parts;
    int n_parts, cap_parts;
    Ints pool, found, notes;
    Cache cache;
    Trace trace;
} Search;

/* count_propagate.c */
void search_open(Search *s, const Formula *f);
void search_close(Search *s);
void assign(Search *s, int32_t lit, int32_t reason, int32_t level);
const int32_t *propagate(Search *s, int *len); /* the literals of a clause that is false, NULL where there is none */
void unwind(Search *s, int trail);
int32_t attach(Search *s, const int32_t *lits, int len, int joins);
const int32_t *reason_of(const Search *s, int32_t lit, int *len, int32_t *pair);

/* count_learn.c */
int analyse(Search *s, const int32_t *lits, int len); /* the level at fault */
void forget(Search *s);

/* count_parts.c */
void parts_open(Search *s);
void take_apart(Search *s);

/* count_order.c */
void order_by_tree(Search *s, double seconds);

/* count_cache.c */
void cache_open(Cache *c, int64_t bytes);
const Known *cache_find(Cache *c, Hash hash);
void cache_store(Cache *c, Hash hash, Number value, uint32_t node);
void cache_spoil(Cache *c, uint64_t from);

/* count_trace.c */
void note_literal(Search *s, int32_t lit);
void note_leaf(Search *s, int32_t var, const Number *by, Number sum);
void note_node(Search *s, uint32_t node);
void note_branch(Search *s);
uint32_t trace_close(Search *s, const Level *l);
int64_t trace_bytes(const Trace *t);
void trace_marginals(Search *s, double *of_literals);
double trace_best(Search *s, uint8_t *is_true);
void trace_sample(Search *s, uint64_t *random, uint8_t *is_true);

/* count_search.c */
int search(Search *s, Number *total);

#endif
