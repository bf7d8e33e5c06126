/* The search: decide a variable of a part, draw conclusions, sum what falls apart; both ways, then the part is known.
 *
 * A contradiction ends the branch of the latest decision that has a share in it, and all that came after. Literals have
 * the level of the last decision that they follow from, which may be lower than that at which they were found. */
#include "count_search.h"

enum { LOOK = 1 << 18 }; /* visits between two looks at the clock */

typedef enum { NOTHING, TURNED, CLOSED } Outcome;

static void push_level(Search *s, int part) {
    if (s->n_levels == s->cap_levels) {
        Level *old = s->levels;
        s->cap_levels = s->cap_levels ? 2 * s->cap_levels : 64;
        s->levels = grab(sizeof(Level) * (size_t)s->cap_levels);
        if (old) memcpy(s->levels, old, sizeof(Level) * (size_t)s->n_levels);
        drop(old);
    }
    s->levels[s->n_levels++] = (Level){.trail = s->n_trail,
                                       .part = part,
                                       .parts = s->n_parts,
                                       .pool = s->pool.len,
                                       .notes = s->notes.len,
                                       .branch_notes = s->notes.len,
                                       .mark = s->cache.time,
                                       .product = {1, 0}};
}

/* The variable to decide: near the root of the tree, in many clauses, often met in contradictions. */
static int32_t choose(const Search *s, const Part *p) {
    const int32_t *vars = s->pool.at + p->at;
    double most_active = 1e-300, most_frequent = 1, best = -1;
    int32_t found = vars[0];
    for (int i = 0; i < p->n; i++) {
        if (s->activity[vars[i]] > most_active) most_active = s->activity[vars[i]];
        if (s->frequency[vars[i]] > most_frequent) most_frequent = s->frequency[vars[i]];
    }
    for (int i = 0; i < p->n; i++) {
        int v = vars[i];
        double score = s->tree[v] + s->activity[v] / most_active + s->frequency[v] / most_frequent;
        if (score > best) best = score, found = v;
    }
    return s->side[2 * found] >= s->side[2 * found + 1] ? 2 * found : 2 * found + 1;
}

/* The level ends, and with it all above: nothing of the part is left but its sum. */
static void close_part(Search *s) {
    Level l = s->levels[s->n_levels - 1];
    Part *p = &s->parts[l.part];
    uint32_t node = trace_close(s, &l);
    cache_store(&s->cache, p->hash, l.sum, node);
    unwind(s, l.trail);
    s->n_parts = l.part, s->pool.len = l.pool, s->notes.len = l.notes, s->n_levels--;
    Level *above = &s->levels[s->n_levels - 1];
    above->product = number_times(above->product, l.sum);
    note_node(s, node);
}

/* Begins the second branch of a level. */
static void turn(Search *s, int level, int32_t reason, int of_level) {
    Level *l = &s->levels[level];
    s->n_levels = level + 1;
    unwind(s, l->trail);
    s->n_parts = l->parts, s->pool.len = l->pool;
    note_branch(s);
    l->branch_notes = s->notes.len;
    l->branch = 1, l->product = (Number){1, 0}, l->mark = s->cache.time, l->opened = 0;
    assign(s, l->decision ^ 1, reason, of_level);
}

static int level_of_rest(const Search *s, const Ints *clause) {
    return clause->len > 1 ? s->level[clause->at[1] >> 1] : 0;
}

/* Takes up a learned clause; returns the reason that it is for its first literal. */
static int32_t learn(Search *s, const Ints *clause) {
    if (clause->len == 1) {
        ints_push(&s->units, clause->at[0]);
        return 0;
    }
    s->stamp += 2; /* counts the levels that the clause joins */
    int joins = 0;
    for (int i = 1; i < clause->len; i++) {
        uint32_t *level = &s->met[s->level[clause->at[i] >> 1]];
        joins += *level != s->stamp, *level = s->stamp;
    }
    s->n_learned++;
    return attach(s, clause->at, clause->len, joins);
}

/* After a contradiction: the branch it was found in, or a lower one, is over. */
static Outcome resolve(Search *s, const int32_t *wrong, int len) {
    int level = analyse(s, wrong, len);
    if (level == 0) return NOTHING;
    Level *l = &s->levels[level];
    s->n_levels = level + 1;
    cache_spoil(&s->cache, l->mark);
    int32_t first = learn(s, &s->learned);
    if (l->branch == 1) { /* the first branch has a sum, and this one nothing */
        s->notes.len = l->branch_notes;
        s->n_parts = l->parts;
        close_part(s);
        return CLOSED;
    }
    int same = s->learned.at[0] == (l->decision ^ 1);
    int32_t reason = same ? first : learn(s, &s->decided);
    s->notes.len = l->branch_notes;
    int to = level_of_rest(s, &s->decided);
    turn(s, level, reason, to);
    int32_t lit = s->learned.at[0];
    if (!same && s->value[lit] == OPEN) assign(s, lit, first, level_of_rest(s, &s->learned));
    if (s->conflicts >= s->next_cut) {
        forget(s);
        s->next_cut = s->conflicts + 2000 + s->conflicts / 10;
    }
    return TURNED;
}

/* The first learned unit that is false, after all that are open have been assigned. */
static const int32_t *assign_units(Search *s) {
    for (int i = 0; i < s->units.len; i++) {
        int32_t lit = s->units.at[i];
        if (s->value[lit] == OPEN) assign(s, lit, 0, 0);
        if (s->value[lit] == FALSE) return &s->units.at[i];
    }
    return NULL;
}

/* Draws conclusions on the last level until they contradict nothing; false where nothing is left. */
static int settle(Search *s) {
    for (;;) {
        int len = 1;
        const int32_t *wrong = assign_units(s);
        if (!wrong) wrong = propagate(s, &len);
        if (!wrong) {
            take_apart(s);
            return 1;
        }
        Outcome outcome = resolve(s, wrong, len);
        if (outcome != TURNED) return outcome == CLOSED;
    }
}

static void decide(Search *s) {
    int part = s->n_parts - 1;
    Level *above = &s->levels[s->n_levels - 1];
    if (s->n_parts - above->parts > above->opened) above->opened = s->n_parts - above->parts;
    int32_t lit = choose(s, &s->parts[part]);
    push_level(s, part);
    s->levels[s->n_levels - 1].decision = lit;
    s->decisions++;
    assign(s, lit, 0, s->n_levels - 1);
}

/* The root: one part of all variables. */
static void begin(Search *s) {
    Part all = {.at = 0, .n = s->n};
    for (int v = 0; v < s->n; v++) ints_push(&s->pool, v);
    for (int i = 0; i < s->f->m; i++)
        if (s->f->clauses[i].len > 2 || s->f->clauses[i].factor != 0) ints_push(&s->pool, i), all.m++;
    s->parts = grab(sizeof(Part) * 64), s->cap_parts = 64, s->n_parts = 1;
    s->parts[0] = all;
    push_level(s, 0);
}

/* The share of all ways that lies behind, were all branches and all parts alike. */
static double share_done(const Search *s) {
    double done = 0, span = 1;
    for (int i = 1; i < s->n_levels; i++) {
        const Level *l = &s->levels[i], *above = l - 1;
        span /= above->opened;
        done += span * (above->opened - (l->part + 1 - above->parts));
        span /= 2;
        if (l->branch == 1) done += span;
    }
    return done;
}

static int is_late(Search *s) {
    if (s->work < s->look) return 0;
    s->look = s->work + LOOK;
    if (s->shown) s->shown[0] = (double)s->decisions, s->shown[1] = share_done(s);
    return now_seconds() > s->end;
}

int search(Search *s, Number *total) {
    begin(s);
    int more = settle(s);
    while (more) {
        Level *l = &s->levels[s->n_levels - 1];
        if (s->work > s->most_work || is_late(s)) return OUT_OF_WORK;
        if (trace_bytes(&s->trace) > s->trace.most) return OUT_OF_ROOM;
        if (s->n_parts > l->parts) {
            decide(s);
            more = settle(s);
        } else if (s->n_levels == 1) {
            break;
        } else {
            l->value[l->branch] = l->product;
            l->sum = number_plus(l->sum, l->product);
            if (l->branch == 1 || (s->any && l->sum.m > 0)) {
                close_part(s);
            } else {
                turn(s, s->n_levels - 1, 0, s->n_levels - 1);
                more = settle(s);
            }
        }
    }
    Level *root = &s->levels[0];
    *total = more ? number_times(root->product, s->f->constant) : (Number){0, 0};
    root->sum = root->value[0] = root->product;
    if (more) trace_close(s, root);
    return SOLVED;
}
