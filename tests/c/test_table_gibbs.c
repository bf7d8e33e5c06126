/* Tests of table_gibbs.c: the same chains as plain loops that multiply all tables for every state. */
#include "models.h"

typedef struct {
    int64_t n_chains, n_sweeps;
    uint64_t *streams;
    int32_t *states;
    double *means, *squares;
} Chains;

int gibbs_sweeps(int n, int m, const int32_t *sizes, const int64_t *starts, const int32_t *scopes,
                 const int64_t *value_starts, const double *values, const Chains *a, Caller caller);

static double next_unit(uint64_t *s) {
    *s ^= *s >> 12, *s ^= *s << 25, *s ^= *s >> 27;
    return (double)(*s * 2685821657736338717ull >> 11) * 0x1p-53;
}

/* The probabilities of a variable given the others; equal where none is possible. */
static void given_others(const Tables *t, int v, int32_t *state, double *p) {
    int32_t now = state[v];
    long double x[8], most = -INFINITY, sum = 0;
    for (int s = 0; s < t->sizes[v]; s++) {
        state[v] = s, x[s] = 0;
        for (int j = 0; j < t->m; j++)
            for (int64_t e = t->starts[j]; e < t->starts[j + 1]; e++)
                if (t->scopes[e] == v) x[s] += logl(t->values[entry_of(t, j, state)]);
        most = x[s] > most ? x[s] : most;
    }
    for (int s = 0; s < t->sizes[v]; s++) sum += x[s] = most == -INFINITY ? 1 : expl(x[s] - most);
    for (int s = 0; s < t->sizes[v]; s++) p[s] = (double)(x[s] / sum);
    state[v] = now;
}

/* One chain; returns 0 where a draw was so near an edge that rounding decides. */
static int expected(const Model *a, int64_t n_sweeps, uint64_t stream, int32_t *state, double *means, double *squares) {
    const Tables *t = &a->tables;
    double p[8];
    for (int64_t i = 0; i < n_sweeps; i++)
        for (int v = 0, at = 0; v < t->n; at += t->sizes[v++]) {
            double u = next_unit(&stream), end = 0;
            given_others(t, v, state, p);
            int new = -1;
            for (int s = 0; s < t->sizes[v]; s++) {
                means[at + s] += p[s], squares[at + s] += p[s] * p[s];
                end += p[s];
                if (fabs(u - end) < 1e-9 && s < t->sizes[v] - 1 && p[s] > 0) return 0;
                if (new < 0 && u < end) new = s;
            }
            if (new < 0) return 0;
            state[v] = new;
        }
    return 1;
}

static int n_compared;

static void check(int n, int m, int kind) {
    enum { CHAINS = 3 };
    Model a = random_model(n, m, 3, 4, kind, -1, 0);
    const Tables *t = &a.tables;
    int32_t *states = TAKE(int32_t, CHAINS * n), *own = TAKE(int32_t, CHAINS * n);
    uint64_t *streams = TAKE(uint64_t, CHAINS), begun[CHAINS];
    double *means = ZEROS(double, CHAINS * a.n_states), *squares = ZEROS(double, CHAINS * a.n_states);
    double *m1 = ZEROS(double, CHAINS * a.n_states), *m2 = ZEROS(double, CHAINS * a.n_states);
    for (int i = 0; i < CHAINS; i++) {
        streams[i] = begun[i] = random_bits();
        for (int v = 0; v < n; v++) own[i * n + v] = states[i * n + v] = random_below(t->sizes[v]);
    }
    Chains c = {CHAINS, 5, streams, states, NULL, NULL};
    CHECK(!gibbs_sweeps(t->n, t->m, t->sizes, t->starts, t->scopes, t->value_starts, t->values, &c, NULL));
    c.means = means, c.squares = squares, c.n_sweeps = 20;
    CHECK(!gibbs_sweeps(t->n, t->m, t->sizes, t->starts, t->scopes, t->value_starts, t->values, &c, NULL));
    for (int i = 0; i < CHAINS; i++) {
        int64_t at = i * a.n_states;
        uint64_t then = begun[i];
        if (!expected(&a, 5, begun[i], own + i * n, m1 + at, m2 + at)) continue;
        for (int d = 0; d < 5 * n; d++) next_unit(&then);
        memset(m1 + at, 0, sizeof(double) * (size_t)a.n_states), memset(m2 + at, 0, sizeof(double) * (size_t)a.n_states);
        if (!expected(&a, 20, then, own + i * n, m1 + at, m2 + at)) continue;
        n_compared++;
        CHECK(!memcmp(own + i * n, states + i * n, sizeof(int32_t) * (size_t)n));
        for (int64_t s = 0; s < a.n_states; s++) {
            CHECK_NEAR(means[at + s], m1[at + s], 1e-10);
            CHECK_NEAR(squares[at + s], m2[at + s], 1e-10);
        }
    }
    if (n == 4 && m == 3) {
        c.n_sweeps = 1;
        RUNS_OUT(gibbs_sweeps(t->n, t->m, t->sizes, t->starts, t->scopes, t->value_starts, t->values, &c, NULL),
                 NO_MEMORY, 0);
    }
    release();
}

int main(void) {
    for (int kind = 0; kind < KINDS; kind++)
        for (int n = 1; n < 7; n++)
            for (int m = 0; m < 10; m++)
                for (int i = 0; i < 5; i++) check(n, m, kind);
    CHECK(n_compared > 1000);
    return 0;
}
