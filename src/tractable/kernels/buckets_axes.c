/* Walks over tables whose axes are in the same order, or in any. */
#include "buckets.h"

/* Neighbouring axes that the other table passes through in one go become one. */
static void collapse(Axes *a) {
    int n = 0;
    for (int k = 0; k < a->nd; k++) {
        if (n && a->steps[n - 1] == a->steps[k] * a->sizes[k]) {
            a->sizes[n - 1] *= a->sizes[k], a->steps[n - 1] = a->steps[k];
            continue;
        }
        a->sizes[n] = a->sizes[k], a->steps[n] = a->steps[k], n++;
    }
    a->nd = n;
    if (!n) a->nd = 1, a->sizes[0] = 1, a->steps[0] = 0;
}

void axes_of(const Buckets *b, const Part *p, const int32_t *scope, int nd, Axes *to) {
    const int32_t *own = part_scope(b, p), *sizes = b->t->sizes;
    int64_t step = 1;
    for (int a = nd - 1; a >= 0; a--) b->step[scope[a]] = step, step *= sizes[scope[a]];
    to->nd = p->nd;
    for (int a = 0; a < p->nd; a++) to->sizes[a] = sizes[own[a]], to->steps[a] = b->step[own[a]];
    for (int a = 0; a < nd; a++) b->step[scope[a]] = 0;
    collapse(to);
}

/* The next place of all axes but the last in `at`, and where the other table is then; false at the end. */
static inline int advance(const Axes *a, int64_t *at, int64_t *other) {
    for (int k = a->nd - 2; k >= 0; k--) {
        *other += a->steps[k];
        if (++at[k] < a->sizes[k]) return 1;
        *other -= a->steps[k] * a->sizes[k];
        at[k] = 0;
    }
    return 0;
}

void add_onto(double *dst, const Axes *a, const double *src) {
    int64_t at[MOST_AXES] = {0}, other = 0, n = a->sizes[a->nd - 1], step = a->steps[a->nd - 1];
    do {
        const double *from = src + other;
        if (step == 1)
            for (int64_t i = 0; i < n; i++) dst[i] += from[i];
        else if (step == 0)
            for (int64_t i = 0; i < n; i++) dst[i] += *from;
        else
            for (int64_t i = 0; i < n; i++) dst[i] += from[i * step];
        dst += n;
    } while (advance(a, at, &other));
}

void sum_onto(double *dst, const Axes *a, const double *src) {
    int64_t at[MOST_AXES] = {0}, other = 0, n = a->sizes[a->nd - 1], step = a->steps[a->nd - 1];
    do {
        double *to = dst + other, sum = 0;
        if (step == 1)
            for (int64_t i = 0; i < n; i++) to[i] += src[i];
        else if (step == 0) {
            for (int64_t i = 0; i < n; i++) sum += src[i];
            *to += sum;
        } else
            for (int64_t i = 0; i < n; i++) to[i * step] += src[i];
        src += n;
    } while (advance(a, at, &other));
}

void max_onto(double *dst, const Axes *a, const double *src) {
    int64_t at[MOST_AXES] = {0}, other = 0, n = a->sizes[a->nd - 1], step = a->steps[a->nd - 1];
    do {
        double *to = dst + other;
        for (int64_t i = 0; i < n; i++) to[i * step] = src[i] > to[i * step] ? src[i] : to[i * step];
        src += n;
    } while (advance(a, at, &other));
}

void message_axes(const Buckets *b, const Part *p, Axes *to) {
    axes_of(b, &b->parts[p->up], part_scope(b, p) + 1, p->nd - 1, to);
}

void shift_axes(const Buckets *b, const Part *p, Axes *to) {
    const Group *g = &b->groups[p->group];
    axes_of(b, p, b->members.at + g->shared, g->n_shared, to);
}
