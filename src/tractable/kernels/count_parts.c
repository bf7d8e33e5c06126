/* What is left open falls apart: parts that share no clause are summed by themselves. */
#include "count_search.h"

/* A visit of a clause reads, at one place: its number, how many literals follow, and these. */
enum { VISIT_HEAD = 2 };

static void fill(Search *s, int32_t *pairs, int32_t *room) {
    const Formula *f = s->f;
    for (int i = 0; i < f->m; i++) {
        const Clause *c = &f->clauses[i];
        const int32_t *lits = literals(f, c);
        for (int a = 0; a < c->len; a++) {
            int v = lits[a] >> 1;
            if (c->len == 2 && c->factor == 0) {
                if (s->near) s->near[pairs[v]] = lits[1 - a] >> 1;
                pairs[v]++;
            } else if (c->len > 1 || c->factor != 0) {
                if (s->links) {
                    s->links[room[v]] = i, s->links[room[v] + 1] = c->len;
                    memcpy(s->links + room[v] + VISIT_HEAD, lits, sizeof(int32_t) * (size_t)c->len);
                }
                room[v] += VISIT_HEAD + c->len;
            }
        }
    }
}

/* From numbers of entries to where each one's begin. */
static int32_t *starts(const int32_t *count, int n) {
    int32_t *at = grab(sizeof(int32_t) * (size_t)(n + 2));
    at[0] = 0;
    for (int i = 0; i < n; i++) at[i + 1] = at[i] + count[i];
    return at;
}

static int32_t *array_of(int64_t n) { return grab(sizeof(int32_t) * (size_t)(n + 1)); }

static void open_soft(Search *s) {
    const Formula *f = s->f;
    int32_t *count = grab_zeroed((size_t)(2 * f->n + 2), sizeof(int32_t));
    for (int fill = 0; fill < 2; fill++) {
        for (int i = 0; i < f->m; i++)
            for (int a = 0; f->clauses[i].factor != 0 && a < f->clauses[i].len; a++) {
                int32_t l = literals(f, &f->clauses[i])[a];
                if (fill) s->soft[s->soft_at[l] + --count[l]] = i;
                else count[l]++;
            }
        if (!fill) {
            s->soft_at = starts(count, 2 * f->n);
            s->soft = array_of(s->soft_at[2 * f->n]);
        }
    }
    drop(count);
}

void parts_open(Search *s) {
    const Formula *f = s->f;
    int n = f->n;
    int32_t *pairs = grab_zeroed((size_t)n + 1, sizeof(int32_t)), *room = grab_zeroed((size_t)n + 1, sizeof(int32_t));
    fill(s, pairs, room);
    s->near_at = starts(pairs, n), s->links_at = starts(room, n);
    s->near = array_of(s->near_at[n]), s->links = array_of(s->links_at[n]);
    memcpy(pairs, s->near_at, sizeof(int32_t) * (size_t)n), memcpy(room, s->links_at, sizeof(int32_t) * (size_t)n);
    fill(s, pairs, room);
    drop(pairs), drop(room);
    open_soft(s);
    s->frequency = grab_zeroed((size_t)n + 1, sizeof(double));
    s->own = grab_zeroed((size_t)n + 1, sizeof(uint32_t));
    s->open_var = grab_zeroed((size_t)n + 1, sizeof(uint32_t));
    s->open_clause = grab_zeroed((size_t)f->m + 1, sizeof(uint32_t));
    s->hash_var = grab(sizeof(Hash) * (size_t)(n + 1)), s->hash_clause = grab(sizeof(Hash) * (size_t)(f->m + 1));
    uint64_t seed = seeded(17);
    for (int v = 0; v < n; v++) s->hash_var[v] = (Hash){next_random(&seed), next_random(&seed)};
    for (int i = 0; i < f->m; i++) s->hash_clause[i] = (Hash){next_random(&seed), next_random(&seed)};
}

static int is_true(const Search *s, const int32_t *lits, int len) {
    for (int i = 0; i < len; i++)
        if (s->value[lits[i]] == TRUE) return 1;
    return 0;
}

static int is_false(const Search *s, const int32_t *lits, int len) {
    for (int i = 0; i < len; i++)
        if (s->value[lits[i]] != FALSE) return 0;
    return 1;
}

/* The product with the weight of a literal that became true in the part, and with the factors of the clauses that it
 * was the last to make false. */
static Number weighed(Search *s, int32_t lit, Number product) {
    const Formula *f = s->f;
    product = number_by(product, f->weight[lit]);
    for (int32_t i = s->soft_at[lit ^ 1]; i < s->soft_at[(lit ^ 1) + 1]; i++) {
        int32_t id = s->soft[i];
        if (s->open_clause[id] != s->stamp) continue;
        const Clause *c = &f->clauses[id];
        if (!is_false(s, literals(f, c), c->len)) continue;
        s->open_clause[id] = 0;
        product = number_by(product, c->factor);
    }
    return product;
}

static void reach(Search *s, int32_t v) {
    if (s->open_var[v] != s->stamp || s->value[2 * v] != OPEN) return;
    s->open_var[v] = s->stamp + 1;
    ints_push(&s->pool, v);
}

/* All variables that hang together with v, then their clauses (in `found`). */
static void flood(Search *s, int32_t v, Part *p, Ints *found) {
    *p = (Part){.at = s->pool.len};
    found->len = 0;
    reach(s, v);
    for (int at = p->at; at < s->pool.len; at++) {
        int32_t u = s->pool.at[at], degree = 0;
        p->hash.a ^= s->hash_var[u].a, p->hash.b ^= s->hash_var[u].b;
        s->work += 2 + s->near_at[u + 1] - s->near_at[u];
        for (int32_t i = s->near_at[u]; i < s->near_at[u + 1]; i++) {
            degree += s->value[2 * s->near[i]] == OPEN;
            reach(s, s->near[i]);
        }
        const int32_t *to = s->links + s->links_at[u + 1];
        for (const int32_t *l = s->links + s->links_at[u]; l < to; l += VISIT_HEAD + l[1]) {
            int32_t id = l[0];
            degree += s->open_clause[id] == s->stamp + 1;
            if (s->open_clause[id] != s->stamp) continue;
            s->work++;
            if (is_true(s, l + VISIT_HEAD, l[1])) {
                s->open_clause[id] = 0;
                continue;
            }
            s->open_clause[id] = s->stamp + 1;
            degree++;
            p->hash.a ^= s->hash_clause[id].a, p->hash.b ^= s->hash_clause[id].b;
            ints_push(found, id);
            for (int i = 0; i < l[1]; i++) reach(s, l[VISIT_HEAD + i] >> 1);
        }
        s->frequency[u] = degree;
    }
    p->n = s->pool.len - p->at, p->m = found->len;
}

/* A variable by itself, in what is left of clauses with a factor. */
static Number leaf(Search *s, int32_t v, const Ints *found) {
    Number by[2] = {{s->f->weight[2 * v], 0}, {s->f->weight[2 * v + 1], 0}};
    for (int i = 0; i < found->len; i++) {
        const Clause *c = &s->f->clauses[found->at[i]];
        const int32_t *lits = literals(s->f, c);
        for (int a = 0; a < c->len; a++)
            if (lits[a] >> 1 == v) by[!(lits[a] & 1)] = number_by(by[!(lits[a] & 1)], c->factor);
    }
    Number sum = number_plus(by[0], by[1]);
    note_leaf(s, v, by, sum);
    return sum;
}

static void push_part(Search *s, const Part *p) {
    if (s->n_parts == s->cap_parts) {
        Part *old = s->parts;
        s->cap_parts = s->cap_parts ? 2 * s->cap_parts : 64;
        s->parts = grab(sizeof(Part) * (size_t)s->cap_parts);
        if (old) memcpy(s->parts, old, sizeof(Part) * (size_t)s->n_parts);
        drop(old);
    }
    int at = s->n_parts++, first = s->levels[s->n_levels - 1].parts;
    for (; at > first && s->parts[at - 1].n < p->n; at--) s->parts[at] = s->parts[at - 1]; /* the smallest on top */
    s->parts[at] = *p;
}

/* Into the product of the branch: weights of what has been assigned, sums that are known; the other parts wait. */
void take_apart(Search *s) {
    Level *l = &s->levels[s->n_levels - 1];
    Part own = s->parts[l->part];
    Number product = l->product;
    s->stamp += 2;
    for (int i = 0; i < own.n; i++) {
        int32_t v = s->pool.at[own.at + i];
        s->own[v] = s->open_var[v] = s->stamp;
    }
    for (int i = 0; i < own.m; i++) s->open_clause[s->pool.at[own.at + own.n + i]] = s->stamp;
    for (int i = l->trail; i < s->n_trail; i++) {
        int32_t lit = s->trail[i];
        if (s->own[lit >> 1] != s->stamp) continue;
        product = weighed(s, lit, product);
        note_literal(s, lit);
    }
    if (s->trace.on) l->own[l->branch] = number_log(product);
    int64_t before = s->work;
    for (int i = 0; i < own.n; i++) {
        int32_t v = s->pool.at[own.at + i];
        if (s->value[2 * v] != OPEN || s->open_var[v] != s->stamp) continue;
        Part p;
        flood(s, v, &p, &s->found);
        const Known *known = NULL;
        if (p.n == 1) product = number_times(product, leaf(s, v, &s->found));
        else known = cache_find(&s->cache, p.hash);
        if (known) {
            product = number_times(product, (Number){known->m, known->e});
            note_node(s, known->node);
        }
        if (p.n == 1 || known) {
            s->pool.len = p.at;
            continue;
        }
        for (int k = 0; k < p.m; k++) ints_push(&s->pool, s->found.at[k]);
        push_part(s, &p);
    }
    l->product = product;
    region_worked(4 * (s->work - before));
}
