/* What follows from either state of a variable: contradictions make it known, the same conclusions are known, and
 * opposite ones are the variable itself. */
#include "count_simplify.h"

/* A variable that always equals a literal of another one stands for nothing any more. */
static void replace(Simple *w, int32_t lit, int32_t by) {
    Formula *f = w->f;
    int v = lit >> 1;
    by ^= lit & 1;
    for (int off = 0; off < 2; off++) formula_scale(f, &f->weight[by ^ off], f->weight[2 * v + off]);
    w->gone[v] = 1;
    if (w->effort->kept) w->effort->kept[by >> 1] |= w->effort->kept[v];
    if (w->summed) summed_equal(w->summed, 2 * v, by);
    for (int side = 0; side < 2; side++) w->same[2 * v + side] = by ^ side;
    for (int side = 0; side < 2; side++) {
        Ints own = w->occurs[2 * v + side];
        w->occurs[2 * v + side] = (Ints){0};
        for (int i = 0; i < own.len; i++) {
            Clause c = f->clauses[own.at[i]];
            int32_t *lits = literals(f, &c), there = 0;
            for (int a = 0; a < c.len; a++) there |= lits[a] == 2 * v + side;
            if (!there) continue;
            simple_remove(w, own.at[i]);
            int32_t *copy = grab(sizeof(int32_t) * (size_t)c.len);
            memcpy(copy, lits, sizeof(int32_t) * (size_t)c.len);
            simple_add(w, copy, c.len, c.factor);
            drop(copy);
        }
        drop(own.at);
    }
}

/* Tries a literal: false where it contradicts; what follows lies on the trail from `from`. */
static int try_literal(Search *s, int32_t lit) {
    int len;
    assign(s, lit, 0, 1);
    return !propagate(s, &len);
}

static void keep_known(Search *s, Simple *w, int32_t lit) {
    int len;
    simple_fix(w, lit);
    if (s->value[lit] == OPEN) assign(s, lit, 0, 0);
    if (s->value[lit] == FALSE || propagate(s, &len)) w->f->impossible = 1;
}

static void probe(Search *s, Simple *w, int v, Ints *first, Ints *equal) {
    int from = s->n_trail;
    first->len = 0;
    int may_be = try_literal(s, 2 * v);
    for (int i = from; i < s->n_trail; i++) ints_push(first, s->trail[i]);
    unwind(s, from);
    if (!may_be) {
        keep_known(s, w, 2 * v + 1);
        return;
    }
    int may_not = try_literal(s, 2 * v + 1);
    int n = 0;
    for (int i = 1; i < first->len && may_not; i++) {
        int32_t l = first->at[i];
        if (s->value[l] == TRUE) first->at[n++] = l;
        else if (s->value[l] == FALSE && l >> 1 > v) ints_push(equal, l), ints_push(equal, 2 * v);
    }
    unwind(s, from);
    if (!may_not) keep_known(s, w, 2 * v);
    for (int i = 0; i < n && !w->f->impossible; i++) keep_known(s, w, first->at[i]);
}

void simple_probe(Simple *w) {
    Search s;
    Formula *f = w->f;
    Ints first = {0}, equal = {0};
    search_open(&s, f);
    for (int v = 0; v < f->n && !f->impossible && s.work < w->most / 8; v++) {
        if (w->gone[v] || s.value[2 * v] != OPEN) continue;
        if (w->occurs[2 * v].len + w->occurs[2 * v + 1].len) probe(&s, w, v, &first, &equal);
    }
    for (int i = s.head = 0; i < s.n_trail && !f->impossible; i++) simple_fix(w, s.trail[i]);
    for (int i = 0; i < equal.len && !f->impossible; i += 2) {
        int32_t a = simple_same(w, equal.at[i]), b = simple_same(w, equal.at[i + 1]);
        if (a >> 1 == b >> 1 || w->value[a] != OPEN || w->value[b] != OPEN) continue;
        replace(w, a, b);
    }
    search_close(&s);
    drop(first.at), drop(equal.at);
}
