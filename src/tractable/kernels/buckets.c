/* What Python calls of the mini-buckets. Parts follow from the tables, an order, a limit and a seed, and are made anew in
 * every call; the state, and conditionals to draw from, are the caller's. */
#include "buckets_search.h"

enum { SOUND = 0, TOO_LARGE = 1 };

#define TABLES                                                                                      \
    int n, int m, const int32_t *sizes, const int64_t *starts, const int32_t *scopes,               \
        const int64_t *value_starts, const double *values, const int32_t *order, const int64_t *how
#define SPLIT(b)                                                             \
    REGION(caller)                                                           \
    region_apart();                                                          \
    Tables t = {n, m, sizes, starts, scopes, value_starts, values};          \
    Buckets b;                                                               \
    buckets_split(&b, &t, &(Splitting){order, how[0], (uint64_t)how[1]});    \
    if (b.too_large) {                                                       \
        region_leave();                                                      \
        return TOO_LARGE;                                                    \
    }

/* What a draw takes: places and logarithms of parts, a choice among states. */
static double work_of_draw(const Buckets *b, const int64_t *at) {
    double work = 0;
    for (int i = 0; i < b->n_parts; i++) {
        const Group *g = &b->groups[b->parts[i].group];
        if (at[i] >= 0) work += b->parts[i].nd + 8 * b->t->sizes[g->variable] + (g->n > 1 ? 8 : 0);
    }
    return work;
}

/* Parts, entries of their tables, of messages, of shifts, of the largest table; buckets of several parts; entries of
 * conditionals that are drawn from where `wanted` variables are, and the work of a draw. */
EXPORT int buckets_price(TABLES, const uint8_t *wanted, double *told, Caller caller) {
    SPLIT(b)
    int several = 0;
    for (int k = 0; k < n; k++) several += b.groups[k].n > 1;
    int64_t *at = grab(sizeof(int64_t) * (size_t)(b.n_parts + 1));
    double all[] = {b.n_parts, (double)b.size, (double)b.rest, (double)b.shift_size, (double)b.largest, several,
                    (double)proposal_places(&b, wanted, at), work_of_draw(&b, at)};
    memcpy(told, all, sizeof all);
    region_leave();
    return SOUND;
}

typedef struct {
    double log_z, slack, *weights, *shifts;
} Best;

static void keep(Best *best, const Bound *of) {
    best->log_z = of->log_z, best->slack = of->slack;
    memcpy(best->weights, of->weights, sizeof(double) * (size_t)of->b->n_parts);
    memcpy(best->shifts, of->shifts, sizeof(double) * (size_t)of->b->shift_size);
}

static void go_back(const Best *best, Bound *of) {
    memcpy(of->weights, best->weights, sizeof(double) * (size_t)of->b->n_parts);
    memcpy(of->shifts, best->shifts, sizeof(double) * (size_t)of->b->shift_size);
    bound_forward(of);
}

/* Sweeps as long as they gain something; only a bound that is a number and lower than the best is kept. */
static int sweeps(Bound *of, Best *best, const double *terms) {
    int done = 0, dull = 0;
    double step = terms[2];
    for (; done < terms[0] && dull < 8 && now_seconds() < of->end; done++) {
        if (!bound_improve(of, step)) break;
        double u = bound_forward(of), gain = best->log_z - u;
        if (isfinite(u) && gain > 0) {
            dull = gain < terms[3] ? dull + 1 : 0;
            keep(best, of);
            step = fmin(1, 1.1 * step);
        } else {
            go_back(best, of);
            step /= 2, dull++;
        }
    }
    return done;
}

enum { AS_IT_IS, FRESH, RESCALED };

/* Lowers the bound of a state: the first one where `fresh`, or one of other temperatures whose weights are to be
 * RESCALED. terms: sweeps, seconds, step, least gain; told: the bound, what it was charged for rounding, sweeps done. */
EXPORT int buckets_bound(TABLES, int fresh, const double *temperatures, const double *terms, double *weights,
                         double *shifts, double *told, Caller caller) {
    double end = now_seconds() + terms[1];
    SPLIT(b)
    Bound of;
    bound_open(&of, &b, grab(sizeof(double) * (size_t)(b.n_parts + 1)), grab(sizeof(double) * (size_t)(b.shift_size + 1)),
               temperatures);
    Best best = {0, 0, weights, shifts};
    if (fresh == RESCALED) bound_rescale(&of, weights);
    if (fresh == FRESH) {
        bound_start(&of);
        of.early = 1;
        bound_forward(&of);
        of.early = 0;
        keep(&best, &of);
    } else {
        go_back(&best, &of);
        best.log_z = of.log_z, best.slack = of.slack;
    }
    of.end = end;
    told[2] = isfinite(of.log_z) && b.shift_size ? sweeps(&of, &best, terms) : 0;
    told[0] = best.log_z, told[1] = best.slack;
    region_leave();
    return SOUND;
}

/* The conditionals of a state, one part after the other as `proposal_places` says; told: the bound and its slack. */
EXPORT int buckets_proposal(TABLES, const uint8_t *wanted, double *weights, double *shifts, double *proposal, double *told,
                            Caller caller) {
    SPLIT(b)
    Bound of;
    bound_open(&of, &b, weights, shifts, NULL);
    told[0] = bound_forward(&of), told[1] = of.slack;
    int64_t *at = grab(sizeof(int64_t) * (size_t)(b.n_parts + 1));
    proposal_places(&b, wanted, at);
    for (int i = 0; i < b.n_parts; i++)
        if (at[i] >= 0) part_proposal(&of, i, proposal + at[i]);
    region_leave();
    return SOUND;
}

/* Batches of BATCH draws from a proposal: see `draw_batches`. */
EXPORT int buckets_draw(TABLES, const uint8_t *wanted, const double *weights, const double *proposal, int64_t first,
                        int64_t n_batches, uint64_t seed, double *log_w, int wide, void *states, Caller caller) {
    SPLIT(b)
    draw_batches(&b, weights, proposal, wanted, seed, first, n_batches, log_w, wide, states);
    region_leave();
    return SOUND;
}

/* The states of the last `n_levels` variables of the order, which the state's temperatures maximize, with the largest f:
 * see buckets_search.c, or `by_parts` the one with the largest f: see buckets_tree.c. terms: how many, seconds, nodes, bytes for open nodes, whether to ask what a leaf is worth,
 * looks; `lower`: what f has to exceed, which may be raised meanwhile, and the look at which to ask the caller at the latest. best [how many]: their values; rows: where in states
 * [how many + 1, n] each is, -1 for the other variables; told: a bound of all others, nodes, values found, whether nothing above them is open; and, while
 * the caller is asked of the leaf in the last row, its f, to be answered in the next number; looks, and whether the last one stopped it. */
EXPORT int buckets_search(TABLES, const double *temperatures, double *weights, double *shifts, int n_levels,
                          int by_parts, const double *terms, const double *lower, double *best, int32_t *rows, int32_t *states,
                          double *told, Caller caller) {
    double end = now_seconds() + terms[1];
    SPLIT(b)
    Bound of;
    bound_open(&of, &b, weights, shifts, temperatures);
    bound_forward(&of);
    Wanted wanted = {n_levels, (int)terms[0], caller && terms[4] > 0, end, terms[2], terms[3], terms[5], lower, best, told, rows, states};
    memset(states, -1, sizeof(int32_t) * (size_t)n * (size_t)(wanted.n_best + 1));
    (by_parts ? search_by_parts : search_below)(&of, &wanted);
    region_leave();
    return SOUND;
}
