/* Local search for the most probable joint state, in neighbourhoods that elimination solves (Hamze & de Freitas 2004;
 * Selby 2014): of a region, variables are maximized out one after the other, but one whose bucket would be too large is
 * clamped to the state that it has; the states of all others are then the best that there are, given the clamped ones.
 *
 * Orders are drawn anew: fronts that go through the region leave clamped variables where they are too wide, greedy orders
 * leave the hubs. Where no neighbourhood does better, one is solved with noise on its states, or with a variable pinned
 * to another state, and again without: what comes out worse is taken back. Values are logarithms, all of them finite:
 * the caller says what a zero costs. */
#include "kernels.h"

/* How far a search has come; the caller keeps it from call to call. */
typedef struct {
    double calm;   /* neighbourhoods of everything in a row that were no better */
    double best;   /* the value of the best state */
    double length, swept, hottest; /* of the annealing: neighbourhoods with noise, how many were, the first one's noise */
    double owed;   /* work for kicks */
} Course;

typedef struct {
    int64_t limit, room; /* entries of a bucket, and of all messages of a neighbourhood */
    int64_t work;        /* about so many additions, then the call ends */
    double scale;        /* of the noise */
    uint64_t *stream;    /* of random numbers, never zero */
    int32_t *state;      /* [n] where the search is */
    int32_t *best;       /* [n] the best state that it has seen */
    Course *course;
} Search;

enum { FIXED, OPEN, SUMMED };
enum { WIDEST = 32, AGAIN = 3, CALM = 4 };
#define STILL 1e-9 /* of the noise's scale: breaks ties, and is no loss */

typedef struct {
    const double *entries;
    int64_t scope; /* where its variables are in the pool of scopes, the last one the fastest */
    int32_t length, table, alive; /* whose entries they are, or -1 for a message; not yet in a bucket */
} Piece;

typedef struct {
    int32_t piece, next;
} Node;

typedef struct {
    int32_t v;
    int first, end; /* the pieces that were in its bucket, in `used` */
} Step;

typedef struct {
    const Tables *t;
    const Search *how;
    int64_t *first;                                    /* [n + 1] where the tables of a variable begin */
    int32_t *tables;                                   /* that it is in */
    int32_t *region, *heap, *place, *list, *axis, *saved; /* [n]; place in the heap or -1, first node, axis in a bucket */
    uint8_t *status;
    double *key;
    uint64_t *seen, *seen_table, stamp;
    Ints scopes, used, around;
    Piece *pieces;
    Node *nodes;
    Step *steps;
    int64_t n_region, n_heap, n_pieces, room_pieces, n_nodes, room_nodes, n_steps, n_messages, done;
    double *messages, *bucket;
    int greedy, hubs; /* the kind of order; whether it clamps what is in many tables */
    int32_t pinned; /* keeps its state; or -1 */
    double noise, jitter, value;
    uint64_t salt;
} Ground;

static double unit(const Ground *g) { return next_uniform(g->how->stream); }
static int64_t below(const Ground *g, int64_t n) { return (int64_t)(unit(g) * (double)n) % n; }

static uint64_t mixed(uint64_t x) {
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9ull;
    x = (x ^ x >> 27) * 0x94D049BB133111EBull;
    return x ^ x >> 31;
}

/* Gumbel noise on a state, the same all through a neighbourhood. */
static double noise_on(const Ground *g, int v, int s) {
    uint64_t bits = mixed(g->salt ^ mixed(((uint64_t)v << 32) + (uint64_t)s + 1));
    return -g->noise * log(-log(((double)(bits >> 11) + 0.5) * 0x1p-53));
}

static void lay_out(Ground *g, const Tables *t, const Search *how) {
    size_t n = (size_t)t->n + 1, edges = (size_t)t->starts[t->m] + 1;
    *g = (Ground){.t = t, .how = how, .pinned = -1};
    g->first = grab_zeroed(n + 1, sizeof(int64_t));
    for (int64_t e = 0; e < t->starts[t->m]; e++) g->first[t->scopes[e] + 2]++;
    for (int v = 0; v < t->n; v++) g->first[v + 2] += g->first[v + 1];
    g->tables = grab(sizeof(int32_t) * edges);
    for (int j = 0; j < t->m; j++)
        for (int64_t e = t->starts[j]; e < t->starts[j + 1]; e++) g->tables[g->first[t->scopes[e] + 1]++] = j;
    int32_t **arrays[] = {&g->region, &g->heap, &g->place, &g->list, &g->axis, &g->saved};
    for (int i = 0; i < 6; i++) *arrays[i] = grab(sizeof(int32_t) * n);
    g->status = grab_zeroed(n, 1), g->key = grab(sizeof(double) * n), g->steps = grab(sizeof(Step) * n);
    g->seen = grab_zeroed(n, sizeof(uint64_t)), g->seen_table = grab_zeroed((size_t)t->m + 1, sizeof(uint64_t));
    g->messages = grab(sizeof(double) * (size_t)how->room), g->bucket = grab(sizeof(double) * (size_t)how->limit);
}

static double entry_of(const Ground *g, int j) {
    const Tables *t = g->t;
    int64_t at = 0;
    for (int64_t e = t->starts[j]; e < t->starts[j + 1]; e++) at = at * t->sizes[t->scopes[e]] + g->how->state[t->scopes[e]];
    return t->values[t->value_starts[j] + at];
}

static double value_of(const Ground *g) {
    double sum = 0;
    for (int j = 0; j < g->t->m; j++) sum += entry_of(g, j);
    return sum;
}

/* ---------------------------------------------------------------- which variable is next */

static void heap_put(Ground *g, int64_t at, int32_t v) { g->heap[at] = v, g->place[v] = (int32_t)at; }

/* Puts a variable where it belongs, at this place, above or below. */
static void heap_settle(Ground *g, int64_t at, int32_t v) {
    double key = g->key[v];
    for (; at > 0 && g->key[g->heap[(at - 1) / 2]] > key; at = (at - 1) / 2) heap_put(g, at, g->heap[(at - 1) / 2]);
    for (int64_t child; (child = 2 * at + 1) < g->n_heap; at = child) {
        if (child + 1 < g->n_heap && g->key[g->heap[child + 1]] < g->key[g->heap[child]]) child++;
        if (g->key[g->heap[child]] >= key) break;
        heap_put(g, at, g->heap[child]);
    }
    heap_put(g, at, v);
}

static void heap_remove(Ground *g, int32_t v) {
    int64_t at = g->place[v];
    int32_t last = g->heap[--g->n_heap];
    if (last != v) heap_settle(g, at, last);
}

/* The entries of a variable's bucket; leaves the other variables in it that are still open in `around`. */
static double bucket_of(Ground *g, int32_t v) {
    double size = g->t->sizes[v];
    g->around.len = 0, g->seen[v] = ++g->stamp;
    for (int32_t *link = &g->list[v]; *link >= 0;) {
        const Node *node = g->nodes + *link;
        const Piece *p = g->pieces + node->piece;
        if (!p->alive) {
            *link = node->next;
            continue;
        }
        for (int i = 0; i < p->length; i++) {
            int32_t u = g->scopes.at[p->scope + i];
            if (g->status[u] != OPEN || g->seen[u] == g->stamp) continue;
            g->seen[u] = g->stamp, size *= g->t->sizes[u];
            ints_push(&g->around, u);
        }
        g->done += 2 + p->length;
        link = &g->nodes[*link].next;
    }
    return size;
}

static double greedy_key(Ground *g, int32_t v) { return log2(bucket_of(g, v)) + g->jitter * unit(g); }

/* Looks again at the first n variables of the pool of scopes from `at` on that are open. */
static void rekey(Ground *g, int64_t at, int64_t n) {
    for (int64_t i = at; i < at + n && g->greedy; i++) {
        int32_t u = g->scopes.at[i];
        if (g->status[u] == OPEN) g->key[u] = greedy_key(g, u), heap_settle(g, g->place[u], u);
    }
}

/* ---------------------------------------------------------------- elimination */

static void *grown(void *old, size_t size, int64_t n, int64_t *room) {
    if (n < *room) return old;
    *room = n < 64 ? 128 : 2 * n;
    void *new = grab(size * (size_t)*room);
    if (old) memcpy(new, old, size * (size_t)n);
    drop(old);
    return new;
}

/* A table or a message over these variables, entered in the lists of those that are open. */
static void enter(Ground *g, const double *entries, const int32_t *scope, int length, int table) {
    g->pieces = grown(g->pieces, sizeof(Piece), g->n_pieces, &g->room_pieces);
    g->pieces[g->n_pieces] = (Piece){entries, g->scopes.len, length, table, 1};
    for (int i = 0; i < length; i++) {
        ints_push(&g->scopes, scope[i]);
        if (g->status[scope[i]] != OPEN) continue;
        g->nodes = grown(g->nodes, sizeof(Node), g->n_nodes, &g->room_nodes);
        g->nodes[g->n_nodes] = (Node){(int32_t)g->n_pieces, g->list[scope[i]]};
        g->list[scope[i]] = (int32_t)g->n_nodes++;
    }
    g->n_pieces++;
}

/* Adds entries with these strides to a dense table; axes that are walked as one are taken as one. */
static void add(double *to, const double *from, const int64_t *sizes, const int64_t *strides, int n) {
    int64_t size[WIDEST], stride[WIDEST], at[WIDEST] = {0};
    int k = 0;
    for (int i = 0; i < n; i++) {
        if (k && stride[k - 1] == strides[i] * sizes[i]) size[k - 1] *= sizes[i], stride[k - 1] = strides[i];
        else size[k] = sizes[i], stride[k++] = strides[i];
    }
    int64_t inner = size[k - 1], step = stride[k - 1];
    for (;;) {
        if (step == 1)
            for (int64_t i = 0; i < inner; i++) to[i] += from[i];
        else if (step == 0)
            for (int64_t i = 0; i < inner; i++) to[i] += *from;
        else
            for (int64_t i = 0; i < inner; i++) to[i] += from[i * step];
        to += inner;
        int d = k - 2;
        for (; d >= 0 && ++at[d] == size[d]; d--) at[d] = 0, from -= (size[d] - 1) * stride[d];
        if (d < 0) return;
        from += stride[d];
    }
}

/* The axes of a variable's bucket: itself, what its longest piece does not have, and that in its own order. */
static int axes_of(Ground *g, const Step *s, int32_t *axes) {
    const Piece *longest = g->pieces + g->used.at[s->first];
    for (int i = s->first; i < s->end; i++)
        if (g->pieces[g->used.at[i]].length > longest->length) longest = g->pieces + g->used.at[i];
    int n = 0;
    axes[n++] = s->v, g->seen[s->v] = ++g->stamp;
    for (int i = 0; i < longest->length; i++) g->seen[g->scopes.at[longest->scope + i]] = g->stamp;
    for (int i = 0; i < g->around.len; i++)
        if (g->seen[g->around.at[i]] != g->stamp) axes[n++] = g->around.at[i];
    for (int i = 0; i < longest->length; i++) {
        int32_t u = g->scopes.at[longest->scope + i];
        if (g->status[u] == OPEN && u != s->v) axes[n++] = u;
    }
    return n;
}

/* Adds a piece to the bucket: its variables that are not open have the states that they have. */
static void add_piece(Ground *g, const Piece *p, const int64_t *sizes, int n) {
    int64_t strides[WIDEST] = {0}, stride = 1, at = 0;
    for (int i = p->length; i-- > 0;) {
        int32_t u = g->scopes.at[p->scope + i];
        if (g->status[u] == OPEN) strides[g->axis[u]] = stride;
        else at += stride * g->how->state[u];
        stride *= g->t->sizes[u];
    }
    add(g->bucket, p->entries + at, sizes, strides, n);
}

/* Maximizes a variable out, whose bucket was just looked at. */
static void eliminate(Ground *g, int32_t v, int64_t size) {
    Step *s = g->steps + g->n_steps++;
    int32_t axes[WIDEST];
    int64_t sizes[WIDEST], k = g->t->sizes[v], rest = size / k;
    *s = (Step){v, g->used.len, g->used.len};
    for (int32_t at = g->list[v]; at >= 0; at = g->nodes[at].next) ints_push(&g->used, g->nodes[at].piece), s->end++;
    int n = s->end > s->first ? axes_of(g, s, axes) : 1;
    axes[0] = v;
    for (int i = 0; i < n; i++) sizes[i] = g->t->sizes[axes[i]], g->axis[axes[i]] = i;
    for (int64_t i = 0; i < k; i++) {
        double begin = noise_on(g, v, (int)i);
        for (int64_t j = 0; j < rest; j++) g->bucket[i * rest + j] = begin;
    }
    for (int i = s->first; i < s->end; i++) {
        add_piece(g, g->pieces + g->used.at[i], sizes, n);
        g->pieces[g->used.at[i]].alive = 0;
    }
    double *message = g->messages + g->n_messages;
    g->n_messages += rest;
    memcpy(message, g->bucket, sizeof(double) * (size_t)rest);
    for (int64_t i = 1; i < k; i++)
        for (int64_t j = 0; j < rest; j++) {
            double x = g->bucket[i * rest + j];
            message[j] = x > message[j] ? x : message[j];
        }
    g->status[v] = SUMMED;
    g->done += size * (s->end - s->first + 2) + 64;
    region_worked(size * (s->end - s->first + 2) + 64);
    int64_t at = g->scopes.len;
    if (n > 1) enter(g, message, axes + 1, n - 1, -1);
    rekey(g, at, n - 1);
}

/* What speaks for clamping a variable: the entries that hang on it, or the tables that it is in. */
static double weight_of(const Ground *g, int32_t v) {
    return g->hubs ? (double)(g->first[v + 1] - g->first[v]) * (1 + unit(g)) : g->key[v];
}

/* Clamps, in a bucket that was just looked at, the variable that most speaks for; of a front the one whose turn it is. */
static void clamp(Ground *g, int32_t v) {
    double most = weight_of(g, v);
    for (int i = 0; i < g->around.len && g->greedy; i++) {
        double own = weight_of(g, g->around.at[i]);
        if (own > most) most = own, v = g->around.at[i];
    }
    bucket_of(g, v);
    heap_remove(g, v);
    g->status[v] = FIXED;
    int64_t at = g->scopes.len;
    for (int i = 0; i < g->around.len; i++) ints_push(&g->scopes, g->around.at[i]);
    rekey(g, at, g->scopes.len - at);
}

static void open_region(Ground *g) {
    const Tables *t = g->t;
    g->n_heap = g->n_pieces = g->n_nodes = g->n_steps = g->n_messages = 0;
    g->scopes.len = g->used.len = 0;
    for (int64_t i = 0; i < g->n_region; i++)
        if (t->sizes[g->region[i]] > 1 && g->region[i] != g->pinned) g->status[g->region[i]] = OPEN, g->list[g->region[i]] = -1;
    uint64_t stamp = ++g->stamp;
    for (int64_t i = 0; i < g->n_region; i++)
        for (int64_t p = g->first[g->region[i]]; p < g->first[g->region[i] + 1]; p++) {
            int j = g->tables[p];
            if (g->seen_table[j] == stamp) continue;
            g->seen_table[j] = stamp;
            enter(g, t->values + t->value_starts[j], t->scopes + t->starts[j], (int)(t->starts[j + 1] - t->starts[j]), j);
        }
    for (int64_t i = 0; i < g->n_region; i++) {
        int32_t v = g->region[i];
        if (g->status[v] != OPEN) continue;
        g->key[v] = g->greedy ? greedy_key(g, v) : g->jitter > 0.5 ? (double)-i : (double)i;
        heap_settle(g, g->n_heap++, v);
    }
}

static double value_of_region(const Ground *g) {
    double sum = 0;
    for (int64_t i = 0; i < g->n_pieces; i++)
        if (g->pieces[i].table >= 0) sum += entry_of(g, g->pieces[i].table);
    return sum;
}

/* The state that the bucket of a step likes best, given those of its other variables. */
static int32_t best_of(const Ground *g, const Step *s) {
    int32_t *own = g->how->state + s->v, best = 0;
    double most = -INFINITY;
    for (int32_t i = 0; i < g->t->sizes[s->v]; i++) {
        double x = noise_on(g, s->v, i);
        *own = i;
        for (int p = s->first; p < s->end; p++) {
            const Piece *piece = g->pieces + g->used.at[p];
            int64_t at = 0;
            for (int d = 0; d < piece->length; d++) {
                int32_t u = g->scopes.at[piece->scope + d];
                at = at * g->t->sizes[u] + g->how->state[u];
            }
            x += piece->entries[at];
        }
        if (x > most) most = x, best = i;
    }
    return best;
}

/* Solves the region, but for what is clamped, with so much noise; what that gains. */
static double solve(Ground *g, double noise) {
    g->hubs = unit(g) < 0.5, g->greedy = unit(g) < 0.5, g->jitter = g->greedy ? 3 * unit(g) * unit(g) : unit(g);
    g->noise = noise * g->how->scale, g->salt = next_random(g->how->stream);
    open_region(g);
    while (g->n_heap) {
        int32_t v = g->heap[0];
        double size = bucket_of(g, v);
        int fits = size <= (double)g->how->limit && g->n_messages + size / g->t->sizes[v] <= (double)g->how->room;
        if (!fits) {
            clamp(g, v);
            continue;
        }
        heap_remove(g, v);
        eliminate(g, v, (int64_t)size);
    }
    double before = value_of_region(g);
    while (g->n_steps--) g->how->state[g->steps[g->n_steps].v] = best_of(g, g->steps + g->n_steps);
    for (int64_t i = 0; i < g->n_region; i++) g->status[g->region[i]] = FIXED;
    g->done += 64 + 16 * g->n_pieces;
    double gain = value_of_region(g) - before;
    g->value += gain;
    return gain;
}

/* ---------------------------------------------------------------- search */

/* The region of so many variables around one, in breadth; of several components where one is not enough. */
static void grow(Ground *g, int32_t root, int64_t want) {
    const Tables *t = g->t;
    uint64_t stamp = ++g->stamp;
    g->n_region = 0;
    for (int64_t looked = 0, next = root; g->n_region < want; next = (next + 1) % t->n) {
        if (g->seen[next] == stamp) continue;
        g->seen[next] = stamp, g->region[g->n_region++] = (int32_t)next;
        for (; looked < g->n_region && g->n_region < want; looked++) {
            int32_t v = g->region[looked];
            int64_t n = g->first[v + 1] - g->first[v], from = n ? below(g, n) : 0;
            for (int64_t p = 0; p < n; p++) {
                int j = g->tables[g->first[v] + (from + p) % n];
                for (int64_t e = t->starts[j]; e < t->starts[j + 1] && g->n_region < want; e++) {
                    int32_t u = t->scopes[e];
                    if (g->seen[u] != stamp) g->seen[u] = stamp, g->region[g->n_region++] = u;
                }
            }
        }
    }
    g->done += 8 * g->n_region;
}

/* A number of variables or so: every order of magnitude is as frequent. */
static int64_t some(const Ground *g, int64_t most) { return (int64_t)exp(log((double)most) * unit(g)); }

static void go_to(Ground *g, const int32_t *state, double value) {
    memcpy(g->how->state, state, sizeof(int32_t) * (size_t)g->t->n);
    g->value = value;
}

/* Solves a region with noise, and wider ones without. */
static void shake(Ground *g, int32_t root, int64_t wide) {
    grow(g, root, wide);
    solve(g, exp(log(0.03) + log(100.0) * unit(g)));
}

/* Puts a variable into another state, to which a wider region adapts as long as it has to stay. */
static void pin(Ground *g, int32_t root, int64_t wider) {
    int32_t k = g->t->sizes[root], *own = g->how->state + root;
    if (k > 1) *own = (int32_t)((*own + 1 + below(g, k - 1)) % k);
    g->value = value_of(g), g->pinned = root;
    for (int i = 0; i < AGAIN; i++) grow(g, root, wider), solve(g, STILL);
    g->pinned = -1;
}

/* Leaves an optimum, and comes back to one nearby, which is undone where it is worse. */
static void kick(Ground *g) {
    int n = g->t->n;
    int64_t wide = 1 + some(g, n), wider = 4 * wide < n ? 4 * wide : n;
    int32_t root = (int32_t)below(g, n);
    double value = g->value;
    memcpy(g->saved, g->how->state, sizeof(int32_t) * (size_t)n);
    if (unit(g) < 0.5) shake(g, root, wide < n ? wide : n);
    else pin(g, root, wider);
    for (int i = 0; i < AGAIN; i++) grow(g, root, wider), solve(g, STILL);
    if (g->value < value - STILL * g->how->scale) go_to(g, g->saved, value);
}

/* A neighbourhood of everything, with noise as long as that lasts. */
static void sweep(Ground *g) {
    Course *c = g->how->course;
    int anneals = c->swept < c->length;
    grow(g, (int32_t)below(g, g->t->n), g->t->n);
    double gain = solve(g, anneals ? c->hottest * (1 - c->swept++ / c->length) : STILL);
    if (!anneals) c->calm = gain > STILL * g->how->scale ? 0 : c->calm + 1;
}

/* The next annealing is half as long again as the last one, and begins at the best state. */
static void reheat(Ground *g) {
    Course *c = g->how->course;
    c->length = ceil(fmax(1.5 * c->length, 16)), c->swept = c->calm = 0, c->hottest = 0.1 * exp(log(6.0) * unit(g));
}

static void note(Ground *g) {
    Course *c = g->how->course;
    if (g->value <= c->best || (g->value = value_of(g)) <= c->best) return;
    c->best = g->value;
    memcpy(g->how->best, g->how->state, sizeof(int32_t) * (size_t)g->t->n);
}

/* Sweeps until they are no better, kicks at the best state for as long, and so on from another annealing. */
static void go_on(Ground *g) {
    Course *c = g->how->course;
    int64_t before = g->done;
    if (c->calm >= CALM && c->owed <= 0) reheat(g);
    if (c->calm < CALM) {
        sweep(g), note(g);
        c->owed += (double)(g->done - before);
        if (c->calm >= CALM) go_to(g, g->how->best, c->best);
    } else {
        kick(g), note(g);
        c->owed -= (double)(g->done - before);
    }
}

/* Goes on from `state` until the work is done. */
EXPORT int local_search(int n, int m, const int32_t *sizes, const int64_t *starts, const int32_t *scopes,
                        const int64_t *value_starts, const double *values, const Search *how, Caller caller) {
    REGION(caller)
    Tables t = {n, m, sizes, starts, scopes, value_starts, values};
    Ground g;
    lay_out(&g, &t, how);
    g.value = value_of(&g);
    note(&g);
    while (n && g.done < how->work) go_on(&g);
    region_leave();
    return 0;
}
