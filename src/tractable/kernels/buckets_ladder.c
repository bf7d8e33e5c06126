/* What a search below a bound climbs down: the levels of the last variables of the order, and what their parts add to f. */
#include "buckets_search.h"

/* psi - message in place of psi, the own variable of the part the fastest; what is ruled out stays so. */
static void turn(Bound *of, int i) {
    const Part *p = &of->b->parts[i];
    const double *message = of->messages + p->message_at;
    double *psi = of->psi + p->at, *to = of->belief;
    int k = part_states(of->b, p);
    for (int s = 0; s < k; s++, psi += p->rest)
        IN_PIECES(r, p->rest, 3) to[r * k + s] = IS_ZERO(psi[r]) ? ZERO_LOG : psi[r] - message[r];
    memcpy(of->psi + p->at, to, sizeof(double) * (size_t)p->size);
}

static void gain_of(Ladder *l, Bound *of, int i, Gain *gain, int *n_steps) {
    const Buckets *b = of->b;
    const Part *p = &b->parts[i];
    int64_t step = part_states(b, p);
    turn(of, i);
    *gain = (Gain){of->psi + p->at, p->nd - 1, *n_steps};
    for (int a = p->nd - 1; a > 0; a--) {
        int32_t v = part_scope(b, p)[a];
        l->steps[(*n_steps)++] = (Step){b->t->n - 1 - b->place[v], (int32_t)step};
        step *= b->t->sizes[v];
    }
}

void ladder_of(Ladder *l, Bound *of, int n_levels) {
    Buckets *b = of->b;
    int n = b->t->n, n_gains = 0, n_steps = 0, states = 0;
    for (int k = n - n_levels; k < n; k++) {
        const Group *g = &b->groups[k];
        states += b->t->sizes[g->variable], n_gains += g->n;
        for (int i = g->first; i < g->first + g->n; i++) n_steps += b->parts[i].nd;
    }
    *l = (Ladder){.b = b, .n_levels = n_levels, .n_gains = n_gains, .root = of->log_z - of->slack, .slack = of->slack};
    l->levels = grab(sizeof(Level) * (size_t)(n_levels + 1));
    l->gains = grab(sizeof(Gain) * (size_t)(n_gains + 1));
    l->steps = grab(sizeof(Step) * (size_t)(n_steps + 1));
    double *f = grab(sizeof(double) * (size_t)(states + 1));
    n_gains = n_steps = 0;
    for (int d = 0; d < n_levels; d++) {
        const Group *g = &b->groups[n - 1 - d];
        l->levels[d] = (Level){g->variable, b->t->sizes[g->variable], g->n, n_gains, f};
        f += b->t->sizes[g->variable];
        for (int i = g->first; i < g->first + g->n; i++) gain_of(l, of, i, &l->gains[n_gains++], &n_steps);
    }
}

double log_of_product(const Tables *t, const double *logs, const int32_t *state) {
    double sum = 0;
    for (int j = 0; j < t->m; j++) {
        int64_t at = 0;
        for (int64_t i = t->starts[j]; i < t->starts[j + 1]; i++) at = at * t->sizes[t->scopes[i]] + state[t->scopes[i]];
        sum += logs[t->value_starts[j] + at];
    }
    return sum;
}
