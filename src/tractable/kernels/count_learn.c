/* What a contradiction teaches: the clause of its first dominator, and the one that turns its decision around. */
#include "count_search.h"

static void bump(Search *s, int32_t lit) {
    int v = lit >> 1;
    s->activity[v] += s->bump, s->side[lit] += s->bump;
    if (s->activity[v] < 1e100) return;
    for (int u = 0; u < s->n; u++) s->activity[u] *= 1e-100, s->side[2 * u] *= 1e-100, s->side[2 * u + 1] *= 1e-100;
    s->bump *= 1e-100;
}

/* What is still to be resolved: literals of the level at fault, and of lower ones that were found on it or above, which
 * will be open when the search goes on. */
typedef struct {
    int32_t level, from;
    int own, late;
} Met;

/* Notes the literals of a clause: those that stay are kept. */
static void gather(Search *s, const int32_t *lits, int len, Met *met) {
    for (int i = 0; i < len; i++) {
        int v = lits[i] >> 1;
        if (s->seen[v] || s->level[v] == 0) continue;
        s->seen[v] = 1;
        ints_push(&s->analysed, v);
        bump(s, lits[i]);
        if (s->level[v] == met->level) met->own++;
        else if (s->place[v] >= met->from) met->late++;
        else ints_push(&s->decided, lits[i]);
    }
}

/* Whether a literal follows from the others that are kept. */
static int follows(const Search *s, int32_t lit) {
    int32_t pair;
    int len;
    const int32_t *why = reason_of(s, lit ^ 1, &len, &pair);
    if (!why) return 0;
    for (int i = 0; i < len; i++)
        if (!s->seen[why[i] >> 1] && s->level[why[i] >> 1] > 0) return 0;
    return 1;
}

/* The clause of `head` and what was gathered, less what follows; the second literal is one of the highest level. */
static void make(Search *s, Ints *out, int32_t head) {
    out->len = 0;
    ints_push(out, head);
    for (int i = 0; i < s->decided.len; i++)
        if (!follows(s, s->decided.at[i])) ints_push(out, s->decided.at[i]);
    for (int i = 2; i < out->len; i++)
        if (s->level[out->at[i] >> 1] > s->level[out->at[1] >> 1]) {
            int32_t swap = out->at[1];
            out->at[1] = out->at[i], out->at[i] = swap;
        }
}

/* Leaves in `learned` the clause of the first dominator, in `decided` that of the decision. */
int analyse(Search *s, const int32_t *lits, int len) {
    int32_t level = 0, pair;
    for (int i = 0; i < len; i++)
        if (s->level[lits[i] >> 1] > level) level = s->level[lits[i] >> 1];
    if (level == 0) return 0;
    s->analysed.len = s->decided.len = s->learned.len = 0;
    Met met = {level, s->levels[level].trail, 0, 0};
    gather(s, lits, len, &met);
    for (int at = s->n_trail - 1;; at--) {
        int32_t lit = s->trail[at];
        if (!s->seen[lit >> 1]) continue;
        int own = s->level[lit >> 1] == level;
        if (own && met.own == 1 && !met.late && !s->learned.len) make(s, &s->learned, lit ^ 1);
        if (own && s->reason[lit >> 1] == 0) break;
        met.own -= own, met.late -= !own;
        const int32_t *why = reason_of(s, lit, &len, &pair);
        gather(s, why, len, &met);
    }
    Ints last = {0};
    make(s, &last, s->levels[level].decision ^ s->levels[level].branch ^ 1);
    drop(s->decided.at);
    s->decided = last;
    for (int i = 0; i < s->analysed.len; i++) s->seen[s->analysed.at[i]] = 0;
    s->bump /= 0.95;
    s->conflicts++;
    return level;
}

static int by_use(const void *a, const void *b) {
    const int32_t *x = a, *y = b;
    return x[1] != y[1] ? (x[1] > y[1] ? 1 : -1) : (x[2] < y[2]) - (x[2] > y[2]);
}

/* The clauses that may go, which join more than two levels and are no reason: where they are, levels, last use. */
static int32_t *candidates(Search *s, int *count) {
    int n = 0, k = 0;
    for (int32_t at = s->given; at < s->db.len; at += CLAUSE_HEAD + s->db.at[at]) n++;
    int32_t *found = grab(sizeof(int32_t) * 3 * (size_t)(n + 1));
    for (int32_t at = s->given; at < s->db.len; at += CLAUSE_HEAD + s->db.at[at]) {
        int32_t *c = s->db.at + at + CLAUSE_HEAD;
        int32_t lit = c[0];
        int used = (s->value[lit] == TRUE && s->reason[lit >> 1] == at + CLAUSE_HEAD) ||
                   (s->value[c[1]] == TRUE && s->reason[c[1] >> 1] == at + CLAUSE_HEAD);
        if (used || c[-2] <= 2) continue;
        found[3 * k] = at, found[3 * k + 1] = c[-2], found[3 * k + 2] = c[-1], k++;
    }
    *count = k;
    return found;
}

/* Learned clauses move together; reasons and watches follow. */
static void compact(Search *s) {
    int32_t to = s->given, next;
    for (int l = 0; l < 2 * s->n; l++) {
        Ints *w = &s->watch[l];
        int k = 0;
        for (int i = 0; i < w->len; i += 2)
            if (w->at[i] < s->given) w->at[k] = w->at[i], w->at[k + 1] = w->at[i + 1], k += 2;
        w->len = k;
    }
    for (int32_t at = s->given; at < s->db.len; at = next) {
        int len = s->db.at[at];
        next = at + CLAUSE_HEAD + abs(len);
        if (len < 0) continue;
        int32_t *c = s->db.at + at + CLAUSE_HEAD;
        for (int i = 0; i < 2; i++) {
            if (s->value[c[i]] == TRUE && s->reason[c[i] >> 1] == at + CLAUSE_HEAD)
                s->reason[c[i] >> 1] = to + CLAUSE_HEAD;
            ints_push(&s->watch[c[i]], to + CLAUSE_HEAD);
            ints_push(&s->watch[c[i]], c[1 - i]);
        }
        memmove(s->db.at + to, s->db.at + at, sizeof(int32_t) * (size_t)(next - at));
        to += next - at;
    }
    s->db.len = to;
}

/* Half of the learned clauses go, those first that join many levels and were not used lately. */
void forget(Search *s) {
    int n;
    int32_t *found = candidates(s, &n);
    qsort(found, (size_t)n, 3 * sizeof(int32_t), by_use);
    for (int i = n / 2; i < n; i++) s->db.at[found[3 * i]] *= -1;
    drop(found);
    compact(s);
}
