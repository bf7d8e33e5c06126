/* The walk down a tree that has been swept up: the most probable state, or exact samples. */
#include "run.h"

/* Offset of the assigned axes of t, and the strides of the axes in `open`. */
static int64_t offset(const Run *r, const Table *t, const int32_t *state, const int32_t *open, int n_open,
                      int64_t *stride) {
    int64_t base = 0, s = 1;
    for (int k = 0; k < n_open; k++) stride[k] = 0;
    for (int i = t->nd - 1; i >= 0; i--) {
        int v = t->legs[i], is_open = 0;
        for (int k = 0; k < n_open; k++)
            if (open[k] == v) stride[k] = s, is_open = 1;
        if (!is_open) base += s * state[v];
        s *= r->c.sizes[v];
    }
    return base;
}

typedef struct {
    const double *a, *b; /* b may be NULL */
    int n;
    int64_t sa[1024], sb[1024];
    int32_t size[1024];
} Choice;

/* Visits the joint states of the open axes until the running total of weights passes `goal` (never for MAX_PLUS, where
 * the largest weight is sought); writes the chosen state, returns the total (or the largest weight). */
static double visit(const Choice *c, int semiring, double top, double goal, int32_t *chosen) {
    int32_t at[1024];
    double total = semiring == SUM_PRODUCT || top > -INFINITY ? 0 : -INFINITY;
    const double *a = c->a, *b = c->b;
    memset(at, 0, sizeof(int32_t) * (size_t)c->n);
    for (int64_t visited = 1;; visited++) {
        int first = visited == 1;
        if (!(visited & 0xFFF)) region_worked(0x4000);
        double x = semiring == SUM_PRODUCT ? *a * (b ? *b : 1) : *a + (b ? *b : 0);
        if (top > -INFINITY) x = semiring == SUM_PRODUCT ? x : exp(x - top);
        int searching = top == -INFINITY && semiring != SUM_PRODUCT;
        if (searching ? x > total || first : x > 0 && total <= goal)
            memcpy(chosen, at, sizeof(int32_t) * (size_t)c->n);
        total = searching ? (x > total ? x : total) : total + x;
        int k = c->n - 1;
        for (; k >= 0; k--) {
            a += c->sa[k];
            if (b) b += c->sb[k];
            if (++at[k] < c->size[k]) break;
            a -= c->sa[k] * at[k];
            if (b) b -= c->sb[k] * at[k];
            at[k] = 0;
        }
        if (k < 0) {
            region_worked(4 * (visited & 0xFFF) + 64);
            return total;
        }
    }
}

/* Chooses the open axes given the assigned ones: the argmax, or a draw with the uniform number u. */
static void choose(const Run *r, const Table *a, const Table *b, const int32_t *open, int n_open, int32_t *state,
                   double u) {
    Choice c = {.n = n_open};
    int32_t chosen[1024] = {0};
    c.a = a->x + offset(r, a, state, open, n_open, c.sa);
    c.b = b ? b->x + offset(r, b, state, open, n_open, c.sb) : NULL;
    for (int k = 0; k < n_open; k++) c.size[k] = r->c.sizes[open[k]];
    int semiring = r->c.semiring;
    double top = semiring == SUM_PRODUCT ? 0 : visit(&c, semiring, -INFINITY, 0, chosen);
    if (semiring != MAX_PLUS) {
        double total = visit(&c, semiring, top, -1, chosen);
        visit(&c, semiring, top, u * total, chosen);
    }
    for (int k = 0; k < n_open; k++) state[open[k]] = chosen[k];
}

void walk_down(Run *r, int64_t n_samples, const double *uniforms, int32_t *states) {
    const Network *net = r->c.net;
    int m = net->m, step = 0;
    uint8_t *assigned = grab_zeroed((size_t)net->n + 1, 1);
    for (int i = 2 * m - 2; i >= 0; i--) {
        Table *a = i >= m ? &r->node[r->pairs[2 * (i - m)]] : &r->full[i];
        Table *b = i >= m ? &r->node[r->pairs[2 * (i - m) + 1]] : NULL;
        int32_t open[1024];
        int n_open = 0;
        for (int side = 0; side < 2; side++) {
            Table *t = side ? b : a;
            for (int k = 0; t && k < t->nd; k++)
                if (!assigned[t->legs[k]]) {
                    assigned[t->legs[k]] = 1;
                    open[n_open++] = t->legs[k];
                }
        }
        if (!n_open) continue;
        for (int64_t s = 0; s < n_samples; s++)
            choose(r, a, b, open, n_open, states + s * net->n, uniforms ? uniforms[s * (2 * m) + step] : 0);
        step++;
    }
    drop(assigned);
}
