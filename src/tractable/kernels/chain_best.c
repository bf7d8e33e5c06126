/* The n best paths through a hidden Markov chain, one after another, none of them twice.
 *
 * delta_t(i) is the log-probability of the best path to state i with all rows up to t. Of the paths that go on like a
 * found one after row t and have the state i there, where it has z, the best loses
 *     delta_t(z) + log A(z, next) - delta_t(i) - log A(i, next)
 * to it, exactly. These are the ways to leave a path; each leads to another one, all ways from all found paths lead to all
 * others, and the best that was not taken leads to the next best (Seshadri & Sundberg 1994, by Lawler's partition). */
#include "chain.h"

enum { STEPS = 16 /* between two looks at the caller */ };

/* A way to leave the path `parent`: at this row for this state. */
typedef struct {
    double value;
    int64_t at;
    int32_t parent, state;
} Way;

typedef struct {
    const double *rows;
    const double *log_a, *into, *log_start; /* `into`: transposed */
    double *delta;
    Way *ways; /* a heap, the best on top, with room for 2n */
    int64_t k, length, n, n_ways;
    double least; /* there are n ways no worse than that */
} Search;

static int by_value(const void *x, const void *y) {
    const Way *a = x, *b = y;
    if (a->value != b->value) return a->value > b->value ? -1 : 1;
    if (a->parent != b->parent) return a->parent < b->parent ? -1 : 1;
    if (a->at != b->at) return a->at > b->at ? -1 : 1;
    return (a->state > b->state) - (a->state < b->state);
}

static void swap(Way *a, Way *b) {
    Way kept = *a;
    *a = *b, *b = kept;
}

static void push(Search *s, Way way) {
    if (!(way.value > s->least)) return;
    int64_t i = s->n_ways++;
    for (s->ways[i] = way; i && by_value(s->ways + i, s->ways + (i - 1) / 2) < 0; i = (i - 1) / 2)
        swap(s->ways + i, s->ways + (i - 1) / 2);
    if (s->n_ways < 2 * s->n) return;
    qsort(s->ways, (size_t)s->n_ways, sizeof(Way), by_value); /* what is sorted is a heap */
    s->n_ways = s->n, s->least = s->ways[s->n - 1].value;
}

static Way pop(Search *s) {
    Way top = s->ways[0];
    s->ways[0] = s->ways[--s->n_ways];
    for (int64_t i = 0, child; (child = 2 * i + 1) < s->n_ways; i = child) {
        if (child + 1 < s->n_ways && by_value(s->ways + child + 1, s->ways + child) < 0) child++;
        if (by_value(s->ways + i, s->ways + child) <= 0) break;
        swap(s->ways + i, s->ways + child);
    }
    return top;
}

static void best_forward(Search *s) {
    for (int64_t t = 0; t < s->length; t++) {
        if (t % STEPS == 0) region_worked(STEPS * s->k * (s->k + 16));
        double *now = s->delta + t * s->k;
        for (int64_t j = 0; j < s->k; j++) now[j] = t ? -INFINITY : s->log_start[j];
        for (int64_t i = 0; i < s->k && t; i++) {
            const double *a = s->log_a + i * s->k, before = now[i - s->k];
            for (int64_t j = 0; j < s->k; j++) now[j] = before + a[j] > now[j] ? before + a[j] : now[j];
        }
        for (int64_t j = 0; j < s->k; j++) now[j] += s->rows[t * s->k + j];
    }
}

/* The best path up to row `end`, after which it is given, to `path`, and the ways to leave it on the way; `value` is that
 * of the whole path, or NaN for that of the best end. */
static double follow(Search *s, int64_t end, int32_t number, double value, int32_t *path) {
    for (int64_t t = end - 1; t >= 0; t--) {
        if (t % STEPS == 0) region_worked(STEPS * s->k * 4);
        const double *delta = s->delta + t * s->k, *into = t + 1 < s->length ? s->into + path[t + 1] * s->k : NULL;
        int32_t best = 0;
        for (int32_t i = 1; i < s->k; i++)
            if (delta[i] + (into ? into[i] : 0) > delta[best] + (into ? into[best] : 0)) best = i;
        path[t] = best;
        double top = delta[best] + (into ? into[best] : 0);
        if (isnan(value)) value = top;
        if (top == -INFINITY) return top;
        for (int32_t i = 0; i < s->k; i++)
            if (i != best) push(s, (Way){value - (top - (delta[i] + (into ? into[i] : 0))), t, number, i});
    }
    return value;
}

/* The best paths of sequence i and what they have, each to a row of `paths` and `log_p`. */
static void search(Search *s, const Chain *c, int64_t i, double *log_p, int32_t *paths) {
    int64_t stride = c->n_rows, found = 0;
    s->n_ways = 0, s->least = -INFINITY;
    best_forward(s);
    log_p[i] = follow(s, s->length, 0, NAN, paths);
    for (found = log_p[i] > -INFINITY; found && found < s->n && s->n_ways; found++) {
        Way way = pop(s);
        int32_t *path = paths + found * stride;
        log_p[found * c->n + i] = way.value;
        memcpy(path + way.at, paths + way.parent * stride + way.at, sizeof(int32_t) * (size_t)(s->length - way.at));
        path[way.at] = way.state;
        follow(s, way.at, (int32_t)found, way.value, path);
    }
    for (; found < s->n; found++) {
        log_p[found * c->n + i] = -INFINITY;
        for (int64_t t = 0; t < s->length; t++) paths[found * stride + t] = -1;
    }
}

static void open_search(Search *s, const Chain *c, int64_t longest) {
    int64_t k = c->k;
    double *log_a = grab(sizeof(double) * (size_t)(2 * k * k + k)), *into = log_a + k * k, *log_start = into + k * k;
    for (int64_t i = 0; i < k; i++) {
        for (int64_t j = 0; j < k; j++) into[j * k + i] = log_a[i * k + j] = log(c->transition[i * k + j]);
        log_start[i] = log(c->start[i]);
    }
    s->k = k, s->log_a = log_a, s->into = into, s->log_start = log_start;
    s->delta = grab(sizeof(double) * (size_t)(longest * k));
    s->ways = grab(sizeof(Way) * 2 * (size_t)s->n);
}

/* The n best paths of each of the sequences order[first..last) to paths [n, rows], and the logs of their probabilities with
 * the data to log_p [n, sequences]; where there are fewer, states -1 and -infinity. */
EXPORT int chain_best(const Chain *c, int64_t first, int64_t last, int64_t n, double *log_p, int32_t *paths, Caller caller) {
    if (first >= last) return 0;
    REGION(caller)
    Search own = {.n = n};
    open_search(&own, c, c->offsets[c->order[first] + 1] - c->offsets[c->order[first]]);
    for (int64_t i = first; i < last; i++) {
        int64_t s = c->order[i], begin = c->offsets[s];
        own.rows = c->log_likelihood + begin * c->k, own.length = c->offsets[s + 1] - begin;
        search(&own, c, s, log_p, paths + begin);
    }
    region_leave();
    return 0;
}
