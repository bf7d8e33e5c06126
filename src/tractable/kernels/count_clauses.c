/* Tables as clauses: a tree of cuts takes a table apart into boxes of equal entries. The value that most entries have
 * is a constant; a box of another value is a clause with its ratio to that, a box of zeros one without. */
#include "count.h"

enum { MOST_STATES = 64, MOST_AXES = 32, MOST_VALUES = 1 << 14, MOST_ENTRIES = 1 << 20, MOST_BINARY = 1 << 22 };
enum { PIECE = 1 << 12 }; /* entries between two looks at the caller */

typedef struct {
    int nd, n_classes, base, widest; /* the most states of an axis */
    const int32_t *sizes, *first; /* of the axes */
    int64_t stride[MOST_AXES], size;
    int32_t *class;      /* of each entry */
    double *value;       /* of each class, sorted */
    int64_t *tally;      /* of classes in slices, [axis][state][class], and in the box */
    uint64_t box[MOST_AXES];
    Formula *f;
} Cutting;

void formula_add(Formula *f, const int32_t *lits, int len, double factor) {
    if (len == 0) {
        f->constant = number_of(f->constant, factor);
        if (factor == 0) f->impossible = 1;
        return;
    }
    if (f->m == f->cap) {
        Clause *old = f->clauses;
        f->cap = f->cap ? 2 * f->cap : 64;
        f->clauses = grab(sizeof(Clause) * (size_t)f->cap);
        if (old) memcpy(f->clauses, old, sizeof(Clause) * (size_t)f->m);
        drop(old);
    }
    f->clauses[f->m++] = (Clause){f->pool.len, len, factor};
    for (int i = 0; i < len; i++) ints_push(&f->pool, lits[i]);
}

static uint64_t all_states(int size) { return size == 64 ? ~0ull : (1ull << size) - 1; }

/* Calls `see` with each entry of the box until it says stop. */
#define FOR_BOX(c, entry, states)                                                             \
    for (int states[MOST_AXES], more_ = box_first(c, states, &(entry)); more_; more_ = box_next(c, states, &(entry)))

static int box_first(const Cutting *c, int *states, int64_t *entry) {
    *entry = 0;
    for (int i = 0; i < c->nd; i++) {
        states[i] = __builtin_ctzll(c->box[i]);
        *entry += states[i] * c->stride[i];
    }
    return 1;
}

static int box_next(const Cutting *c, int *states, int64_t *entry) {
    for (int i = c->nd - 1; i >= 0; i--) {
        uint64_t above = states[i] < 63 ? c->box[i] >> (states[i] + 1) << (states[i] + 1) : 0;
        int to = above ? __builtin_ctzll(above) : __builtin_ctzll(c->box[i]);
        *entry += (to - states[i]) * c->stride[i];
        states[i] = to;
        if (above) return 1;
    }
    return 0;
}

/* The clause that is false in the box alone. */
static void add_box(Cutting *c, double factor) {
    int32_t lits[MOST_AXES * MOST_STATES];
    int len = 0;
    for (int i = 0; i < c->nd; i++) {
        uint64_t in = c->box[i], out = all_states(c->sizes[i]) & ~in;
        if (!out) continue;
        if (!(in & (in - 1)) && c->sizes[i] > 2) {
            lits[len++] = literal_of(c->sizes[i], c->first[i], __builtin_ctzll(in)) ^ 1;
            continue;
        }
        for (; out; out &= out - 1) lits[len++] = literal_of(c->sizes[i], c->first[i], __builtin_ctzll(out));
    }
    formula_add(c->f, lits, len, factor);
}

static int all_zero(const Cutting *c) {
    int64_t entry;
    FOR_BOX(c, entry, states) {
        if (c->value[c->class[entry]] != 0) return 0;
        if (!(~entry & (PIECE - 1))) region_worked(4 * PIECE);
    }
    return 1;
}

/* A box of zeros as large as it can be. */
static void add_zeros(Cutting *c) {
    uint64_t kept[MOST_AXES];
    memcpy(kept, c->box, sizeof kept);
    for (int i = 0; i < c->nd; i++) {
        uint64_t own = c->box[i];
        c->box[i] = all_states(c->sizes[i]);
        if (own == c->box[i] || all_zero(c)) continue;
        c->box[i] = own;
        for (uint64_t out = all_states(c->sizes[i]) & ~own; out; out &= out - 1) {
            uint64_t before = c->box[i];
            c->box[i] |= out & -out;
            if (!all_zero(c)) c->box[i] = before;
        }
    }
    add_box(c, 0);
    memcpy(c->box, kept, sizeof kept);
}

/* Counts classes in all slices of the box; returns the only class there is, or -1. */
static int tally(Cutting *c) {
    int64_t slices = (int64_t)c->nd * c->widest * c->n_classes, *whole = c->tally + slices;
    memset(c->tally, 0, sizeof(int64_t) * (size_t)(slices + c->n_classes));
    int64_t entry, n = 0;
    int one = -1;
    FOR_BOX(c, entry, states) {
        int k = c->class[entry];
        one = n++ == 0 || one == k ? k : -2;
        if (!(n & (PIECE - 1))) region_worked((4 + c->nd) * PIECE);
        whole[k]++;
        for (int i = 0; i < c->nd; i++) c->tally[(i * c->widest + states[i]) * c->n_classes + k]++;
    }
    return one;
}

/* Where to cut: the state that, taken by itself, leaves both sides purest. */
static void best_cut(const Cutting *c, int *axis, int *state) {
    const int64_t *whole = c->tally + (int64_t)c->nd * c->widest * c->n_classes;
    double best = -1;
    for (int i = 0; i < c->nd; i++) {
        if (!(c->box[i] & (c->box[i] - 1))) continue;
        for (uint64_t left = c->box[i]; left; left &= left - 1) {
            int s = __builtin_ctzll(left);
            double in = 0, out = 0, n_in = 0, n_out = 0;
            for (int k = 0; k < c->n_classes; k++) {
                double a = (double)c->tally[(i * c->widest + s) * c->n_classes + k], b = (double)whole[k] - a;
                in += a * a, n_in += a, out += b * b, n_out += b;
            }
            double score = in / n_in + out / n_out;
            if (score > best + 1e-9) best = score, *axis = i, *state = s;
        }
    }
}

/* a / b; where it vanishes without being zero the formula is too extreme. */
static double quotient(Formula *f, double a, double b) {
    double found = a / b;
    if (a != 0 && found == 0) f->extreme = 1;
    return found;
}

/* How much less, or more, an entry is than most. */
static double ratio(const Cutting *c, int class) {
    double r = 1;
    formula_scale(c->f, &r, quotient(c->f, c->value[class], c->value[c->base]));
    return r;
}

static void cut(Cutting *c) {
    int one = tally(c), axis = 0, state = 0;
    region_worked(16 + c->nd * c->n_classes);
    if (one >= 0) {
        if (one == c->base) return;
        if (c->value[one] == 0) add_zeros(c);
        else add_box(c, ratio(c, one));
        return;
    }
    best_cut(c, &axis, &state);
    uint64_t own = c->box[axis];
    c->box[axis] = 1ull << state;
    cut(c);
    c->box[axis] = own & ~(1ull << state);
    cut(c);
    c->box[axis] = own;
}

/* Where hardly two entries are alike, each is a box. */
static void cut_all(Cutting *c) {
    for (int64_t e = 0; e < c->size; e++) {
        if (c->class[e] == c->base) continue;
        for (int i = 0; i < c->nd; i++) c->box[i] = 1ull << (e / c->stride[i] % c->sizes[i]);
        if (c->value[c->class[e]] == 0) add_zeros(c);
        else add_box(c, ratio(c, c->class[e]));
        region_worked(c->nd);
    }
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* Values met, and 2^bits slots with their numbers, or -1. */
typedef struct {
    int32_t *slots;
    double *met;
    int bits;
} Values;

/* Where a value is among those met, or would be. */
static int32_t *slot_of(const Values *v, double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof x);
    uint64_t at = bits * 0x9E3779B97F4A7C15u >> (64 - v->bits);
    while (v->slots[at] >= 0 && v->met[v->slots[at]] != x) at = (at + 1) & ((1ull << v->bits) - 1);
    return &v->slots[at];
}

/* Numbers the values that a table has, the smallest first; the base is the one that most entries other than zeros have.
 * False where they are too many. */
static int classify(Cutting *c, const double *values) {
    size_t room = (size_t)(c->size < MOST_VALUES ? c->size : MOST_VALUES) + 1;
    Values v = {.bits = 2, .met = grab(sizeof(double) * room)};
    while (1ull << v.bits < 2 * room) v.bits++;
    v.slots = memset(grab(sizeof(int32_t) << v.bits), -1, sizeof(int32_t) << v.bits);
    int32_t *rank = grab(sizeof(int32_t) * room);
    int64_t *count = grab_zeroed(room, sizeof(int64_t)), most = 0;
    c->value = grab(sizeof(double) * room), c->class = grab(sizeof(int32_t) * (size_t)c->size);
    c->n_classes = 0, c->base = -1;
    for (int64_t i = 0; i < c->size && c->n_classes <= MOST_VALUES; i++) {
        double x = values[i] + 0.0; /* no negative zero */
        int32_t *slot = slot_of(&v, x);
        if (*slot < 0) v.met[*slot = c->n_classes++] = x;
        count[c->class[i] = *slot]++;
        if (!(~i & (PIECE - 1))) region_worked(2 * PIECE);
    }
    int fits = c->n_classes <= MOST_VALUES;
    memcpy(c->value, v.met, sizeof(double) * (size_t)c->n_classes);
    qsort(c->value, (size_t)c->n_classes, sizeof(double), by_value);
    for (int k = 0; k < c->n_classes && fits; k++) {
        int32_t old = *slot_of(&v, c->value[k]);
        rank[old] = k;
        if (count[old] > most && c->value[k] > 0) most = count[old], c->base = k;
    }
    IN_PIECES(i, fits ? c->size : 0, 1) c->class[i] = rank[c->class[i]];
    drop(v.slots), drop(v.met), drop(rank), drop(count);
    return fits;
}

static int add_table(Formula *f, const Tables *t, int j, const int32_t *first) {
    Cutting c = {.f = f, .nd = (int)(t->starts[j + 1] - t->starts[j]), .size = 1};
    int32_t sizes[MOST_AXES], own[MOST_AXES];
    if (c.nd > MOST_AXES || t->value_starts[j + 1] - t->value_starts[j] > MOST_ENTRIES) return 0;
    for (int i = c.nd - 1; i >= 0; i--) {
        int v = t->scopes[t->starts[j] + i];
        sizes[i] = t->sizes[v], own[i] = first[v];
        c.box[i] = all_states(sizes[i]);
        c.stride[i] = c.size;
        if (sizes[i] > c.widest) c.widest = sizes[i];
        c.size *= sizes[i];
    }
    c.sizes = sizes, c.first = own;
    const double *values = t->values + t->value_starts[j];
    if (!classify(&c, values)) return 0;
    if (c.base < 0) {
        f->impossible = 1;
    } else if (c.nd == 1) {
        double most = c.value[c.n_classes - 1];
        f->constant = number_of(f->constant, most);
        for (int s = 0; s < sizes[0] && sizes[0] > 1; s++)
            formula_scale(f, &f->weight[literal_of(sizes[0], own[0], s)], quotient(f, values[s], most));
    } else {
        f->constant = number_of(f->constant, c.value[c.base]);
        if (2 * c.n_classes > c.size) {
            cut_all(&c);
        } else {
            c.tally = grab(sizeof(int64_t) * ((size_t)c.nd * (size_t)c.widest + 1) * (size_t)c.n_classes);
            cut(&c);
            drop(c.tally);
        }
    }
    drop(c.class), drop(c.value);
    return 1;
}

/* Exactly one of the literals of a variable with more than two states is true. */
static void add_one_of(Formula *f, int size, int32_t first) {
    int32_t lits[MOST_STATES] = {0};
    for (int s = 0; s < size; s++) lits[s] = 2 * (first + s);
    formula_add(f, lits, size, 0);
    for (int a = 0; a < size; a++)
        for (int b = 0; b < a; b++) formula_add(f, (int32_t[]){lits[a] ^ 1, lits[b] ^ 1}, 2, 0);
}

int formula_of_tables(Formula *f, const Tables *t, int32_t *first) {
    *f = (Formula){.constant = {1, 0}};
    int64_t binary = 0;
    for (int v = 0; v < t->n; v++) {
        first[v] = f->n;
        f->n += t->sizes[v] == 2 ? 1 : t->sizes[v];
        binary += (int64_t)t->sizes[v] * t->sizes[v] / 2;
        if (t->sizes[v] > MOST_STATES || binary > MOST_BINARY) return 0;
    }
    f->weight = grab(sizeof(double) * (size_t)(2 * f->n + 1));
    for (int l = 0; l < 2 * f->n; l++) f->weight[l] = 1;
    for (int v = 0; v < t->n; v++)
        if (t->sizes[v] > 2) add_one_of(f, t->sizes[v], first[v]);
        else if (t->sizes[v] == 1) formula_add(f, (int32_t[]){2 * first[v]}, 1, 0);
    for (int j = 0; j < t->m; j++)
        if (!add_table(f, t, j, first)) return 0;
    return 1;
}
