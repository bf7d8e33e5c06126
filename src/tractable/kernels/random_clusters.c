/* Exact, independent draws of the spins of a ferromagnet by coupling from the past (Propp & Wilson 1996).
 *
 * Bonds are open or closed: random clusters with q = 2 (Fortuin & Kasteleyn 1972), from which spins follow by a fair
 * coin for each cluster (Edwards & Sokal 1988). A bond drawn given all others is open with probability `high` if its
 * ends are connected without it, else `low` < `high`, so that with the same random number more open bonds lead to more.
 * Chains that begin with all bonds open and with none, ever further in the past, therefore enclose all others: where
 * they have met at time zero, they are where a chain from the infinite past is.
 *
 * A field is a bond to the last vertex, the ghost, whose spin is up. Between `low` and `high` alone one has to ask who
 * is connected: both ends look for one another, step by step, so that the smaller cluster says no. */
#include "kernels.h"

typedef struct {
    int64_t n, m;             /* vertices with the ghost, bonds */
    const int32_t *ends;      /* [m][2], different from one another */
    const double *low, *high; /* [m] */
    uint64_t seed;
    int64_t limit; /* bonds visited and steps of searches in one draw, after which the call returns 1 */
    int8_t *spins; /* [draws][n - 1], -1 or 1 */
    int64_t *work; /* [draws] what each took */
} Ferromagnet;

typedef struct {
    int32_t to, bond;
} Slot;

/* The open bonds, at each vertex as a list without order. */
typedef struct {
    int32_t *degree; /* [n] */
    Slot *slots;     /* [2m], those of a vertex from its `start` on */
    int32_t *place;  /* [m][2] where a bond is in the lists of its ends; -1: it is closed */
} Open;

typedef struct {
    const Ferromagnet *a;
    int64_t *start; /* [n + 1] */
    Open lower, upper;
    int64_t n_different; /* bonds that are open in the upper chain alone */
    int64_t *mark;       /* [n] who has seen a vertex, in which search */
    int32_t *queue[2];   /* [n] what each side has seen, in order */
    int64_t stamp, work;
} Chains;

static uint64_t mixed(uint64_t x) {
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return x ^ (x >> 31);
}

/* Random bits are a function of key and number. */
static uint64_t bits_of(uint64_t key, int64_t number) { return mixed(key + (uint64_t)(number + 1) * 0x9E3779B97F4A7C15u); }

static void open_bonds(const Ferromagnet *a, Open *o) {
    o->degree = grab(sizeof(int32_t) * (size_t)a->n);
    o->slots = grab(sizeof(Slot) * (size_t)(2 * a->m));
    o->place = grab(sizeof(int32_t) * (size_t)(2 * a->m));
}

static void begin(Chains *c, const Ferromagnet *a) {
    *c = (Chains){.a = a};
    c->start = grab_zeroed((size_t)(a->n + 1), sizeof(int64_t));
    for (int64_t i = 0; i < 2 * a->m; i++) c->start[a->ends[i] + 1]++;
    for (int64_t v = 0; v < a->n; v++) c->start[v + 1] += c->start[v];
    open_bonds(a, &c->lower), open_bonds(a, &c->upper);
    c->mark = grab_zeroed((size_t)a->n, sizeof(int64_t));
    for (int side = 0; side < 2; side++) c->queue[side] = grab(sizeof(int32_t) * (size_t)a->n);
}

static void open_bond(const Chains *c, Open *o, int64_t bond) {
    const int32_t *ends = c->a->ends + 2 * bond;
    for (int side = 0; side < 2; side++) {
        int32_t at = o->degree[ends[side]]++;
        o->slots[c->start[ends[side]] + at] = (Slot){ends[!side], (int32_t)bond};
        o->place[2 * bond + side] = at;
    }
}

static void close_bond(const Chains *c, Open *o, int64_t bond) {
    const int32_t *ends = c->a->ends + 2 * bond;
    for (int side = 0; side < 2; side++) {
        Slot *own = o->slots + c->start[ends[side]];
        int32_t at = o->place[2 * bond + side];
        Slot last = own[at] = own[--o->degree[ends[side]]];
        o->place[2 * last.bond + (c->a->ends[2 * last.bond + 1] == ends[side])] = at;
        o->place[2 * bond + side] = -1;
    }
}

static int is_open(const Open *o, int64_t bond) { return o->place[2 * bond] >= 0; }

static void set_bond(const Chains *c, Open *o, int64_t bond, int open) {
    if (open == is_open(o, bond)) return;
    if (open) open_bond(c, o, bond);
    else close_bond(c, o, bond);
}

static void set_all(Chains *c, Open *o, int open) {
    memset(o->degree, 0, sizeof(int32_t) * (size_t)c->a->n);
    memset(o->place, -1, sizeof(int32_t) * (size_t)(2 * c->a->m));
    for (int64_t bond = 0; open && bond < c->a->m; bond++) open_bond(c, o, bond);
}

/* Whether a path of open bonds joins two vertices; the sides look at one bond each in turn. */
static int connected(Chains *c, const Open *o, int32_t from, int32_t to) {
    int64_t at[2] = {0, 0}, seen[2] = {1, 1}, slot[2] = {0, 0}, stamp = c->stamp += 2;
    c->queue[0][0] = from, c->queue[1][0] = to;
    c->mark[from] = stamp, c->mark[to] = stamp + 1;
    for (int side = 0;; side ^= 1) {
        int32_t *queue = c->queue[side];
        for (; at[side] < seen[side] && slot[side] == o->degree[queue[at[side]]]; at[side]++) slot[side] = 0;
        if (at[side] == seen[side]) return 0;
        int32_t v = o->slots[c->start[queue[at[side]]] + slot[side]++].to;
        c->work++;
        if (c->mark[v] == stamp + !side) return 1;
        if (c->mark[v] == stamp + side) continue;
        c->mark[v] = stamp + side;
        queue[seen[side]++] = v;
    }
}

static int joined(Chains *c, const Open *o, int64_t bond) {
    return connected(c, o, c->a->ends[2 * bond], c->a->ends[2 * bond + 1]);
}

/* A bond that is open if its ends are connected without it; the chains that have met are one. */
static void ask(Chains *c, int64_t bond) {
    int64_t before = c->work;
    int met = !c->n_different, differed = is_open(&c->upper, bond) != is_open(&c->lower, bond), low = 0;
    if (!met) {
        set_bond(c, &c->lower, bond, 0);
        low = joined(c, &c->lower, bond);
        set_bond(c, &c->lower, bond, low);
    }
    set_bond(c, &c->upper, bond, 0);
    int high = low || joined(c, &c->upper, bond);
    set_bond(c, &c->upper, bond, high);
    if (!met) c->n_different += (high != low) - differed;
    region_worked(4 * (c->work - before));
}

/* All bonds drawn once; 0 where that took too much. */
static int sweep(Chains *c, uint64_t key) {
    const Ferromagnet *a = c->a;
    IN_PIECES(bond, a->m, 4) {
        double u = (double)(bits_of(key, bond) >> 11) * 0x1p-53;
        if (u >= a->low[bond] && u < a->high[bond]) {
            ask(c, bond);
            if (c->work > a->limit) return 0;
            continue;
        }
        int open = u < a->low[bond];
        if (c->n_different) {
            c->n_different -= is_open(&c->upper, bond) != is_open(&c->lower, bond);
            set_bond(c, &c->lower, bond, open);
        }
        set_bond(c, &c->upper, bond, open);
    }
    c->work += a->m;
    return c->work <= a->limit;
}

/* Where the chains are at time zero that have met there; 0 where that took too much. */
static int from_the_past(Chains *c, uint64_t key) {
    for (int64_t begun = 1;; begun *= 2) {
        set_all(c, &c->lower, 0), set_all(c, &c->upper, 1);
        c->n_different = c->a->m;
        for (int64_t before = begun; before > 0; before--)
            if (!sweep(c, bits_of(key, before))) return 0;
        if (!c->n_different) return 1;
    }
}

/* The cluster of a vertex gets its spin. */
static void paint(Chains *c, int32_t from, int8_t spin, int8_t *spins) {
    int32_t *queue = c->queue[0];
    int64_t seen = 1;
    queue[0] = from, c->mark[from] = c->stamp;
    for (int64_t at = 0; at < seen; at++) {
        int32_t v = queue[at];
        if (v < c->a->n - 1) spins[v] = spin;
        for (int32_t k = 0; k < c->upper.degree[v]; k++) {
            int32_t next = c->upper.slots[c->start[v] + k].to;
            if (c->mark[next] == c->stamp) continue;
            c->mark[next] = c->stamp;
            queue[seen++] = next;
        }
    }
}

static int draw(Chains *c, int64_t number) {
    const Ferromagnet *a = c->a;
    uint64_t key = mixed(bits_of(a->seed, number)), coins = bits_of(key, 0);
    c->work = 0;
    int found = from_the_past(c, key);
    a->work[number] = c->work;
    if (!found) return 0;
    c->stamp += 2;
    int8_t *spins = a->spins + number * (a->n - 1);
    paint(c, (int32_t)(a->n - 1), 1, spins);
    for (int32_t v = 0; v < a->n - 1; v++)
        if (c->mark[v] != c->stamp) paint(c, v, bits_of(coins, v) >> 63 ? 1 : -1, spins);
    return 1;
}

/* The draws with numbers from `first` to before `last`; 1 where one of them took more than the limit. */
EXPORT int random_clusters(const Ferromagnet *a, int64_t first, int64_t last, Caller caller) {
    REGION(caller)
    Chains c;
    begin(&c, a);
    int beyond = 0;
    for (int64_t number = first; number < last && !beyond; number++) beyond = !draw(&c, number);
    region_leave();
    return beyond;
}
