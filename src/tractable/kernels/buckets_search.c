/* The states of some variables with the largest f, best first, and a bound of all others.
 *
 * Where the bound takes maxima over the last variables of the order, what a part's table exceeds its message by says what
 * is lost by a state of its own variable: f of a node is the bound less what the states chosen so far have lost, and no
 * state below it has more. Where all variables are maximized, f of a leaf is its logarithm. Where others are summed out
 * it is a bound of the sum, and the caller may say of each leaf how much that is at least.
 *
 * The search is best first and depth first: from the highest open node down the largest f, and back, for some dead ends;
 * what is open then is kept with the other open nodes (Allouche, de Givry, Katsirelos, Schiex & Zytnicki 2015). Where
 * memory is full it goes on below until there is nothing left to keep. */
#include "buckets_search.h"

enum { MOST_ENDS = 1 << 12 };

typedef struct {
    const Wanted *wanted;
    Ladder l;
    Frontier open;
    const double *logs; /* of the tables, where all variables are maximized */
    int32_t *x;         /* the states at the levels */
    double floor;       /* what f has to exceed */
    double closed;      /* the highest f, or value, of what was given up */
    double top;         /* the highest open f */
    int64_t nodes, work, rebuilt, ends; /* dead ends of a dive */
    int n_found, stopped, lost; /* what was open when it stopped */
} Search;

static void raise_floor(Search *s) {
    const Wanted *w = s->wanted;
    double least = s->n_found == w->n_best ? w->values[w->n_best - 1] : ZERO_LOG / 1e50;
    s->floor = fmax(fmax(least, s->floor), *w->lower);
}

/* What all that is not among the best may have at most: what is open or was given up, and what rounding took from it. */
static double upper(const Search *s) {
    double most = fmax(s->top, s->closed);
    if (isnan(s->l.slack)) return INFINITY;
    return IS_ZERO(most) ? -INFINITY : most + ladder_charge(&s->l, most);
}

static void tell(const Search *s) {
    double *told = s->wanted->told;
    told[UPPER] = upper(s), told[NODES] = (double)s->nodes, told[FOUND] = s->n_found;
}

/* Now and then: the caller, the clock, and a floor that the caller may have raised. */
static inline void look_if_due(Search *s) {
    if (s->work < LOOK) return;
    tell(s);
    s->stopped |= looked(s->wanted, s->work);
    s->work = 0;
    raise_floor(s);
}

static double value_of(const Search *s, double f, const int32_t *state) {
    double *told = s->wanted->told;
    if (s->logs) return log_of_product(s->l.b->t, s->logs, state);
    if (!s->wanted->asks) return f;
    tell(s);
    told[LEAF] = f, told[VALUE] = -INFINITY;
    region_ask(&(Question){.made = 0});
    told[LEAF] = NAN;
    return told[VALUE];
}

/* A leaf finds its place among the best, or is given up. */
static void reach(Search *s, double f) {
    const Wanted *w = s->wanted;
    size_t n = (size_t)s->l.b->t->n;
    int at = s->n_found, row = at;
    int32_t *state = w->states + n * (size_t)w->n_best; /* behind those of the best */
    for (int d = 0; d < s->l.n_levels; d++) state[s->l.levels[d].variable] = s->x[d];
    double value = value_of(s, f, state);
    s->work += s->l.b->t->m;
    if (!(value > s->floor)) {
        s->closed = fmax(s->closed, value);
        return;
    }
    if (at == w->n_best) s->closed = fmax(s->closed, w->values[--at]), row = w->rows[at];
    else s->n_found++;
    for (; at && w->values[at - 1] < value; at--) w->values[at] = w->values[at - 1], w->rows[at] = w->rows[at - 1];
    w->values[at] = value, w->rows[at] = row;
    memcpy(w->states + n * (size_t)row, state, sizeof(int32_t) * n);
    raise_floor(s);
}

/* The state with the largest f at a level that is not tried yet, or -1 where none exceeds the floor. */
static inline int next_state(Search *s, const Level *at, double *f) {
    int best = 0;
    for (int i = 1; i < at->k; i++) best = at->f[i] > at->f[best] ? i : best;
    *f = at->f[best];
    if (*f > s->floor) {
        at->f[best] = TRIED;
        return best;
    }
    s->closed = *f > s->closed ? *f : s->closed;
    return -1;
}

/* What is open at the levels from `from` to `to` is kept; false where there is no room for it. */
static int keep(Search *s, Path *above, int from, int to) {
    int64_t n = 0;
    int start = from ? from - 1 : 0;
    for (int d = from; d <= to; d++)
        for (int i = 0; i < s->l.levels[d].k; i++) n += s->l.levels[d].f[i] > s->floor;
    if (!frontier_has_room(&s->open, n, to - start, s->floor, &s->closed)) return 0;
    Path *path = n ? path_made(&s->open, above, start, to, s->x) : NULL;
    for (int d = from; d <= to; d++)
        for (int i = 0; i < s->l.levels[d].k; i++) {
            double f = s->l.levels[d].f[i];
            if (f > s->floor) frontier_push(&s->open, (Node){f, path, d + 1, i});
            else s->closed = fmax(s->closed, f);
        }
    s->work += 8 * n;
    s->rebuilt += n + (to - start) / 16;
    return 1;
}

/* The highest f that is open at some levels. */
static double highest(const Search *s, int from, int to) {
    double top = -INFINITY;
    for (int d = from; d <= to; d++)
        for (int i = 0; i < s->l.levels[d].k; i++) top = fmax(top, s->l.levels[d].f[i]);
    return top;
}

/* Down from a node, and back: until nothing is left below, or after some dead ends what is open is kept. */
static void dive(Search *s, const Node *node) {
    const Ladder *l = &s->l;
    int base = node->depth, d = base;
    int64_t ends = 0, most = s->ends;
    ladder_step(l, d, node->f, s->x);
    while (d >= base) {
        double f;
        int state = next_state(s, &l->levels[d], &f);
        if (state < 0) {
            d--, ends++;
            continue;
        }
        if (ends >= most || s->stopped) {
            l->levels[d].f[state] = f;
            if (keep(s, node->path, base, d)) return;
            if (s->stopped) break;
            most = 2 * most;
            continue;
        }
        s->x[d] = state;
        s->nodes++;
        if (d + 1 == l->n_levels) reach(s, f), ends++;
        else ladder_step(l, ++d, f, s->x), s->work += l->levels[d].k * (2 + 4 * l->levels[d].n);
        s->stopped |= (double)s->nodes >= s->wanted->nodes;
        look_if_due(s);
    }
    if (d >= base) s->lost = 1, s->closed = fmax(s->closed, highest(s, base, d));
}

/* Longer dives where what it takes to begin them is too much of the work. */
static void pace(Search *s) {
    if (s->rebuilt * 4 > s->nodes) s->ends = s->ends < MOST_ENDS ? 2 * s->ends : s->ends;
    else if (s->rebuilt * 8 < s->nodes && s->ends > 1) s->ends /= 2;
}

static void run(Search *s) {
    if (isnan(s->l.root)) s->lost = 1;
    else if (s->l.n_levels) frontier_push(&s->open, (Node){s->l.root, NULL, 0, 0});
    else if (s->l.root > s->floor) reach(s, s->l.root);
    while (s->open.n && s->open.at[0].f > s->floor && !s->stopped) {
        Node node = frontier_pop(&s->open);
        s->top = node.f;
        path_follow(node.path, node.depth - 1, s->x);
        if (node.depth) s->x[node.depth - 1] = node.state;
        s->rebuilt += 1 + node.depth / 16, s->work += node.depth;
        if (node.depth < s->l.n_levels) dive(s, &node);
        else reach(s, node.f);
        path_released(&s->open, node.path);
        pace(s);
        look_if_due(s);
    }
    s->top = s->open.n ? s->open.at[0].f : -INFINITY;
}

void search_below(Bound *of, const Wanted *wanted) {
    const Tables *t = of->b->t;
    Search s = {.wanted = wanted, .floor = -INFINITY, .closed = -INFINITY, .top = -INFINITY, .ends = 1};
    ladder_of(&s.l, of, wanted->n_levels);
    frontier_open(&s.open, wanted->bytes);
    s.logs = wanted->n_levels == t->n ? of->logs : NULL;
    s.x = grab_zeroed((size_t)wanted->n_levels + 1, sizeof(int32_t));
    s.top = s.l.root;
    raise_floor(&s);
    run(&s);
    tell(&s);
    wanted->told[PROVEN] = !s.lost && !(s.top > s.floor);
}
