/* Tables with random axes, and what is to be had from them entry by entry. */
#ifndef TRACTABLE_TEST_TABLES_H
#define TRACTABLE_TEST_TABLES_H

#include "check.h"
#include "tensor.h"

enum { AXES = 12 };

static inline Context context_of(const int32_t *sizes, int semiring, int row) {
    Context c = {.sizes = sizes, .semiring = semiring, .row = row, .n_rows = row < 0 ? 1 : sizes[row]};
    c.mark = grab_zeroed(AXES, 1);
    c.scratch = grab(sizeof(int64_t) * SCRATCH);
    return c;
}

/* Some of the axes, in any order, but the row last. */
static inline int random_axes(int row, int most, int32_t *axes) {
    int n = 0, nd = random_below(most + 1);
    while (n < nd) {
        int v = random_below(AXES), there = 0;
        for (int i = 0; i < n; i++) there |= axes[i] == v;
        if (!there) axes[n++] = v;
    }
    for (int i = 0; i < n; i++)
        if (axes[i] == row) axes[i] = axes[n - 1], axes[n - 1] = row;
    return n;
}

static inline void shuffle(int32_t *axes, int n, int row) {
    for (int i = n - 1; i > 0; i--) {
        int j = random_below(i + 1), t = axes[i];
        axes[i] = axes[j], axes[j] = t;
    }
    for (int i = 0; i < n; i++)
        if (axes[i] == row) axes[i] = axes[n - 1], axes[n - 1] = row;
}

static inline int64_t size_of(const int32_t *sizes, const int32_t *axes, int n) {
    int64_t size = 1;
    for (int i = 0; i < n; i++) size *= sizes[axes[i]];
    return size;
}

/* A table with entries of its own, in the region that is open. */
static inline Table random_table(Context *c, const int32_t *axes, int nd) {
    Table t = {
        .nd = nd, .size = size_of(c->sizes, axes, nd), .owned = 1, .legs = grab(sizeof(int32_t) * (size_t)(nd + 1))};
    for (int i = 0; i < nd; i++) t.legs[i] = axes[i];
    t.x = table_alloc(c, t.size);
    for (int64_t i = 0; i < t.size; i++) t.x[i] = c->semiring == SUM_PRODUCT ? random_unit() : random_normal();
    extent(t.x, t.size, &t.least, &t.most);
    if (nd && axes[nd - 1] == c->row) {
        t.row_exponent = grab_zeroed((size_t)c->n_rows, sizeof(double));
        for (int64_t r = 0; r < c->n_rows; r++) t.row_exponent[r] = random_below(3);
    }
    return t;
}

/* The entry of a table at the states of its axes. */
static inline int64_t place(const Context *c, const int32_t *axes, int nd, const int32_t *state) {
    int64_t at = 0;
    for (int i = 0; i < nd; i++) at = at * c->sizes[axes[i]] + state[axes[i]];
    return at;
}

/* The states of axes at a place, the last the fastest. */
static inline void set_states(const Context *c, const int32_t *axes, int nd, int64_t at, int32_t *state) {
    for (int i = nd - 1; i >= 0; i--) state[axes[i]] = (int32_t)(at % c->sizes[axes[i]]), at /= c->sizes[axes[i]];
}

#endif
