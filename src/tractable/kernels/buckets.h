/* Mini-buckets: the buckets of an elimination order, each split into parts with tables of a limited size.
 *
 * The sum over a bucket's variable v of a product of parts f_r is at most the product of (sum_v f_r^(1/w_r))^w_r for
 * weights w_r > 0 that sum to 1 (Hölder's inequality), and each of these is a message to a later bucket: Dechter & Rish
 * 2003, Liu & Ihler 2011. Shifts over the variables that all parts of a bucket have, which sum to 0, move cost between
 * them. A state is weights and shifts, nothing else: messages follow from it.
 *
 * A variable of temperature t has (sum_v f^(1/t))^t in place of the sum, and weights that sum to t. Where t = 0 that is
 * the maximum and all weights are 0: maxima after sums bound marginal MAP, maxima alone the most probable state.
 *
 * Tables hold logarithms, with axes in the order of elimination: a bucket's own variable is the slowest, so that the
 * message of a part has the axes that are left. The logarithm of zero is ZERO_LOG, or less. */
#ifndef TRACTABLE_BUCKETS_H
#define TRACTABLE_BUCKETS_H

#include "kernels.h"

enum { MOST_AXES = 64, BATCH = 512 };

#define ZERO_LOG (-1e300)
#define IS_ZERO(x) ((x) < -1e250)

/* How to walk through a table, axis by axis, and how far each step goes in another one. */
typedef struct {
    int nd;
    int64_t sizes[MOST_AXES], steps[MOST_AXES];
} Axes;

typedef struct {
    int group, up;     /* its bucket; the part that has its message, or -1 */
    int nd, first;     /* its variables: `members` from there on */
    int64_t size, rest; /* entries of its table and of its message */
    int64_t at, message_at;
    Ints factors, children;
} Part;

typedef struct {
    int variable, first, n; /* its parts, one after the other */
    int n_shared, shared;   /* variables that all have: `members` from there on */
    int64_t shift_size, shift_at; /* of the first part; those of the others follow */
} Group;

typedef struct {
    const Tables *t;
    int n_parts, room;
    Part *parts;
    Group *groups; /* t->n of them */
    int32_t *place; /* of each variable in the order */
    Ints members;
    int64_t *step; /* of each variable in a table; zero between two uses */
    int64_t size, rest, shift_size; /* of all parts together */
    int64_t largest, most_shifts;   /* of the largest part, of the bucket with the most */
    int too_large; /* a table that no index can have */
} Buckets;

typedef struct {
    const int32_t *order;
    int64_t limit; /* entries of a part; a single table may have more */
    uint64_t seed; /* of ties */
} Splitting;

void buckets_split(Buckets *b, const Tables *t, const Splitting *how);

static inline const int32_t *part_scope(const Buckets *b, const Part *p) { return b->members.at + p->first; }

/* Of a part's table, and of one over some of its variables: all but its own, those that are shared, those of a factor. */
void axes_of(const Buckets *b, const Part *p, const int32_t *scope, int nd, Axes *to);
void add_onto(double *dst, const Axes *a, const double *src); /* dst[walk] += src[steps] */
void sum_onto(double *dst, const Axes *a, const double *src); /* dst[steps] += src[walk] */
void max_onto(double *dst, const Axes *a, const double *src); /* dst[steps] = max(dst[steps], src[walk]) */
void message_axes(const Buckets *b, const Part *p, Axes *to); /* of its message, in the part that has it */
void shift_axes(const Buckets *b, const Part *p, Axes *to);
static inline int part_states(const Buckets *b, const Part *p) { return b->t->sizes[b->groups[p->group].variable]; }

typedef struct {
    Buckets *b;
    double *logs;            /* of the entries of all given tables */
    double *weights, *shifts; /* the state */
    const double *temperatures; /* of variables; NULL: all are one */
    double *psi, *messages;  /* what follows from it */
    double *above, *belief, *marginals; /* what sweeps work with: messages from above, a table, shifts of a bucket */
    double *log_sizes, *message_sizes; /* of factors, and of parts */
    double log_z, slack;     /* the bound, and what rounding, and shifts that do not sum to zero, may have taken from it */
    double end;              /* when to stop */
    int early;               /* shifts are made on the way up */
} Bound;

static inline double temperature_of(const Bound *of, const Group *g) {
    return of->temperatures ? of->temperatures[g->variable] : 1;
}
static inline double *shift_of(const Bound *of, int i) {
    const Group *g = &of->b->groups[of->b->parts[i].group];
    return of->shifts + g->shift_at + (i - g->first) * g->shift_size;
}

void bound_open(Bound *of, Buckets *b, double *weights, double *shifts, const double *temperatures);
void bound_start(Bound *of);
/* Weights of other temperatures keep their proportions. */
void bound_rescale(const Bound *of, double *weights);
/* The bound from the state alone: not a number where the state is none. */
double bound_forward(Bound *of);
/* p(v | rest) = (f / message)^(1/w) of a part, as it stands. */
void part_conditional(const Bound *of, int i, double *to);
/* The same to draw from: what no number holds is log (f / message) instead, which is negative. */
void part_proposal(const Bound *of, int i, double *to);
int bound_improve(Bound *of, double step);
/* Moves the shifts of a bucket, in `marginals`, and what they are added to. */
void move_shifts(Bound *of, const Group *g, const double *moves);

/* The same for maxima. A sweep makes max-marginals alike: Ihler, Flerova, Dechter & Otten 2012. */
void max_message(const double *psi, int k, int64_t n, double *message);
void max_match_early(Bound *of, const Group *g);
int max_improve(Bound *of, double step);

/* What of the buckets is drawn: for each part where its conditional begins, or -1; returns how many entries they have. */
int64_t proposal_places(const Buckets *b, const uint8_t *wanted, int64_t *at);
void draw_batches(const Buckets *b, const double *weights, const double *proposal, const uint8_t *wanted, uint64_t seed,
                  int64_t first, int64_t n, double *log_w, int wide, void *states);

#endif
