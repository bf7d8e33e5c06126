/* The best state by parts: what is chosen at a level matters to some of those below alone, and these fall apart.
 *
 * f of a leaf is the bound less what each level loses, and that depends on a level and those above it in its scope. So
 * levels are a tree in which what is below a node hangs on the states above that it can see, its context (Marinescu &
 * Dechter 2009). Each node is solved by itself, with all that may be lost below it given: the least loss, or that it is
 * no less than so much. Both are remembered by context. What may be lost at the roots grows from search to search, and
 * with each that fails the bound of all states falls. */
#include "buckets_search.h"

enum { FEWEST = 1 << 12 };

#define FIRST_LOSS 0.25
#define GROWTH 1.25
#define LOST 1e250 /* a loss that is that of a zero */
#define NO_KEY UINT64_MAX

/* The least loss below a node in a context, or, where `state` is negative, what it is at least. */
typedef struct {
    uint64_t key;
    int32_t level, state;
    double loss;
} Memo;

/* A level in the tree, and how far its search is. */
typedef struct {
    int32_t parent, first_child, next_sibling;
    int first, n; /* context: steps of a key; none is kept where the key would be too large, or nothing is below */
    int keyed;
    uint64_t key;
    double may, best, spent; /* what may be lost, what is least, what the state that is tried has lost so far */
    int32_t state, child;    /* the best state, and the child that is being solved */
    int cut;                 /* something failed that was no zero */
} Knot;

typedef struct {
    int32_t level;
    uint64_t step;
} KeyStep;

typedef struct {
    const Wanted *wanted;
    Ladder l;
    Knot *knots;
    KeyStep *keys;
    int32_t *x, root; /* the first root, a sibling of the others */
    Memo *memos;
    int64_t room, n_memos, most, nodes, work;
    const double *logs;
    double reached, charge; /* no state loses less, but for rounding */
    int stopped;
} Tree;

/* The contexts of levels from the last one on: each hands its own to the deepest level in it. */
static void plant(Tree *t) {
    const Ladder *l = &t->l;
    int n = l->n_levels;
    uint8_t *in = grab_zeroed((size_t)n + 1, 1);
    Ints *contexts = grab_zeroed((size_t)n + 1, sizeof(Ints)), keys = {0};
    for (int d = 0; d <= n; d++) t->knots[d] = (Knot){.parent = -1, .first_child = -1, .next_sibling = -1};
    t->root = -1;
    for (int d = n - 1; d >= 0; d--) {
        Knot *k = &t->knots[d];
        Ints own = {0};
        const Level *at = &l->levels[d];
        for (int i = at->first; i < at->first + at->n; i++)
            for (int a = 0; a < l->gains[i].nd; a++) ints_push(&contexts[d], l->steps[l->gains[i].first + a].level);
        for (int i = 0; i < contexts[d].len; i++) {
            int32_t e = contexts[d].at[i];
            if (e == d || in[e]) continue;
            in[e] = 1, ints_push(&own, e);
            k->parent = e > k->parent ? e : k->parent;
        }
        int32_t *list = k->parent < 0 ? &t->root : &t->knots[k->parent].first_child;
        k->next_sibling = *list, *list = d;
        k->first = keys.len, k->n = own.len;
        for (int i = 0; i < own.len; i++) {
            in[own.at[i]] = 0, ints_push(&keys, own.at[i]);
            if (k->parent >= 0) ints_push(&contexts[k->parent], own.at[i]);
        }
        region_worked(contexts[d].len * 4);
        drop(contexts[d].at), drop(own.at);
    }
    t->keys = grab(sizeof(KeyStep) * (size_t)(keys.len + 1));
    for (int d = 0; d < n; d++) {
        Knot *k = &t->knots[d];
        double size = 1;
        for (int i = k->first; i < k->first + k->n; i++) {
            t->keys[i] = (KeyStep){keys.at[i], size < 0x1p63 ? (uint64_t)size : 0};
            size *= l->levels[keys.at[i]].k;
        }
        k->keyed = k->first_child >= 0 && size < 0x1p63;
    }
    drop(contexts), drop(in), drop(keys.at);
}

static Memo *place_of(const Tree *t, uint64_t key, int32_t level) {
    uint64_t h = (key + 1) * 0x9E3779B97F4A7C15ull + (uint64_t)level * 0xD1B54A32D192ED03ull;
    h ^= h >> 29, h *= 0xBF58476D1CE4E5B9ull, h ^= h >> 32;
    Memo *at = t->memos + (h & (uint64_t)(t->room - 2));
    if (at->key == key && at->level == level) return at;
    if (at[1].key == key && at[1].level == level) return at + 1;
    return at->level < 0 ? at : at[1].level < 0 ? at + 1 : at + (h >> 63);
}

static void make_room(Tree *t, int64_t room) {
    Memo *old = t->memos;
    int64_t n = t->room;
    t->memos = grab(sizeof(Memo) * (size_t)room), t->room = room, t->n_memos = 0;
    IN_PIECES(i, room, 4) t->memos[i] = (Memo){NO_KEY, -1, -1, 0};
    IN_PIECES(i, n, 40) {
        if (old[i].level < 0) continue;
        Memo *at = place_of(t, old[i].key, old[i].level);
        t->n_memos += at->level < 0;
        *at = old[i];
    }
    drop(old);
}

static void remember(Tree *t, const Knot *k, int32_t level, double loss, int32_t state) {
    if (2 * t->n_memos > t->room && (int64_t)sizeof(Memo) * 3 * t->room <= t->most) make_room(t, 2 * t->room);
    Memo *at = place_of(t, k->key, level);
    t->n_memos += at->level < 0;
    *at = (Memo){k->key, level, state, loss};
}

static uint64_t key_of(const Tree *t, const Knot *k) {
    uint64_t key = 0;
    for (int i = k->first; i < k->first + k->n; i++) key += (uint64_t)t->x[t->keys[i].level] * t->keys[i].step;
    return key;
}

/* Begins to solve a level; true where its loss is known from before, or that it is too much. */
static int known(Tree *t, int32_t d, double may) {
    Knot *k = &t->knots[d];
    k->may = k->best = may, k->spent = INFINITY, k->state = k->child = -1, k->cut = 0;
    if (k->keyed) {
        k->key = key_of(t, k);
        const Memo *memo = place_of(t, k->key, d);
        t->work += k->n;
        if (memo->level == d && memo->key == k->key && (memo->state >= 0 || memo->loss >= may)) {
            if (memo->state >= 0 && memo->loss < may) k->best = memo->loss, k->state = memo->state;
            k->cut = memo->loss < LOST;
            return 1;
        }
    }
    ladder_step(&t->l, d, 0, t->x);
    t->stopped |= (double)t->nodes >= t->wanted->nodes;
    t->nodes++, t->work += t->l.levels[d].k * (2 + 4 * t->l.levels[d].n);
    return 0;
}

/* The next state of a level that may lose less than the best; false where there is none, and the level is solved. */
static int next_state(Tree *t, int32_t d) {
    Knot *k = &t->knots[d];
    double *f = t->l.levels[d].f;
    int best = 0;
    for (int s = 1; s < t->l.levels[d].k; s++) best = f[s] > f[best] ? s : best;
    if (-f[best] < k->best) {
        k->spent = -f[best], k->child = k->first_child, t->x[d] = best;
        f[best] = -INFINITY;
        return 1;
    }
    k->cut |= -f[best] < LOST;
    if (k->keyed) remember(t, k, d, k->state >= 0 ? k->best : k->cut ? k->may : INFINITY, k->state);
    return 0;
}

/* What a level loses is handed to its parent, whose state is given up where that is too much. */
static int32_t hand_up(Tree *t, int32_t d) {
    const Knot *k = &t->knots[d];
    Knot *up = &t->knots[k->parent];
    if (k->state >= 0) up->spent += k->best, up->child = k->next_sibling;
    else up->cut |= k->cut, up->spent = INFINITY, up->child = -1;
    return k->parent;
}

static void look_if_due(Tree *t) {
    const Wanted *w = t->wanted;
    if (t->work < LOOK) return;
    w->told[NODES] = (double)t->nodes;
    t->stopped |= looked(w, t->work);
    t->work = 0;
}

/* Solves a level below states that are chosen: its loss, if less than what may be lost, is `best` then, with its `state`. */
static void solve(Tree *t, int32_t top, double may) {
    int32_t d = top;
    if (known(t, top, may)) return;
    while (!t->stopped) {
        Knot *k = &t->knots[d];
        if (k->child >= 0) {
            int32_t child = k->child;
            d = known(t, child, k->best - k->spent) ? hand_up(t, child) : child;
        } else {
            if (k->spent < k->best) k->best = k->spent, k->state = t->x[d];
            if (next_state(t, d)) continue;
            if (d == top) return;
            d = hand_up(t, d);
        }
        look_if_due(t);
    }
}

/* The least loss of all roots, or infinity where it is not less than so much. */
static double attempt(Tree *t, double may, int *cut) {
    double spent = 0;
    *cut = 1;
    for (int32_t r = t->root; r >= 0; r = t->knots[r].next_sibling) {
        solve(t, r, may - spent);
        *cut = t->knots[r].cut;
        if (t->stopped || t->knots[r].state < 0) return INFINITY;
        spent += t->knots[r].best;
    }
    return spent < may ? spent : INFINITY;
}

/* Searches that allow more and more to be lost, up to what the caller's state loses; the loss, or infinity. */
static double deepen(Tree *t) {
    for (double may = FIRST_LOSS; !t->stopped; may *= GROWTH) {
        double most = t->l.root - *t->wanted->lower, now = fmin(may, most), loss;
        int cut = 0;
        if ((loss = attempt(t, now, &cut)) < INFINITY) return loss;
        if (t->stopped) break;
        t->reached = cut ? now : INFINITY;
        t->wanted->told[UPPER] = t->l.root - t->reached + t->charge;
        if (!cut || now >= most) {
            t->wanted->told[PROVEN] = 1;
            break;
        }
    }
    return INFINITY;
}

/* The states of the least loss, from the roots down. */
static void read_off(Tree *t, double loss) {
    const Wanted *w = t->wanted;
    const Tables *tables = t->l.b->t;
    for (int32_t d = 0; d < t->l.n_levels; d++) {
        solve(t, d, LOST);
        if (t->stopped) return;
        t->x[d] = w->states[t->l.levels[d].variable] = t->knots[d].state;
    }
    w->values[0] = w->n_levels == tables->n ? log_of_product(tables, t->logs, w->states) : t->l.root - loss;
    w->rows[0] = 0, w->told[FOUND] = w->told[PROVEN] = 1;
}

void search_by_parts(Bound *of, const Wanted *wanted) {
    Tree t = {.wanted = wanted, .logs = of->logs, .most = (int64_t)fmin(wanted->bytes, 0x1p62)};
    ladder_of(&t.l, of, wanted->n_levels);
    t.knots = grab(sizeof(Knot) * (size_t)(wanted->n_levels + 1));
    t.x = grab_zeroed((size_t)wanted->n_levels + 1, sizeof(int32_t));
    t.charge = ladder_charge(&t.l, t.l.root);
    plant(&t);
    make_room(&t, FEWEST);
    wanted->told[NODES] = wanted->told[FOUND] = wanted->told[PROVEN] = 0;
    wanted->told[UPPER] = isnan(t.l.slack) ? INFINITY : t.l.root + t.charge;
    double loss = isnan(t.l.slack) || IS_ZERO(t.l.root) ? INFINITY : deepen(&t);
    if (IS_ZERO(t.l.root)) wanted->told[PROVEN] = 1, wanted->told[UPPER] = -INFINITY;
    if (loss < INFINITY) {
        wanted->told[UPPER] = t.l.root - loss + ladder_charge(&t.l, t.l.root - loss);
        read_off(&t, loss);
    }
    wanted->told[NODES] = (double)t.nodes;
}
