/* What is known is worked in, clauses that follow from others go, and those that can be shorter get so. */
#include "count_simplify.h"

void simple_open(Simple *w, Formula *f, const Effort *effort, Summed *summed) {
    size_t n = 2 * (size_t)f->n + 2;
    *w = (Simple){.f = f, .effort = effort, .summed = summed, .most = 1 << 28};
    if (effort->work < w->most) w->most = effort->work;
    w->occurs = grab_zeroed(n, sizeof(Ints));
    w->value = grab_zeroed(n, 1);
    w->gone = grab_zeroed(n, 1);
    w->same = grab(sizeof(int32_t) * n);
    w->mark = grab_zeroed(n, sizeof(uint32_t));
    for (int l = 0; l < 2 * f->n; l++) w->same[l] = l;
    int m = f->m;
    for (int i = 0; i < m; i++) { /* again, as one adds a clause */
        Clause c = f->clauses[i];
        f->clauses[i].len = 0;
        int32_t *lits = grab(sizeof(int32_t) * (size_t)(c.len + 1));
        memcpy(lits, literals(f, &c), sizeof(int32_t) * (size_t)c.len);
        simple_add(w, lits, c.len, c.factor);
        drop(lits);
    }
    for (int l = 0; l < 2 * f->n; l++)
        if (f->weight[l] == 0) simple_fix(w, l ^ 1);
}

static void enqueue(Simple *w, int id) {
    if (w->queued[id]) return;
    w->queued[id] = 1;
    ints_push(&w->queue, id);
}

static uint64_t bit_of(int32_t lit) { return 1ull << ((uint32_t)lit * 0x9E3779B9u >> 26); }

static void sign(Simple *w, int id) {
    const Clause *c = &w->f->clauses[id];
    uint64_t bits = 0;
    for (int i = 0; i < c->len; i++) bits |= bit_of(literals(w->f, c)[i]);
    w->sign[id] = bits;
}

static void room(Simple *w) {
    if (w->f->m < w->cap_sign) return;
    int cap = 2 * w->f->m + 64;
    uint64_t *signs = grab(sizeof(uint64_t) * (size_t)cap);
    uint8_t *queued = grab_zeroed((size_t)cap, 1);
    if (w->sign) {
        memcpy(signs, w->sign, sizeof(uint64_t) * (size_t)w->cap_sign);
        memcpy(queued, w->queued, (size_t)w->cap_sign);
    }
    drop(w->sign), drop(w->queued);
    w->sign = signs, w->queued = queued, w->cap_sign = cap;
}

void simple_fix(Simple *w, int32_t lit) {
    if (w->value[lit] == TRUE) return;
    if (w->value[lit] == FALSE) {
        w->f->impossible = 1;
        return;
    }
    w->value[lit] = TRUE, w->value[lit ^ 1] = FALSE;
    ints_push(&w->known, lit);
}

int32_t simple_same(Simple *w, int32_t lit) {
    int32_t last = lit;
    while (w->same[last] != last) last = w->same[last];
    while (w->same[lit] != last) {
        int32_t next = w->same[lit];
        w->same[lit] = last, lit = next;
    }
    return last;
}

void simple_remove(Simple *w, int id) { w->f->clauses[id].len = 0; }

/* A clause with what is known left out; -1 where nothing of it is left to say. */
int simple_add(Simple *w, const int32_t *given, int len, double factor) {
    Formula *f = w->f;
    int32_t *lits = grab(sizeof(int32_t) * (size_t)(len + 1));
    int n = 0, always = factor == 1;
    w->stamp++;
    for (int i = 0; i < len; i++) {
        int32_t l = simple_same(w, given[i]);
        always |= w->value[l] == TRUE || w->mark[l ^ 1] == w->stamp;
        if (w->value[l] == FALSE || w->mark[l] == w->stamp) continue;
        w->mark[l] = w->stamp, lits[n++] = l;
    }
    int id = -1;
    if (!always && n == 1 && factor == 0) simple_fix(w, lits[0]);
    else if (!always && n == 1) formula_scale(f, &f->weight[lits[0] ^ 1], factor);
    else if (!always && n == 0) formula_add(f, lits, 0, factor);
    else if (!always) {
        room(w);
        id = f->m;
        formula_add(f, lits, n, factor);
        for (int i = 0; i < n; i++) ints_push(&w->occurs[lits[i]], id);
        w->queued[id] = 0;
        sign(w, id);
        enqueue(w, id);
    }
    drop(lits);
    return id;
}

static void shorten(Simple *w, int id, int32_t lit) {
    Clause *c = &w->f->clauses[id];
    int32_t *lits = literals(w->f, c);
    for (int i = 0; i < c->len; i++)
        if (lits[i] == lit) lits[i] = lits[--c->len];
    sign(w, id);
    if (c->len > 1) {
        enqueue(w, id);
        return;
    }
    if (c->factor == 0) simple_fix(w, lits[0]);
    else formula_scale(w->f, &w->f->weight[lits[0] ^ 1], c->factor);
    c->len = 0;
}

static int has(const Simple *w, int id, int32_t lit) {
    const Clause *c = &w->f->clauses[id];
    for (int i = 0; i < c->len; i++)
        if (literals(w->f, c)[i] == lit) return 1;
    return 0;
}

/* The clauses that still have a literal. */
static Ints *occurrences(Simple *w, int32_t lit) {
    Ints *o = &w->occurs[lit];
    int k = 0;
    for (int i = 0; i < o->len; i++)
        if (has(w, o->at[i], lit)) o->at[k++] = o->at[i];
    o->len = k;
    return o;
}

static void work_in(Simple *w) {
    while (w->head < w->known.len && !w->f->impossible) {
        int32_t lit = w->known.at[w->head++];
        Ints *on = &w->occurs[lit], *off = &w->occurs[lit ^ 1];
        for (int i = 0; i < on->len; i++)
            if (has(w, on->at[i], lit)) simple_remove(w, on->at[i]);
        for (int i = 0; i < off->len; i++)
            if (has(w, off->at[i], lit ^ 1)) shorten(w, off->at[i], lit ^ 1);
        on->len = off->len = 0;
    }
}

/* Whether all literals of a clause but one are marked. */
static int within(const Simple *w, const Clause *c, int32_t but) {
    const int32_t *lits = literals(w->f, c);
    for (int i = 0; i < c->len; i++)
        if (w->mark[lits[i]] != w->stamp && lits[i] != but) return 0;
    return 1;
}

static void mark(Simple *w, const Clause *c) {
    w->stamp++;
    for (int i = 0; i < c->len; i++) w->mark[literals(w->f, c)[i]] = w->stamp;
}

/* Clauses that hold all literals of a hard one go; those that hold all but one, and that one turned round, lose it. A
 * clause with a factor takes in its like. */
static void imply(Simple *w, int id, int32_t turned) {
    Formula *f = w->f;
    Clause *c = &f->clauses[id];
    int32_t *lits = literals(f, c), best = -1;
    uint64_t bits = w->sign[id];
    if (turned >= 0) bits &= ~bit_of(turned);
    for (int i = 0; i < c->len; i++) {
        int32_t l = lits[i] == turned ? lits[i] ^ 1 : lits[i];
        if (best < 0 || w->occurs[l].len < w->occurs[best].len) best = l;
    }
    Ints *o = occurrences(w, best);
    for (int k = 0; k < o->len && c->len > 0; k++) {
        int other = o->at[k];
        Clause *d = &f->clauses[other];
        w->work++;
        if (other == id || d->len < c->len || bits & ~w->sign[other]) continue;
        if (c->factor != 0 && (d->factor == 0 || d->len != c->len || turned >= 0)) continue;
        mark(w, d);
        if (turned >= 0 && w->mark[turned ^ 1] != w->stamp) continue;
        if (!within(w, c, turned)) continue;
        w->work += d->len;
        if (turned >= 0) {
            shorten(w, other, turned ^ 1);
            continue;
        }
        if (c->factor != 0) formula_scale(f, &c->factor, d->factor);
        simple_remove(w, other);
    }
}

void simple_settle(Simple *w) {
    work_in(w);
    while (w->queue.len && !w->f->impossible) {
        int id = w->queue.at[--w->queue.len];
        int64_t before = w->work;
        w->queued[id] = 0;
        if (!is_alive(w->f, id)) continue;
        if (w->work < w->most) {
            imply(w, id, -1);
            for (int i = 0; w->f->clauses[id].factor == 0 && i < w->f->clauses[id].len; i++)
                imply(w, id, literals(w->f, &w->f->clauses[id])[i]);
        }
        work_in(w);
        region_worked(4 * (w->work - before));
    }
}

/* What is left as a formula of its own: variables are numbered anew. */
void simple_close(Simple *w, int32_t *image) {
    Formula *f = w->f, out = {.constant = f->constant, .impossible = f->impossible, .extreme = f->extreme};
    int32_t *number = grab(sizeof(int32_t) * (size_t)(f->n + 1));
    out.weight = grab(sizeof(double) * (size_t)(2 * f->n + 1));
    for (int v = 0; v < f->n; v++) {
        number[v] = -1;
        if (w->gone[v]) continue;
        double *weight = f->weight + 2 * v;
        if (w->value[2 * v] != OPEN) {
            out.constant = number_by(out.constant, weight[w->value[2 * v] == FALSE]);
            continue;
        }
        double sum = weight[0] + weight[1];
        out.constant = number_by(out.constant, sum);
        for (int off = 0; off < 2; off++) {
            out.weight[2 * out.n + off] = 1 / sum;
            formula_scale(&out, &out.weight[2 * out.n + off], weight[off]);
        }
        number[v] = out.n++;
    }
    for (int i = 0; i < f->m && !f->impossible; i++) {
        Clause *c = &f->clauses[i];
        int32_t *lits = literals(f, c);
        for (int a = 0; a < c->len; a++) lits[a] = 2 * number[lits[a] >> 1] + (lits[a] & 1);
        if (c->len) formula_add(&out, lits, c->len, c->factor);
    }
    for (int v = 0; v < f->n; v++) {
        int32_t l = simple_same(w, 2 * v);
        if (w->value[l] != OPEN) image[v] = w->value[l] == TRUE ? IS_TRUE : IS_FALSE;
        else image[v] = number[l >> 1] < 0 ? SUMMED_OUT : 2 * number[l >> 1] + (l & 1);
    }
    int n = f->n;
    drop(number);
    formula_close(f);
    *f = out;
    for (int l = 0; l < 2 * n; l++) drop(w->occurs[l].at);
    drop(w->occurs), drop(w->sign), drop(w->value), drop(w->gone), drop(w->same), drop(w->known.at), drop(w->queue.at);
    drop(w->queued), drop(w->mark), drop(w->trail.at), drop(w->scratch.at), drop(w->scratch2.at);
}

Formula formula_copy(const Formula *f) {
    Formula out = {.n = f->n, .constant = f->constant, .extreme = f->extreme};
    out.weight = grab(sizeof(double) * (size_t)(2 * f->n + 1));
    memcpy(out.weight, f->weight, sizeof(double) * (size_t)(2 * f->n));
    for (int i = 0; i < f->m; i++)
        formula_add(&out, literals(f, &f->clauses[i]), f->clauses[i].len, f->clauses[i].factor);
    return out;
}

void formula_close(Formula *f) { drop(f->weight), drop(f->clauses), drop(f->pool.at); }

void formula_simplify(Formula *f, const Effort *effort, int32_t *image, Summed *summed) {
    Simple w;
    simple_open(&w, f, effort, summed);
    simple_settle(&w);
    for (int round = 0; round < 4 && !f->impossible; round++) {
        int64_t known = w.known.len, m = f->m;
        simple_probe(&w);
        simple_settle(&w);
        int n = effort->sum_out && !f->impossible ? simple_sum_out(&w) : 0;
        if (!n && known == w.known.len && m == f->m) break;
    }
    simple_close(&w, image);
}
