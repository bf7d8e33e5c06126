/* Tests of propagate.c: sums over all joint states where there are no loops; elsewhere every message is the one that
 * follows from the others by plain loops over the entries, and log Z is that of Bethe's formula in beliefs. */
#include "models.h"

typedef struct {
    double sweeps, tolerance, damping, undamped;
} Patience;

int propagate_beliefs(int n, int m, const int32_t *sizes, const int64_t *starts, const int32_t *scopes,
                      const int64_t *value_starts, const double *values, const int32_t *order, const Patience *how,
                      double *messages, double *beliefs, double *told, Caller caller);

typedef struct {
    double *messages, *beliefs, told[3];
    int64_t *at; /* where the message along an edge begins */
} Found;

static Found propagated(const Model *a, Patience how, int32_t *order) {
    const Tables *t = &a->tables;
    int64_t n = 0;
    Found f = {0};
    f.at = TAKE(int64_t, a->n_scope);
    for (int64_t e = 0; e < a->n_scope; e++) f.at[e] = n, n += t->sizes[t->scopes[e]];
    f.messages = TAKE(double, n), f.beliefs = ZEROS(double, a->n_states);
    CHECK(!propagate_beliefs(t->n, t->m, t->sizes, t->starts, t->scopes, t->value_starts, t->values, order, &how,
                             f.messages, f.beliefs, f.told, NULL));
    return f;
}

/* The tables in layers from the first of each part, the last first; returns whether there are no loops. */
static int from_the_leaves(const Tables *t, int32_t *order) {
    char *seen = ZEROS(char, t->m + 1), *known = ZEROS(char, t->n + 1);
    int length = 0, parts = 0, variables = 0;
    for (int root = 0; root < t->m; root++) {
        if (seen[root]) continue;
        int from = length;
        order[length++] = root, seen[root] = 1, parts++;
        for (int i = from; i < length; i++)
            for (int64_t e = t->starts[order[i]]; e < t->starts[order[i] + 1]; e++) {
                if (!known[t->scopes[e]]) variables++;
                known[t->scopes[e]] = 1;
                for (int j = 0; j < t->m; j++)
                    for (int64_t f = t->starts[j]; f < t->starts[j + 1]; f++)
                        if (t->scopes[f] == t->scopes[e] && !seen[j]) seen[j] = 1, order[length++] = j;
            }
    }
    for (int i = 0; i < length / 2; i++) {
        int32_t j = order[i];
        order[i] = order[length - 1 - i], order[length - 1 - i] = j;
    }
    return t->starts[t->m] == t->m + variables - parts;
}

/* What a variable says to the table of one of its edges, for one state. */
static long double said(const Tables *t, const Found *f, int64_t edge, int s) {
    long double x = 1;
    for (int64_t e = 0; e < t->starts[t->m]; e++)
        if (e != edge && t->scopes[e] == t->scopes[edge]) x *= expl(f->messages[f->at[e] + s]);
    return x;
}

/* The product of an entry of table j with what all its variables but that of an edge say; -1: all of them. */
static long double weighed(const Tables *t, const Found *f, int j, int64_t entry, int64_t but, int32_t *state) {
    long double x = t->values[t->value_starts[j] + entry];
    for (int64_t e = t->starts[j + 1]; e-- > t->starts[j];) {
        int k = t->sizes[t->scopes[e]];
        state[e - t->starts[j]] = (int32_t)(entry % k), entry /= k;
    }
    for (int64_t e = t->starts[j]; e < t->starts[j + 1]; e++)
        if (e != but) x *= said(t, f, e, state[e - t->starts[j]]);
    return x;
}

/* Every message is that of the others. */
static void check_stationary(const Model *a, const Found *f, double tolerance) {
    const Tables *t = &a->tables;
    int32_t state[MOST_VARIABLES];
    for (int j = 0; j < t->m; j++)
        for (int64_t e = t->starts[j]; e < t->starts[j + 1]; e++) {
            long double sent[8] = {0}, most = 0;
            for (int64_t i = 0; i < t->value_starts[j + 1] - t->value_starts[j]; i++) {
                long double x = weighed(t, f, j, i, e, state);
                sent[state[e - t->starts[j]]] += x;
            }
            for (int s = 0; s < t->sizes[t->scopes[e]]; s++) most = sent[s] > most ? sent[s] : most;
            for (int s = 0; s < t->sizes[t->scopes[e]]; s++)
                CHECK_NEAR(exp(f->messages[f->at[e] + s]), sent[s] / most, tolerance);
        }
}

/* Bethe's log Z from beliefs: minus their energy, plus the entropy of tables, less that of variables as often as they are
 * counted too much. */
static long double bethe(const Model *a, const Found *f) {
    const Tables *t = &a->tables;
    long double sum = 0;
    int32_t state[MOST_VARIABLES];
    for (int j = 0; j < t->m; j++) {
        int64_t size = t->value_starts[j + 1] - t->value_starts[j];
        long double total = 0;
        for (int64_t i = 0; i < size; i++) total += weighed(t, f, j, i, -1, state);
        for (int64_t i = 0; i < size; i++) {
            long double b = weighed(t, f, j, i, -1, state) / total;
            if (b > 0) sum += b * (logl(t->values[t->value_starts[j] + i]) - logl(b));
        }
    }
    const double *b = f->beliefs;
    for (int v = 0; v < t->n; b += t->sizes[v++]) {
        int degree = 0;
        for (int64_t e = 0; e < a->n_scope; e++) degree += t->scopes[e] == v;
        for (int s = 0; s < t->sizes[v]; s++)
            if (b[s] > 0) sum += (degree - 1) * (long double)b[s] * logl(b[s]);
    }
    return sum;
}

static int n_forests, n_loopy, n_impossible;

static void check(int n, int m, int kind) {
    Model a = random_model(n, m, 3, 4, kind, -1, 0);
    int32_t *order = TAKE(int32_t, m);
    int forest = from_the_leaves(&a.tables, order);
    long double *marginals = TAKE(long double, a.n_states), z = sum_over(&a, NULL, marginals);
    Patience how = {2, 0, 0, 0};
    if (!forest) how = (Patience){3000, 1e-13, 0.5, 20};
    Found f = propagated(&a, how, order);
    CHECK(f.told[1] <= how.sweeps);
    if (f.told[0] == -INFINITY) CHECK(z == 0); /* proved */
    n_impossible += f.told[0] == -INFINITY;
    if (forest) {
        n_forests++;
        CHECK_NEAR(f.told[0], logl(z), 1e-11 * (1 + fabs((double)logl(z))));
        for (int64_t i = 0; i < a.n_states && z > 0; i++) CHECK_NEAR(f.beliefs[i], marginals[i] / z, 1e-11);
    } else if (f.told[0] > -INFINITY && f.told[2] <= how.tolerance && kind != EXTREME) {
        n_loopy++;
        check_stationary(&a, &f, 1e-10);
        CHECK_NEAR(f.told[0], bethe(&a, &f), 1e-8);
    }
    if (n == 4 && m == 3) {
        double told[3];
        RUNS_OUT(propagate_beliefs(n, m, a.tables.sizes, a.tables.starts, a.tables.scopes, a.tables.value_starts,
                                   a.tables.values, order, &how, f.messages, f.beliefs, told, NULL),
                 NO_MEMORY, 0);
        CHECK(told[0] == f.told[0]);
    }
    release();
}

/* A table over many variables, next to one of them alone. */
static void check_wide(int n) {
    int32_t *sizes = TAKE(int32_t, n), *scopes = TAKE(int32_t, n + 1), order[] = {0, 1};
    int64_t starts[] = {0, n, n + 1}, value_starts[] = {0, 1 << n, (1 << n) + 2};
    double *values = TAKE(double, (1 << n) + 2), *expected = ZEROS(double, 2 * n), z = 0;
    for (int v = 0; v < n; v++) sizes[v] = 2, scopes[v] = v;
    scopes[n] = n / 2;
    for (int i = 0; i < (1 << n) + 2; i++) values[i] = random_unit();
    for (int i = 0; i < 1 << n; i++) {
        double w = values[i] * values[(1 << n) + (i >> (n - 1 - n / 2) & 1)];
        z += w;
        for (int v = 0; v < n; v++) expected[2 * v + (i >> (n - 1 - v) & 1)] += w;
    }
    Model a = {.tables = {n, 2, sizes, starts, scopes, value_starts, values}, .n_states = 2 * n, .n_scope = n + 1};
    Found f = propagated(&a, (Patience){2, 0, 0, 0}, order);
    CHECK_NEAR(f.told[0], log(z), 1e-10);
    for (int i = 0; i < 2 * n; i++) CHECK_NEAR(f.beliefs[i], expected[i] / z, 1e-10);
    release();
}

/* Weights that no double holds: a zero forbids the likely state, and all others are below the smallest number. */
static void check_underflow(void) {
    int32_t sizes[] = {2, 2}, scopes[] = {0, 0, 0, 0, 0, 1}, order[] = {0, 1, 2, 3, 4};
    int64_t starts[] = {0, 1, 2, 3, 4, 6}, value_starts[] = {0, 2, 4, 6, 8, 12};
    double values[] = {1, 1e-200, 1, 1e-200, 1, 1e-200, 1, 1e-200, 0, 0, 0.25, 0.75};
    Model a = {.tables = {2, 5, sizes, starts, scopes, value_starts, values}, .n_states = 4, .n_scope = 6};
    Found f = propagated(&a, (Patience){2, 0, 0, 0}, order);
    CHECK_NEAR(f.told[0], 4 * log(1e-200), 1e-10);
    CHECK_NEAR(f.beliefs[1], 1, 0);
    CHECK_NEAR(f.beliefs[3], 0.75, 1e-12);
    values[10] = values[11] = 0;
    CHECK(propagated(&a, (Patience){2, 0, 0, 0}, order).told[0] == -INFINITY);
    release();
}

int main(void) {
    for (int kind = 0; kind < KINDS; kind++)
        for (int n = 1; n < 6; n++)
            for (int m = 0; m < 9; m++)
                for (int i = 0; i < 8; i++) check(n, m, kind);
    CHECK(n_forests > 100 && n_loopy > 100 && n_impossible > 10);
    check_wide(1), check_wide(6), check_wide(13);
    check_underflow();
    return 0;
}
