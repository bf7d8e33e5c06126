/* Variables that are summed out beforehand.
 *
 * One that the others define has one state wherever they have any: it goes by resolution, if its literals have the same
 * weight. One of which at most one clause can be false in either state, whatever the others are, leaves clauses with a
 * factor: its sum lacks the weight of one state where such a clause is false. */
#include "count_simplify.h"

enum { MOST_RESOLVENT = 24, MOST_CLAUSES = 40, MOST_NODES = 30, MOST_VISITS = 4000, MOST_PAIRS = 600 };

/* The hard clauses of a literal; false where it has others too. */
static int hard_clauses(Simple *w, int32_t lit, Ints *out) {
    const Ints *o = &w->occurs[lit];
    out->len = 0;
    for (int i = 0; i < o->len; i++) {
        const Clause *c = &w->f->clauses[o->at[i]];
        for (int a = 0; a < c->len; a++) {
            if (literals(w->f, c)[a] != lit) continue;
            if (c->factor != 0) return 0;
            ints_push(out, o->at[i]);
        }
    }
    return 1;
}

static void retract(Simple *w, int to) {
    while (w->trail.len > to) {
        int32_t l = w->trail.at[--w->trail.len];
        w->value[l] = w->value[l ^ 1] = OPEN;
    }
}

static int set(Simple *w, int32_t lit) {
    if (w->value[lit] == FALSE) return 0;
    if (w->value[lit] == TRUE) return 1;
    w->value[lit] = TRUE, w->value[lit ^ 1] = FALSE;
    ints_push(&w->trail, lit);
    return 1;
}

/* The one open literal of a clause without `but`; -1: it is true, or more are open; -2: it is false. */
static int32_t single(const Simple *w, const Clause *c, int but) {
    int32_t open = -2;
    const int32_t *lits = literals(w->f, c);
    for (int i = 0; i < c->len; i++) {
        if (lits[i] >> 1 == but || w->value[lits[i]] == FALSE) continue;
        if (w->value[lits[i]] == TRUE || open >= 0) return -1;
        open = lits[i];
    }
    return open;
}

/* Conclusions from hard clauses that do not have the variable. */
static int spread(Simple *w, int head, int but, int64_t *visits) {
    for (; head < w->trail.len; head++) {
        int32_t off = w->trail.at[head] ^ 1;
        const Ints *o = &w->occurs[off];
        for (int i = 0; i < o->len && *visits > 0; i++) {
            const Clause *c = &w->f->clauses[o->at[i]];
            const int32_t *lits = literals(w->f, c);
            --*visits;
            int own = 0;
            for (int a = 0; a < c->len; a++) own |= lits[a] >> 1 == but;
            if (c->factor != 0 || c->len == 0 || own) continue;
            int32_t l = single(w, c, but);
            if (l == -2 || (l >= 0 && !set(w, l))) return 0;
        }
    }
    return 1;
}

/* Whether no state of the others satisfies all of these clauses less the variable, as far as a short search tells. */
static int contradict(Simple *w, const Ints *own, int but, int *nodes, int64_t *visits) {
    int start = w->trail.len, changed = 1, shortest = 0;
    int32_t pick = -1;
    while (changed) {
        changed = 0, shortest = INT32_MAX, pick = -1;
        for (int i = 0; i < own->len; i++) {
            const Clause *c = &w->f->clauses[own->at[i]];
            int32_t l = single(w, c, but), open = -1, n = 0, on = 0;
            --*visits;
            if (l >= 0) {
                int head = w->trail.len;
                changed = 1;
                if (set(w, l) && spread(w, head, but, visits)) continue;
                l = -2;
            }
            if (l == -2) {
                retract(w, start);
                return 1;
            }
            for (int a = 0; a < c->len; a++) {
                int32_t k = literals(w->f, c)[a];
                if (k >> 1 == but) continue;
                on |= w->value[k] == TRUE;
                if (w->value[k] == OPEN) n++, open = k;
            }
            if (!on && n < shortest) shortest = n, pick = open;
        }
    }
    int wrong = pick >= 0 && --*nodes > 0 && *visits > 0;
    for (int side = 0; side < 2 && wrong; side++) {
        int head = w->trail.len;
        wrong = !set(w, pick ^ side) || !spread(w, head, but, visits) || contradict(w, own, but, nodes, visits);
        retract(w, head);
    }
    retract(w, start);
    return wrong;
}

/* The resolvent over the variable into `scratch`; false where it is always true, or too long. */
static int resolvent(Simple *w, int a, int b, int v) {
    w->scratch.len = 0, w->stamp++;
    for (int side = 0; side < 2; side++) {
        const Clause *c = &w->f->clauses[side ? b : a];
        for (int i = 0; i < c->len; i++) {
            int32_t l = literals(w->f, c)[i];
            if (l >> 1 == v || w->mark[l] == w->stamp) continue;
            if (w->mark[l ^ 1] == w->stamp) return 0;
            w->mark[l] = w->stamp;
            ints_push(&w->scratch, l);
        }
    }
    return 1;
}

/* Adds all resolvents where they are few, or only counts them. */
static int resolve_all(Simple *w, const Ints *on, const Ints *off, int v, int most, int add) {
    int n = 0;
    for (int i = 0; i < on->len; i++)
        for (int j = 0; j < off->len; j++) {
            w->work++;
            if (!resolvent(w, on->at[i], off->at[j], v)) continue;
            if (++n > most || w->scratch.len > MOST_RESOLVENT) return 0;
            if (!add) continue;
            w->scratch2.len = 0;
            for (int k = 0; k < w->scratch.len; k++) ints_push(&w->scratch2, w->scratch.at[k]);
            simple_add(w, w->scratch2.at, w->scratch2.len, 0);
        }
    return 1;
}

static void remove_all(Simple *w, const Ints *a, const Ints *b) {
    for (int i = 0; i < a->len; i++) simple_remove(w, a->at[i]);
    for (int i = 0; i < b->len; i++) simple_remove(w, b->at[i]);
}

static int defined(Simple *w, int v, const Ints *on, const Ints *off) {
    double *weight = w->f->weight + 2 * v;
    if (fabs(weight[0] - weight[1]) > 1e-15 * weight[0] || !on->len || !off->len) return 0;
    if (on->len * off->len > MOST_PAIRS || !resolve_all(w, on, off, v, on->len + off->len, 0)) return 0;
    Ints own = {0};
    for (int i = 0; i < on->len; i++) ints_push(&own, on->at[i]);
    for (int i = 0; i < off->len; i++) ints_push(&own, off->at[i]);
    int nodes = MOST_NODES;
    int64_t visits = MOST_VISITS;
    int yes = contradict(w, &own, v, &nodes, &visits) && visits > 0;
    w->work += MOST_VISITS - visits;
    drop(own.at);
    return yes;
}

/* Whether no two of the clauses can be false at once. */
static int exclude(Simple *w, const Ints *clauses, int v) {
    for (int i = 0; i < clauses->len; i++)
        for (int j = 0; j < i; j++)
            if (resolvent(w, clauses->at[i], clauses->at[j], v)) return 0;
    return 1;
}

/* A clause less the variable, which counts with a factor from now on. */
static void soften(Simple *w, int id, int v, double factor) {
    const Clause *c = &w->f->clauses[id];
    w->scratch2.len = 0;
    for (int i = 0; i < c->len; i++)
        if (literals(w->f, c)[i] >> 1 != v) ints_push(&w->scratch2, literals(w->f, c)[i]);
    simple_add(w, w->scratch2.at, w->scratch2.len, factor);
}

static void begin_variable(Summed *summed, int v, const double *weight) {
    int32_t halves[4];
    memcpy(halves, weight, sizeof halves);
    ints_push(&summed->at, summed->text.len);
    ints_push(&summed->text, v);
    for (int i = 0; i < 4; i++) ints_push(&summed->text, halves[i]);
}

void summed_equal(Summed *summed, int32_t lit, int32_t other) {
    begin_variable(summed, lit >> 1, (double[]){1, 1});
    for (int side = 0; side < 2; side++) {
        ints_push(&summed->text, 2);
        ints_push(&summed->text, lit ^ side), ints_push(&summed->text, other ^ !side);
    }
}

static void write_down(Simple *w, int v, const Ints *on, const Ints *off) {
    Ints *text = &w->summed->text;
    begin_variable(w->summed, v, w->f->weight + 2 * v);
    for (int i = 0; i < on->len + off->len; i++) {
        const Clause *c = &w->f->clauses[i < on->len ? on->at[i] : off->at[i - on->len]];
        ints_push(text, c->len);
        for (int a = 0; a < c->len; a++) ints_push(text, literals(w->f, c)[a]);
    }
}

void summed_states(const Summed *summed, uint8_t *is_true, uint64_t *random) {
    for (int k = summed->at.len - 1; k >= 0; k--) {
        const int32_t *at = summed->text.at + summed->at.at[k];
        const int32_t *end = summed->text.at + (k + 1 < summed->at.len ? summed->at.at[k + 1] : summed->text.len);
        int v = *at++;
        double weight[2];
        memcpy(weight, at, sizeof weight);
        at += 4;
        is_true[v] = random && next_uniform(random) * (weight[0] + weight[1]) < weight[0];
        for (; at < end; at += 1 + *at) {
            int32_t own = -1, satisfied = 0;
            for (int a = 1; a <= *at; a++)
                if (at[a] >> 1 == v) own = at[a];
                else satisfied |= is_true[at[a] >> 1] != (at[a] & 1);
            if (!satisfied) is_true[v] = !(own & 1);
        }
    }
}

static int try_variable(Simple *w, int v, Ints *on, Ints *off) {
    double *weight = w->f->weight + 2 * v;
    if (!hard_clauses(w, 2 * v, on) || !hard_clauses(w, 2 * v + 1, off)) return 0;
    if (on->len + off->len > MOST_CLAUSES) return 0;
    if (defined(w, v, on, off)) {
        write_down(w, v, on, off);
        resolve_all(w, on, off, v, INT32_MAX, 1);
        w->f->constant = number_by(w->f->constant, weight[0]);
    } else if (w->effort->sum_out == ALL && on->len + off->len <= 8 && exclude(w, on, v) && exclude(w, off, v) &&
               resolve_all(w, on, off, v, on->len + off->len, 0)) {
        double sum = weight[0] + weight[1];
        write_down(w, v, on, off);
        resolve_all(w, on, off, v, INT32_MAX, 1);
        for (int i = 0; i < on->len; i++) soften(w, on->at[i], v, weight[0] / sum);
        for (int i = 0; i < off->len; i++) soften(w, off->at[i], v, weight[1] / sum);
        w->f->constant = number_by(w->f->constant, sum);
    } else {
        return 0;
    }
    remove_all(w, on, off);
    w->gone[v] = 1;
    return 1;
}

typedef struct {
    int v, n;
} Rank;

static int by_number(const void *a, const void *b) { return ((const Rank *)a)->n - ((const Rank *)b)->n; }

int simple_sum_out(Simple *w) {
    Ints on = {0}, off = {0};
    int n = w->f->n, out = 0;
    Rank *rank = grab(sizeof(Rank) * (size_t)(n + 1));
    for (int v = 0; v < n; v++) rank[v] = (Rank){v, w->occurs[2 * v].len * w->occurs[2 * v + 1].len};
    qsort(rank, (size_t)n, sizeof *rank, by_number);
    for (int i = 0; i < n && !w->f->impossible && w->work < w->most; i++) {
        int v = rank[i].v;
        if (w->gone[v] || w->value[2 * v] != OPEN || (w->effort->kept && w->effort->kept[v])) continue;
        int64_t before = w->work;
        out += try_variable(w, v, &on, &off);
        region_worked(4 * (w->work - before) + 16);
        simple_settle(w);
    }
    drop(rank), drop(on.at), drop(off.at);
    return out;
}
