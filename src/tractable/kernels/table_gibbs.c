/* Gibbs sampling of tables (Geman & Geman 1984): each variable in turn is drawn from the product of its tables given
 * the others, in many chains, each with a stream of random numbers of its own.
 *
 * A chain remembers which entry of every table it is at, so that a variable moves these by one stride. Products are
 * taken as they are, and by logarithms where they come out too small. */
#include "kernels.h"

#define SMALL 1e-250

typedef struct {
    int64_t n_chains, n_sweeps;
    uint64_t *streams; /* [n_chains] of random numbers, never zero; where they are afterwards */
    int32_t *states;   /* [n_chains][n] */
    double *means;     /* [n_chains][n_states] to which the probabilities of all draws are added; or NULL */
    double *squares;   /* the same of their squares */
} Chains;

typedef struct {
    int32_t table;
    int64_t stride;
} Place;

typedef struct {
    const Tables *t;
    int64_t *first; /* [n + 1] where the places of a variable begin */
    Place *places;  /* the tables that it is in */
    int64_t *state; /* [n + 1] where the states of a variable begin */
    const double **at; /* [m] the entry of each table that the chain is at */
    double *w;      /* of the states of a variable */
} Scan;

static void lay_out(Scan *c, const Tables *t) {
    int64_t edges = t->starts[t->m], widest = 1;
    *c = (Scan){.t = t};
    c->first = grab_zeroed((size_t)t->n + 2, sizeof(int64_t));
    c->state = grab_zeroed((size_t)t->n + 1, sizeof(int64_t));
    for (int64_t e = 0; e < edges; e++) c->first[t->scopes[e] + 2]++;
    for (int v = 0; v < t->n; v++) {
        c->first[v + 2] += c->first[v + 1];
        c->state[v + 1] = c->state[v] + t->sizes[v];
        widest = t->sizes[v] > widest ? t->sizes[v] : widest;
    }
    c->places = grab(sizeof(Place) * (size_t)(edges + 1));
    for (int j = 0; j < t->m; j++) {
        int64_t stride = 1;
        for (int64_t e = t->starts[j + 1]; e-- > t->starts[j];) {
            c->places[c->first[t->scopes[e] + 1]++] = (Place){j, stride};
            stride *= t->sizes[t->scopes[e]];
        }
    }
    c->at = grab(sizeof(double *) * (size_t)(t->m + 1));
    c->w = grab(sizeof(double) * (size_t)widest);
}

static void go_to(Scan *c, const int32_t *state) {
    const Tables *t = c->t;
    for (int j = 0; j < t->m; j++) {
        int64_t at = 0;
        for (int64_t e = t->starts[j]; e < t->starts[j + 1]; e++) at = at * t->sizes[t->scopes[e]] + state[t->scopes[e]];
        c->at[j] = t->values + t->value_starts[j] + at;
    }
}

/* The products of a variable's tables for each of its states, by logarithms; the largest is one. */
static double by_logarithms(Scan *c, int v, int32_t now) {
    int k = c->t->sizes[v];
    double most = -INFINITY, sum = 0;
    for (int s = 0; s < k; s++) {
        double x = 0;
        for (int64_t p = c->first[v]; p < c->first[v + 1]; p++)
            x += log(c->at[c->places[p].table][(s - now) * c->places[p].stride]);
        c->w[s] = x, most = x > most ? x : most;
    }
    for (int s = 0; s < k; s++) sum += c->w[s] = most == -INFINITY ? 1 : exp(c->w[s] - most);
    return sum;
}

/* Leaves the weights of a variable's states in w and returns their sum; they are equal where all of them are zero. */
static double weigh(Scan *c, int v, int32_t now) {
    int k = c->t->sizes[v];
    double sum = 0;
    for (int s = 0; s < k; s++) c->w[s] = 1;
    for (int64_t p = c->first[v]; p < c->first[v + 1]; p++) {
        int64_t stride = c->places[p].stride;
        const double *x = c->at[c->places[p].table] - now * stride;
        for (int s = 0; s < k; s++) c->w[s] *= x[s * stride];
    }
    for (int s = 0; s < k; s++) sum += c->w[s];
    return sum > SMALL && sum < 1 / SMALL ? sum : by_logarithms(c, v, now);
}

static void sweep(Scan *c, uint64_t *stream, int32_t *state, double *means, double *squares) {
    const Tables *t = c->t;
    for (int v = 0; v < t->n; v++) {
        int k = t->sizes[v];
        double sum = weigh(c, v, state[v]), u = next_uniform(stream) * sum;
        int32_t new = 0, last = 0;
        for (int s = 0; s < k; s++) {
            if (c->w[s] > 0) last = s;
            if (means) {
                double p = c->w[s] / sum;
                means[c->state[v] + s] += p, squares[c->state[v] + s] += p * p;
            }
        }
        for (; new < last && !(u < c->w[new]); new++) u -= c->w[new];
        if (new == state[v]) continue;
        for (int64_t p = c->first[v]; p < c->first[v + 1]; p++)
            c->at[c->places[p].table] += (new - state[v]) * c->places[p].stride;
        state[v] = new;
    }
}

/* So many sweeps of all chains, from the states that are there. */
EXPORT int gibbs_sweeps(int n, int m, const int32_t *sizes, const int64_t *starts, const int32_t *scopes,
                        const int64_t *value_starts, const double *values, const Chains *a, Caller caller) {
    REGION(caller)
    Tables t = {n, m, sizes, starts, scopes, value_starts, values};
    Scan c;
    lay_out(&c, &t);
    int64_t n_states = c.state[n], work = 4 * n_states + 4 * starts[m] + 20 * (int64_t)n + 1;
    for (int64_t i = 0; i < a->n_chains; i++) {
        double *means = a->means ? a->means + i * n_states : NULL;
        double *squares = a->means ? a->squares + i * n_states : NULL;
        go_to(&c, a->states + i * n);
        IN_PIECES(s, a->n_sweeps, work) sweep(&c, a->streams + i, a->states + i * n, means, squares);
        region_worked(work);
    }
    region_leave();
    return 0;
}
