/* Search for the states of largest f: see buckets_search.c. */
#ifndef TRACTABLE_BUCKETS_SEARCH_H
#define TRACTABLE_BUCKETS_SEARCH_H

#include "buckets.h"

/* States that were chosen from one level on, below those of another path. */
typedef struct Path {
    struct Path *before;
    int32_t start, length, users; /* nodes and paths that begin with it */
    int32_t states[];
} Path;

/* A node that is still to be looked at: what its path chose at the levels above, and its own state at the last. */
typedef struct {
    double f;
    Path *path;
    int32_t depth, state;
} Node;

/* Open nodes, a heap with the largest f on top, within so many bytes. */
typedef struct {
    Node *at;
    int64_t n, room, bytes, most;
    double swept; /* nothing as low as this is left */
} Frontier;

void frontier_open(Frontier *q, double bytes);
/* Whether so many nodes and one path find room, where need be after those no higher than `floor` are gone, of which the
 * highest is noted. */
int frontier_has_room(Frontier *q, int64_t n, int length, double floor, double *highest);
void frontier_push(Frontier *q, Node node);
Node frontier_pop(Frontier *q);
Path *path_made(Frontier *q, Path *before, int32_t start, int32_t end, const int32_t *x);
/* The states above a node's own, from its path. */
void path_follow(const Path *path, int32_t end, int32_t *x);
void path_released(Frontier *q, Path *path);

/* What a part adds to f: its table less its message, the states of its own variable next to one another. */
typedef struct {
    const double *table;
    int nd, first; /* of the search's steps: at which levels, and how far in the table */
} Gain;

typedef struct {
    int32_t level, step;
} Step;

/* The variable that is chosen at a level, and what f is then for each of its states, or TRIED. */
typedef struct {
    int32_t variable, k;
    int n, first; /* gains */
    double *f;
} Level;

#define TRIED (-INFINITY)

typedef struct {
    const Buckets *b;
    int n_levels, n_gains;
    Level *levels;
    Gain *gains;
    Step *steps;
    double root, slack; /* the bound, and what rounding may have taken from it */
} Ladder;

/* The levels of the last variables of the order, from the last one on, and their gains, in place of the tables. */
void ladder_of(Ladder *l, Bound *of, int n_levels);

/* What rounding may have taken from an f. */
static inline double ladder_charge(const Ladder *l, double f) {
    return l->slack + 2.3e-16 * (l->n_gains + 1) * (fabs(l->root) + fabs(f));
}

/* The logarithm of the product of all tables, from those of their entries. */
double log_of_product(const Tables *t, const double *logs, const int32_t *state);

/* f of the states at a level, from f above it. */
static inline void ladder_step(const Ladder *l, int d, double f, const int32_t *x) {
    const Level *at = &l->levels[d];
    for (int s = 0; s < at->k; s++) at->f[s] = f;
    for (int i = at->first; i < at->first + at->n; i++) {
        const Gain *g = &l->gains[i];
        const Step *step = l->steps + g->first;
        int64_t place = 0;
        for (int a = 0; a < g->nd; a++) place += (int64_t)x[step[a].level] * step[a].step;
        const double *gain = g->table + place;
        for (int s = 0; s < at->k; s++) at->f[s] += gain[s];
    }
}

/* What is asked, on what terms, and where the answer goes: see `buckets_search`. */
typedef struct {
    int n_levels, n_best, asks;
    double end, nodes, bytes, looks;
    const double *lower; /* and the look at which the caller wants to be asked again */
    double *values, *told;
    int32_t *rows, *states;
} Wanted;

/* What is told. */
enum { UPPER, NODES, FOUND, PROVEN, LEAF, VALUE, LOOKS, STOPPED };
enum { LOOK = 1 << 16 }; /* work between two looks, so that it is the same when it is done again */

/* A look at the caller and at the clock; true where it is time to stop. */
static inline int looked(const Wanted *w, int64_t work) {
    double looks = ++w->told[LOOKS];
    if (looks >= w->lower[1]) region_ask(&(Question){.made = 0});
    else region_worked(work);
    int stopped = looks >= w->looks || now_seconds() > w->end;
    w->told[STOPPED] = stopped;
    return stopped;
}

void search_below(Bound *of, const Wanted *wanted);
void search_by_parts(Bound *of, const Wanted *wanted); /* for the best alone: see buckets_tree.c */

#endif
