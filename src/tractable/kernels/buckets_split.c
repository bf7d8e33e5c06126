/* The buckets of an order, and the parts they are split into: the largest function first, each to the part that grows
 * least, as long as it stays within the limit. */
#include "buckets.h"

enum { LOOK_BACK = 64 };

/* What waits in a bucket: a factor, or the message of a part; neither, where there is nothing else. */
typedef struct {
    double size;
    uint64_t tie;
    int factor, part; /* -1: the other one */
} Waiting;

typedef struct {
    Waiting *at;
    int len, cap;
} Queue;

static void queue_push(Queue *q, Waiting w) {
    if (q->len == q->cap) {
        Waiting *old = q->at;
        q->cap = q->cap ? 2 * q->cap : 4;
        q->at = grab(sizeof(Waiting) * (size_t)q->cap);
        if (old) memcpy(q->at, old, sizeof(Waiting) * (size_t)q->len);
        drop(old);
    }
    q->at[q->len++] = w;
}

static int larger_first(const void *a, const void *b) {
    const Waiting *x = a, *y = b;
    if (x->size != y->size) return x->size < y->size ? 1 : -1;
    return (x->tie > y->tie) - (x->tie < y->tie);
}

/* The variables of a factor that have a choice, in the order of elimination. */
static int factor_scope(const Buckets *b, int k, int32_t *scope) {
    const Tables *t = b->t;
    int nd = 0;
    for (int64_t i = t->starts[k]; i < t->starts[k + 1]; i++) {
        int32_t v = t->scopes[i];
        if (t->sizes[v] < 2) continue;
        int at = nd++;
        for (; at && b->place[scope[at - 1]] > b->place[v]; at--) scope[at] = scope[at - 1];
        scope[at] = v;
    }
    return nd;
}

static int waiting_scope(const Buckets *b, int own, const Waiting *w, int32_t *scope) {
    scope[0] = own;
    if (w->factor >= 0) return factor_scope(b, w->factor, scope);
    if (w->part < 0) return 1;
    const Part *p = &b->parts[w->part];
    memcpy(scope, part_scope(b, p) + 1, sizeof(int32_t) * (size_t)(p->nd - 1));
    return p->nd - 1;
}

/* The union of two sorted scopes; its size. */
static double merged(const Buckets *b, const int32_t *x, int nx, const int32_t *y, int ny, int32_t *to, int *nd) {
    double size = 1;
    int i = 0, j = 0, n = 0;
    while (i < nx || j < ny) {
        int32_t v = j == ny || (i < nx && b->place[x[i]] <= b->place[y[j]]) ? x[i] : y[j];
        if (i < nx && x[i] == v) i++;
        if (j < ny && y[j] == v) j++;
        if (n < MOST_AXES) to[n] = v;
        n++, size *= b->t->sizes[v];
    }
    *nd = n;
    return n <= MOST_AXES ? size : INFINITY;
}

static void new_part(Buckets *b, int group) {
    if (b->n_parts == b->room) {
        Part *old = b->parts;
        b->room = b->room ? 2 * b->room : 64;
        b->parts = grab(sizeof(Part) * (size_t)b->room);
        if (old) memcpy(b->parts, old, sizeof(Part) * (size_t)b->n_parts);
        drop(old);
    }
    b->parts[b->n_parts++] = (Part){.group = group, .up = -1};
}

/* The parts of one bucket while it is being filled: scopes of MOST_AXES places each. */
typedef struct {
    int32_t *scopes;
    double *sizes;
    int *nd;
} Bins;

/* The part that grows least by this scope, among those that then stay within the limit; `n` for a new one. */
static int best_bin(const Buckets *b, const Bins *bins, int n, const int32_t *scope, int nd, double limit) {
    int best = n, len;
    double least = INFINITY;
    int32_t both[MOST_AXES];
    for (int i = n > LOOK_BACK ? n - LOOK_BACK : 0; i < n; i++) {
        double size = merged(b, bins->scopes + (int64_t)i * MOST_AXES, bins->nd[i], scope, nd, both, &len);
        if ((size <= limit || size == bins->sizes[i]) && size / bins->sizes[i] < least)
            least = size / bins->sizes[i], best = i;
    }
    return best;
}

static void fill_bin(Buckets *b, Bins *bins, int i, const int32_t *scope, int nd) {
    int32_t both[MOST_AXES];
    bins->sizes[i] = merged(b, bins->scopes + (int64_t)i * MOST_AXES, bins->nd[i], scope, nd, both, &bins->nd[i]);
    memcpy(bins->scopes + (int64_t)i * MOST_AXES, both, sizeof(int32_t) * (size_t)bins->nd[i]);
}

/* The variables that all parts of a bucket have: those of its shift. */
static void note_shared(Buckets *b, Group *g) {
    g->shared = b->members.len;
    g->shift_size = 1;
    const Part *first = &b->parts[g->first];
    for (int a = 0; g->n > 1 && a < first->nd; a++) {
        int32_t v = part_scope(b, first)[a];
        int in_all = 1;
        for (int i = 1; i < g->n && in_all; i++) {
            const Part *p = &b->parts[g->first + i];
            in_all = 0;
            for (int c = 0; c < p->nd; c++) in_all |= part_scope(b, p)[c] == v;
        }
        if (!in_all) continue;
        ints_push(&b->members, v);
        g->n_shared++, g->shift_size *= b->t->sizes[v];
    }
    if (g->n < 2) g->shift_size = 0;
    g->shift_at = b->shift_size;
    b->shift_size += g->n * g->shift_size;
    if (g->n * g->shift_size > b->most_shifts) b->most_shifts = g->n * g->shift_size;
}

static void finish_part(Buckets *b, Part *p, const int32_t *scope, int nd, double size) {
    p->nd = nd, p->first = b->members.len;
    for (int a = 0; a < nd; a++) ints_push(&b->members, scope[a]);
    b->too_large |= size > 0x1p31;
    p->size = size > 0x1p31 ? b->t->sizes[scope[0]] : (int64_t)size;
    p->rest = p->size / b->t->sizes[scope[0]];
    p->at = b->size, p->message_at = b->rest;
    b->size += p->size, b->rest += p->rest;
    if (p->size > b->largest) b->largest = p->size;
}

static void put(Buckets *b, Part *p, int part, const Waiting *w) {
    if (w->factor >= 0) ints_push(&p->factors, w->factor);
    if (w->part >= 0) ints_push(&p->children, w->part), b->parts[w->part].up = part;
}

/* The parts of one bucket from what waits in it. */
static void split(Buckets *b, int group, Queue *q, double limit) {
    Group *g = &b->groups[group];
    int32_t scope[MOST_AXES];
    if (!q->len) queue_push(q, (Waiting){1, 0, -1, -1});
    size_t most = (size_t)q->len;
    Bins bins = {grab(sizeof(int32_t) * MOST_AXES * most), grab(sizeof(double) * most), grab(sizeof(int) * most)};
    g->first = b->n_parts;
    qsort(q->at, most, sizeof(Waiting), larger_first);
    for (int k = 0; k < q->len; k++) {
        int nd = waiting_scope(b, g->variable, &q->at[k], scope), i = best_bin(b, &bins, g->n, scope, nd, limit);
        if (i == g->n) bins.sizes[i] = 1, bins.nd[i] = 0, new_part(b, group), g->n++;
        fill_bin(b, &bins, i, scope, nd);
        put(b, &b->parts[g->first + i], g->first + i, &q->at[k]);
        region_worked(MOST_AXES * (i < LOOK_BACK ? i + 1 : LOOK_BACK));
    }
    for (int i = 0; i < g->n; i++)
        finish_part(b, &b->parts[g->first + i], bins.scopes + (int64_t)i * MOST_AXES, bins.nd[i], bins.sizes[i]);
    note_shared(b, g);
    drop(bins.scopes), drop(bins.sizes), drop(bins.nd);
}

static void send_on(Buckets *b, const Group *g, Queue *queues, uint64_t *random) {
    for (int i = g->first; i < g->first + g->n; i++) {
        const Part *p = &b->parts[i];
        if (p->nd > 1)
            queue_push(&queues[b->place[part_scope(b, p)[1]]], (Waiting){(double)p->rest, next_random(random), -1, i});
    }
}

void buckets_split(Buckets *b, const Tables *t, const Splitting *how) {
    *b = (Buckets){.t = t};
    uint64_t random = seeded(how->seed);
    Queue *queues = grab_zeroed((size_t)t->n + 1, sizeof(Queue));
    int32_t scope[MOST_AXES];
    b->groups = grab_zeroed((size_t)t->n + 1, sizeof(Group));
    b->place = grab(sizeof(int32_t) * (size_t)(t->n + 1));
    b->step = grab_zeroed((size_t)t->n + 1, sizeof(int64_t));
    for (int g = 0; g < t->n; g++) b->groups[g].variable = how->order[g], b->place[how->order[g]] = g;
    for (int k = 0; k < t->m; k++) {
        int choices = 0;
        double size = 1;
        for (int64_t i = t->starts[k]; i < t->starts[k + 1]; i++)
            choices += t->sizes[t->scopes[i]] > 1, size *= t->sizes[t->scopes[i]];
        b->too_large |= choices > MOST_AXES;
        if (b->too_large) return;
        if (!factor_scope(b, k, scope)) continue; /* a constant */
        queue_push(&queues[b->place[scope[0]]], (Waiting){size, next_random(&random), k, -1});
    }
    for (int g = 0; g < t->n && !b->too_large; g++) {
        split(b, g, &queues[g], (double)how->limit);
        send_on(b, &b->groups[g], queues, &random);
        drop(queues[g].at);
    }
    drop(queues);
}
