/* Small networks of random tables, and sums over all their joint states. */
#ifndef TRACTABLE_MODELS_H
#define TRACTABLE_MODELS_H

#include "trees.h"

enum { MOST_VARIABLES = 8, MOST_SCOPES = 16 };

typedef struct {
    Tables tables;
    Network net;
    int64_t n_states, n_scope, n_values, n_joint;
} Model;

/* What kind of entries: positive ones, zeros among them, such that their products leave the doubles, or conditional tables:
 * those over the last variable of a scope sum to one. */
enum { POSITIVE, WITH_ZEROS, EXTREME, CONDITIONAL, KINDS };

static inline double random_entry(int kind) {
    if (kind == WITH_ZEROS && random_below(3) == 0) return 0;
    if (kind == EXTREME && random_below(2)) return ldexp(random_unit() + 0.5, random_below(1000) - 980);
    return random_unit() + 0.01;
}

/* A network of n variables and m tables, of at most `widest` variables each; all arrays are just as long as they have to
 * be. `row`, if not negative, is the last variable of every scope that has it, and all have it if it is to be `everywhere`. */
static inline Model random_model(int n, int m, int widest, int most_states, int kind, int row, int everywhere) {
    Model model = {0};
    int32_t *sizes = TAKE(int32_t, n), scope[MOST_VARIABLES], all[MOST_SCOPES * MOST_VARIABLES];
    int64_t *starts = TAKE(int64_t, m + 1), *value_starts = TAKE(int64_t, m + 1), length = 0;
    double *log_size = TAKE(double, n);
    model.n_joint = 1;
    for (int v = 0; v < n; v++) {
        sizes[v] = 1 + random_below(most_states);
        log_size[v] = log2(sizes[v]);
        model.n_states += sizes[v], model.n_joint *= sizes[v];
    }
    starts[0] = value_starts[0] = 0;
    for (int j = 0; j < m; j++) {
        int nd = random_below((widest < n ? widest : n) + 1), k = 0;
        int64_t size = 1;
        if (everywhere) scope[k++] = row, nd = nd ? nd : 1;
        while (k < nd) {
            int v = random_below(n), there = 0;
            for (int i = 0; i < k; i++) there |= scope[i] == v;
            if (!there) scope[k++] = v;
        }
        for (int i = 0; i < nd; i++)
            if (scope[i] == row) scope[i] = scope[nd - 1], scope[nd - 1] = row;
        for (int i = 0; i < nd; i++) all[length++] = scope[i], size *= sizes[scope[i]];
        starts[j + 1] = length, value_starts[j + 1] = value_starts[j] + size;
    }
    int32_t *scopes = memcpy(TAKE(int32_t, length), all, sizeof(int32_t) * (size_t)length);
    double *values = TAKE(double, value_starts[m]);
    for (int64_t i = 0; i < value_starts[m]; i++) values[i] = random_entry(kind);
    for (int j = 0; j < m && kind == CONDITIONAL; j++) {
        int64_t states = starts[j + 1] > starts[j] ? sizes[scopes[starts[j + 1] - 1]] : 1;
        for (int64_t at = value_starts[j]; at < value_starts[j + 1]; at += states) {
            double sum = 0;
            for (int64_t s = 0; s < states; s++) sum += values[at + s];
            for (int64_t s = 0; s < states; s++) values[at + s] /= sum;
        }
    }
    model.n_scope = length, model.n_values = value_starts[m];
    model.tables = (Tables){n, m, sizes, starts, scopes, value_starts, values};
    model.net = (Network){n, m, starts, scopes, log_size, ZEROS(uint8_t, n)};
    if (row >= 0) ((uint8_t *)(uintptr_t)model.net.keep)[row] = 1;
    return model;
}

/* The states of joint state number i, the last variable the fastest. */
static inline void states_of(const Model *model, int64_t i, int32_t *state) {
    for (int v = model->tables.n - 1; v >= 0; v--)
        state[v] = (int32_t)(i % model->tables.sizes[v]), i /= model->tables.sizes[v];
}

/* Which entry of table j a joint state reads. */
static inline int64_t entry_of(const Tables *t, int j, const int32_t *state) {
    int64_t at = 0;
    for (int64_t i = t->starts[j]; i < t->starts[j + 1]; i++) at = at * t->sizes[t->scopes[i]] + state[t->scopes[i]];
    return t->value_starts[j] + at;
}

static inline long double weight_of(const Tables *t, const int32_t *state) {
    long double w = 1;
    for (int j = 0; j < t->m; j++) w *= t->values[entry_of(t, j, state)];
    return w;
}

/* Whether the joint state has all that is observed: -1 is not. */
static inline int agrees(const Model *model, const int32_t *state, const int32_t *evidence) {
    for (int v = 0; evidence && v < model->tables.n; v++)
        if (evidence[v] >= 0 && evidence[v] != state[v]) return 0;
    return 1;
}

/* The sum over all joint states that agree with the evidence; added to `marginals`, where given, over all states. */
static inline long double sum_over(const Model *model, const int32_t *evidence, long double *marginals) {
    int32_t state[MOST_VARIABLES];
    long double z = 0;
    for (int64_t i = 0; marginals && i < model->n_states; i++) marginals[i] = 0;
    for (int64_t i = 0; i < model->n_joint; i++) {
        states_of(model, i, state);
        if (!agrees(model, state, evidence)) continue;
        long double w = weight_of(&model->tables, state);
        z += w;
        for (int64_t v = 0, at = 0; marginals && v < model->tables.n; at += model->tables.sizes[v++])
            marginals[at + state[v]] += w;
    }
    return z;
}

#endif
