/* The trace of a search: for every part that was summed, what its two branches were products of. Parts come after those
 * that they are made of, so that one pass from the last to the first brings the share of each to all that it holds, and
 * one from the first to the last what is most probable. */
#include "count_search.h"

enum { LITERAL, LEAF, NODE, NEXT, TAG = 4 };

static void note(Search *s, int32_t what, int tag) {
    if (s->trace.on) ints_push(&s->notes, TAG * what + tag);
}

static void note_double(Ints *notes, double x) {
    int32_t halves[2];
    memcpy(halves, &x, sizeof x);
    ints_push(notes, halves[0]), ints_push(notes, halves[1]);
}

void note_literal(Search *s, int32_t lit) { note(s, lit, LITERAL); }

void note_node(Search *s, uint32_t node) { note(s, (int32_t)node, NODE); }
void note_branch(Search *s) { note(s, 0, NEXT); }

static double read_double(const int32_t *at) {
    double x;
    memcpy(&x, at, sizeof x);
    return x;
}

static void *larger(void *old, size_t used, size_t bytes) {
    void *new = grab(bytes);
    if (old) memcpy(new, old, used);
    drop(old);
    return new;
}

static double ratio(Number a, Number b) { return a.m == 0 ? 0 : number_shift(a.m / b.m, a.e - b.e); }

/* The shares of both states, and the logarithm of the sum. */
void note_leaf(Search *s, int32_t var, const Number *by, Number sum) {
    if (!s->trace.on) return;
    note(s, var, LEAF);
    note_double(&s->notes, ratio(by[0], sum)), note_double(&s->notes, ratio(by[1], sum));
    note_double(&s->notes, number_log(sum));
}

int64_t trace_bytes(const Trace *t) { return 4 * t->room + (int64_t)(sizeof(Node) + sizeof(double)) * t->cap; }

/* Writes down the part of a level: its notes so far, in which branches are told apart. */
uint32_t trace_close(Search *s, const Level *l) {
    Trace *t = &s->trace;
    if (!t->on) return 0;
    int64_t len = s->notes.len - l->notes;
    if (t->n == t->cap) {
        t->cap = t->cap ? 2 * t->cap : 1024;
        t->nodes = larger(t->nodes, sizeof(Node) * (size_t)t->n, sizeof(Node) * (size_t)t->cap);
    }
    if (t->len + len > t->room) {
        t->room = 2 * t->room + len + 1024;
        t->pool = larger(t->pool, sizeof(int32_t) * (size_t)t->len, sizeof(int32_t) * (size_t)t->room);
    }
    if (len) memcpy(t->pool + t->len, s->notes.at + l->notes, sizeof(int32_t) * (size_t)len);
    Node *node = &t->nodes[t->n];
    node->at = t->len;
    for (int b = 0; b < 2; b++) {
        node->share[b] = ratio(l->value[b], l->sum);
        node->own[b] = l->value[b].m == 0 ? -INFINITY : l->own[b];
    }
    t->len += len;
    return (uint32_t)t->n++;
}

static const int32_t *end_of(const Trace *t, int64_t node) {
    return t->pool + (node + 1 < t->n ? t->nodes[node + 1].at : t->len);
}

/* Adds to each literal the share of all states in which it is true. */
void trace_marginals(Search *s, double *of_literals) {
    const Trace *t = &s->trace;
    double *share = grab_zeroed((size_t)t->n + 1, sizeof(double));
    share[t->n - 1] = 1;
    for (int64_t k = t->n - 1; k >= 0; k--) {
        if (share[k] == 0) continue;
        int branch = 0;
        double p = share[k] * t->nodes[k].share[0];
        const int32_t *at = t->pool + t->nodes[k].at, *end = end_of(t, k);
        region_worked(end - at);
        while (at < end) {
            int32_t what = *at / TAG, tag = *at % TAG;
            at++;
            if (tag == LITERAL) of_literals[what] += p;
            else if (tag == NODE) share[what] += p;
            else if (tag == NEXT) p = share[k] * t->nodes[k].share[++branch];
            else {
                of_literals[2 * what] += p * read_double(at), of_literals[2 * what + 1] += p * read_double(at + 2);
                at += 6;
            }
        }
    }
    drop(share);
}

/* The logarithms of the greatest products: of every part, and of each of its branches. */
typedef struct {
    double best;
    int branch;
} Best;

static Best best_of(const Trace *t, const Best *known, int64_t node) {
    const int32_t *at = t->pool + t->nodes[node].at, *end = end_of(t, node);
    double value[2] = {t->nodes[node].own[0], t->nodes[node].own[1]};
    int branch = 0;
    for (; at < end; at++) {
        int32_t what = *at / TAG, tag = *at % TAG;
        if (tag == NODE) value[branch] += known[what].best;
        else if (tag == NEXT) branch++;
        else if (tag == LEAF) {
            value[branch] += log(fmax(read_double(at + 1), read_double(at + 3))) + read_double(at + 5);
            at += 6;
        }
    }
    return value[1] > value[0] ? (Best){value[1], 1} : (Best){value[0], 0};
}

/* Down from the root, one branch of every part: the literals that are true. */
static void walk(const Trace *t, const Best *best, uint64_t *random, Ints *stack, uint8_t *is_true) {
    stack->len = 0;
    ints_push(stack, (int32_t)(t->n - 1));
    while (stack->len) {
        int32_t node = stack->at[--stack->len];
        const Node *n = &t->nodes[node];
        int pick = best ? best[node].branch : next_uniform(random) * (n->share[0] + n->share[1]) >= n->share[0];
        const int32_t *at = t->pool + n->at, *end = end_of(t, node);
        for (int branch = 0; at < end && branch <= pick; at++) {
            int32_t what = *at / TAG, tag = *at % TAG;
            if (tag == NEXT) branch++;
            else if (tag == LEAF) {
                double on = read_double(at + 1), off = read_double(at + 3);
                at += 6;
                if (branch == pick) is_true[what] = best ? on >= off : next_uniform(random) * (on + off) < on;
            } else if (branch == pick) {
                if (tag == NODE) ints_push(stack, what);
                else is_true[what >> 1] = !(what & 1);
            }
        }
    }
}

/* The most probable state of all variables, and the logarithm of its product. */
double trace_best(Search *s, uint8_t *is_true) {
    const Trace *t = &s->trace;
    Best *best = grab(sizeof(Best) * (size_t)(t->n + 1));
    Ints stack = {0};
    for (int64_t k = 0; k < t->n; k++) {
        best[k] = best_of(t, best, k);
        region_worked(16);
    }
    walk(t, best, NULL, &stack, is_true);
    double found = best[t->n - 1].best;
    drop(best), drop(stack.at);
    return found;
}

void trace_sample(Search *s, uint64_t *random, uint8_t *is_true) {
    Ints stack = {0};
    walk(&s->trace, NULL, random, &stack, is_true);
    region_worked(s->n);
    drop(stack.at);
}
