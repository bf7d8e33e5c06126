/* Consequences of what is assigned: pairs of literals one by one, long clauses by two literals that watch. */
#include "count_search.h"

void assign(Search *s, int32_t lit, int32_t reason, int32_t level) {
    s->value[lit] = TRUE, s->value[lit ^ 1] = FALSE;
    s->level[lit >> 1] = level, s->reason[lit >> 1] = reason;
    s->place[lit >> 1] = s->n_trail, s->trail[s->n_trail++] = lit;
}

void unwind(Search *s, int trail) {
    while (s->n_trail > trail) {
        int32_t lit = s->trail[--s->n_trail];
        s->value[lit] = s->value[lit ^ 1] = OPEN;
    }
    s->head = trail;
}

static void watch(Search *s, int32_t lit, int32_t clause, int32_t other) {
    ints_push(&s->watch[lit], clause);
    ints_push(&s->watch[lit], other);
}

/* Takes up a hard clause of two literals at least; the first two are to watch. Returns the reason that it is for the
 * first. */
int32_t attach(Search *s, const int32_t *lits, int len, int joins) {
    if (len == 2) {
        ints_push(&s->pairs[lits[0]], lits[1]);
        ints_push(&s->pairs[lits[1]], lits[0]);
        return -lits[1] - 1;
    }
    ints_push(&s->db, len);
    ints_push(&s->db, joins);
    ints_push(&s->db, 0);
    int32_t at = s->db.len;
    for (int i = 0; i < len; i++) ints_push(&s->db, lits[i]);
    watch(s, lits[0], at, lits[1]);
    watch(s, lits[1], at, lits[0]);
    return at;
}

/* The other literals of the clause that made `lit` true. */
const int32_t *reason_of(const Search *s, int32_t lit, int *len, int32_t *pair) {
    int32_t r = s->reason[lit >> 1];
    *len = 0;
    if (r < 0) {
        *pair = -r - 1, *len = 1;
        return pair;
    }
    if (r == 0) return NULL;
    int32_t *c = s->db.at + r;
    if (c[0] != lit) c[1] = c[0], c[0] = lit;
    *len = c[-CLAUSE_HEAD] - 1;
    c[-1] = (int32_t)s->conflicts;
    return c + 1;
}

/* Makes `lit` true by a clause whose others are false. */
static void imply(Search *s, int32_t *lits, int32_t at) {
    int32_t level = 0;
    for (int i = 1, len = lits[-CLAUSE_HEAD]; i < len; i++)
        if (s->level[lits[i] >> 1] > level) level = s->level[lits[i] >> 1];
    assign(s, lits[0], at, level);
}

/* Visits the clauses that watch a literal that has become false; returns the clause that is false, 0 where none is. */
static int32_t visit(Search *s, int32_t off) {
    Ints *w = &s->watch[off];
    const uint8_t *value = s->value;
    int32_t *from = w->at, *to = w->at, *end = w->at + w->len, wrong = 0;
    s->work += w->len + 1;
    while (from < end) {
        int32_t at = *from++, other = *from++;
        if (value[other] == TRUE) {
            *to++ = at, *to++ = other;
            continue;
        }
        int32_t *lits = s->db.at + at;
        if (lits[0] == off) lits[0] = lits[1], lits[1] = off;
        int32_t first = lits[0];
        if (value[first] != TRUE) {
            int i = 2, len = lits[-CLAUSE_HEAD];
            while (i < len && value[lits[i]] == FALSE) i++;
            if (i < len) {
                lits[1] = lits[i], lits[i] = off;
                watch(s, lits[1], at, first);
                continue;
            }
        }
        *to++ = at, *to++ = first;
        if (value[first] == TRUE) continue;
        if (value[first] == FALSE) {
            wrong = at;
            while (from < end) *to++ = *from++;
        } else {
            imply(s, lits, at);
        }
    }
    w->len = (int)(to - w->at);
    return wrong;
}

const int32_t *propagate(Search *s, int *len) {
    int64_t before = s->work;
    while (s->head < s->n_trail) {
        int32_t off = s->trail[s->head++] ^ 1;
        const Ints *p = &s->pairs[off];
        s->work += p->len;
        for (int i = 0; i < p->len; i++) {
            int32_t on = p->at[i];
            if (s->value[on] == TRUE) continue;
            if (s->value[on] == FALSE) {
                s->conflict[0] = on, s->conflict[1] = off, *len = 2;
                return s->conflict;
            }
            assign(s, on, -off - 1, s->level[off >> 1]);
        }
        int32_t wrong = visit(s, off);
        if (wrong) {
            *len = s->db.at[wrong - CLAUSE_HEAD];
            return s->db.at + wrong;
        }
    }
    region_worked(4 * (s->work - before));
    return NULL;
}

void search_open(Search *s, const Formula *f) {
    int n = f->n;
    *s = (Search){.f = f, .n = n, .bump = 1, .most_work = INT64_MAX, .end = INFINITY, .next_cut = 2000};
    s->value = grab_zeroed((size_t)(2 * n + 2), 1);
    s->level = grab_zeroed((size_t)n + 1, sizeof(int32_t));
    s->reason = grab_zeroed((size_t)n + 1, sizeof(int32_t));
    s->place = grab_zeroed((size_t)n + 1, sizeof(int32_t));
    s->met = grab_zeroed((size_t)n + 2, sizeof(uint32_t));
    s->trail = grab(sizeof(int32_t) * (size_t)(n + 1));
    s->pairs = grab_zeroed((size_t)(2 * n + 1), sizeof(Ints));
    s->watch = grab_zeroed((size_t)(2 * n + 1), sizeof(Ints));
    s->seen = grab_zeroed((size_t)n + 1, 1);
    s->activity = grab_zeroed((size_t)n + 1, sizeof(double));
    s->side = grab_zeroed((size_t)(2 * n + 1), sizeof(double));
    ints_push(&s->db, 0); /* no clause is at 0 */
    for (int i = 0; i < f->m; i++) {
        const Clause *c = &f->clauses[i];
        if (c->factor != 0) continue;
        if (c->len > 1) attach(s, literals(f, c), c->len, 0);
        else ints_push(&s->units, literals(f, c)[0]);
    }
    s->given = s->db.len;
}

void search_close(Search *s) {
    for (int l = 0; l < 2 * s->n; l++) drop(s->pairs[l].at), drop(s->watch[l].at);
    void *all[] = {s->value,     s->level,        s->reason,       s->place,         s->met,          s->trail,
                   s->pairs,     s->watch,        s->seen,         s->activity,      s->side,         s->db.at,
                   s->units.at,  s->learned.at,   s->decided.at,   s->analysed.at,   s->near,         s->near_at,
                   s->links,     s->links_at,     s->soft,         s->soft_at,       s->tree,         s->frequency,
                   s->own,       s->open_var,     s->open_clause,  s->hash_var,      s->hash_clause,  s->levels,
                   s->parts,     s->pool.at,      s->found.at,     s->notes.at,      s->cache.at,     s->cache.spoilt,
                   s->trace.nodes, s->trace.pool};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) drop(all[i]);
}
