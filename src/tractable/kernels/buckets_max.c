/* Maxima in place of sums: messages, and shifts that make the max-marginals of a bucket's parts alike.
 *
 * The parts that hand on their messages to one another are a tree, and the bound is the sum of the trees' maxima. The
 * regret of a part's entry is what its tree loses with it; the least regrets over what all parts of a bucket share move
 * to their mean. */
#include "buckets.h"
#include "vectors.h"

void max_message(const double *psi, int k, int64_t n, double *message) {
    memcpy(message, psi, sizeof(double) * (size_t)n);
    for (int s = 1; s < k; s++) {
        psi += n;
        IN_PIECES(r, n, 1) message[r] = psi[r] > message[r] ? psi[r] : message[r];
    }
}

/* In place of the max-marginals: how shifts move so that these become alike. What one part rules out needs no shift. */
static void match(int n, int64_t size, double step, double *m) {
    for (int64_t c = 0; c < size; c++) {
        double mean = 0, rest = 0;
        int alive = 1;
        for (int i = 0; i < n; i++) alive &= !IS_ZERO(m[i * size + c]), mean += m[i * size + c] / n;
        for (int i = 1; i < n; i++) rest += m[i * size + c] = alive ? step * (mean - m[i * size + c]) : 0;
        m[c] = -rest;
    }
    region_worked(4 * n * size);
}

/* The largest entries of a part's table over what is shared. */
static void max_marginal(const Buckets *b, const Part *p, const double *table, double *marginal) {
    Axes a;
    shift_axes(b, p, &a);
    for (int64_t c = 0; c < b->groups[p->group].shift_size; c++) marginal[c] = 2 * ZERO_LOG;
    max_onto(marginal, &a, table);
    region_worked(p->size);
}

void max_match_early(Bound *of, const Group *g) {
    for (int i = 0; i < g->n; i++) {
        const Part *p = &of->b->parts[g->first + i];
        max_marginal(of->b, p, of->psi + p->at, of->marginals + i * g->shift_size);
    }
    match(g->n, g->shift_size, 1, of->marginals);
    move_shifts(of, g, of->marginals);
}

/* psi - message + what comes from above. */
static void regret(Bound *of, const Part *p, double *to) {
    const double *psi = of->psi + p->at, *message = of->messages + p->message_at, *above = of->above + p->message_at;
    int k = part_states(of->b, p);
    for (int s = 0; s < k; s++, psi += p->rest, to += p->rest)
        IN_PIECES(r, p->rest, 2) {
            int zero = IS_ZERO(psi[r]) || IS_ZERO(above[r]);
            to[r] = zero ? ZERO_LOG : psi[r] - message[r] + above[r];
        }
}

/* The least regrets are passed on to those whose messages arrived. */
static void pass_down(Bound *of, const Part *p) {
    Buckets *b = of->b;
    if (p->children.len) regret(of, p, of->belief);
    for (int k = 0; k < p->children.len; k++) {
        const Part *child = &b->parts[p->children.at[k]];
        double *above = of->above + child->message_at;
        Axes a;
        message_axes(b, child, &a);
        for (int64_t r = 0; r < child->rest; r++) above[r] = 2 * ZERO_LOG;
        max_onto(above, &a, of->belief);
    }
    region_worked(p->size * p->children.len);
}

static void sweep_group(Bound *of, const Group *g, double step) {
    const Part *parts = of->b->parts + g->first;
    for (int i = 0; i < g->n; i++)
        if (parts[i].up < 0) of->above[parts[i].message_at] = 0;
    for (int i = 0; g->n > 1 && i < g->n; i++) {
        regret(of, &parts[i], of->belief);
        max_marginal(of->b, &parts[i], of->belief, of->marginals + i * g->shift_size);
    }
    if (g->n > 1) match(g->n, g->shift_size, step, of->marginals), move_shifts(of, g, of->marginals);
    for (int i = 0; i < g->n; i++) pass_down(of, &parts[i]);
}

int max_improve(Bound *of, double step) {
    int k = of->b->t->n;
    while (k && now_seconds() < of->end) sweep_group(of, &of->b->groups[--k], step);
    return !k;
}
