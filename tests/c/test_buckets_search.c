/* Tests of buckets_search.c, buckets_frontier.c, buckets_ladder.c, buckets_tree.c: the best states are those of plain loops over all joint
 * states, in order and without repeats, and what is not found, for want of nodes or memory, is bounded. */
#include "buckets_models.h"
#include "buckets_search.h"

enum { N_TOLD = STOPPED + 1 };

/* A case, how many of its variables are chosen, and log of the sum over the others for each joint state; `chosen` is the
 * state itself where all are. */
typedef struct {
    Case c;
    int n_max;
    double *temperatures;
    long double *values;
    uint8_t *first; /* of the joint states with the same choice */
} Choice;

static Choice random_choice(int n, int m, int kind, int64_t limit, int all) {
    Choice o = {.c = random_case(n, m, 3, kind, limit)};
    const Model *model = &o.c.model;
    int32_t x[MOST_VARIABLES];
    o.n_max = all ? n : random_below(n + 1);
    o.temperatures = TAKE(double, n), o.values = TAKE(long double, model->n_joint), o.first = TAKE(uint8_t, model->n_joint);
    for (int k = 0; k < n; k++) o.temperatures[o.c.order[k]] = k < n - o.n_max;
    for (int64_t i = 0; i < model->n_joint; i++) {
        int64_t first = 0;
        states_of(model, i, x);
        for (int v = 0; v < n; v++) first = first * model->tables.sizes[v] + (o.temperatures[v] > 0 ? 0 : x[v]);
        if ((o.first[i] = first == i)) o.values[i] = 0;
        o.values[first] += weight_of(&model->tables, x);
    }
    for (int64_t i = 0; i < model->n_joint; i++) o.values[i] = o.first[i] ? logl(o.values[i]) : -INFINITY;
    return o;
}

static int64_t number_of(const Choice *o, const int32_t *state) {
    int64_t at = 0;
    for (int v = 0; v < o->c.model.tables.n; v++) at = at * o->c.model.tables.sizes[v] + (state[v] < 0 ? 0 : state[v]);
    return at;
}

typedef struct {
    double *values, told[N_TOLD];
    int32_t *rows, *states;
    int n;
} Answer;

/* Whom the search asks what a leaf is worth. */
static const Choice *asked;
static Answer *answered;
static int n_asked, n_refused;

static void worth(void *question) {
    ((Question *)question)->made = !n_refused;
    if (isnan(answered->told[LEAF])) return;
    const int32_t *leaf = answered->states + (int64_t)answered->n * asked->c.model.tables.n;
    double value = (double)asked->values[number_of(asked, leaf)];
    CHECK(value <= answered->told[LEAF] + 1e-9 * (1 + fabs(value)));
    answered->told[VALUE] = value, n_asked++;
}

static Answer room_for(const Choice *o, int k) {
    int n = o->c.model.tables.n;
    Answer a = {TAKE(double, k), {0}, TAKE(int32_t, k), TAKE(int32_t, (k + 1) * n), k};
    a.told[LEAF] = NAN;
    return a;
}

static int by_parts;
static double ask_at = INFINITY;

static int searched(const Choice *o, const Found *f, Answer *a, const double *terms, double lower, Caller caller) {
    double floor[] = {lower, ask_at};
    asked = o, answered = a;
    memset(a->told + LOOKS, 0, 2 * sizeof(double));
    return buckets_search(GIVEN(&o->c), o->temperatures, f->weights, f->shifts, o->n_max, by_parts, terms, floor, a->values, a->rows,
                          a->states, a->told, caller);
}

/* What is found is what it says, in order, once each; what is not has no more than the bound. */
static void check_answer(const Choice *o, const Answer *a, double lower, int exact) {
    int64_t n_joint = o->c.model.n_joint, found = (int64_t)a->told[FOUND], above = 0;
    int n = o->c.model.tables.n;
    uint8_t *seen = ZEROS(uint8_t, n_joint);
    long double rest = -INFINITY;
    CHECK(found <= a->n);
    for (int64_t i = 0; i < found; i++) {
        const int32_t *state = a->states + (int64_t)a->rows[i] * n;
        int64_t at = number_of(o, state);
        for (int v = 0; v < n; v++) CHECK((state[v] < 0) == (o->temperatures[v] > 0));
        CHECK(!seen[at]++ && a->values[i] > lower && (!i || a->values[i] <= a->values[i - 1]));
        if (exact) CHECK_NEAR(a->values[i], o->values[at], 1e-11 * (1 + fabs(a->values[i])));
        else CHECK(a->values[i] >= o->values[at] - 1e-11 * (1 + fabs(a->values[i])));
    }
    for (int64_t i = 0; i < n_joint; i++)
        if (o->first[i] && !seen[i]) rest = fmaxl(rest, o->values[i]);
    CHECK(a->told[UPPER] >= rest);
    if (!(a->told[PROVEN] > 0) || !exact) return;
    double least = found == a->n ? a->values[a->n - 1] : lower, margin = 1e-9 * (1 + fabs(least));
    for (int64_t i = 0; i < n_joint; i++) above += o->first[i] && !seen[i] && o->values[i] > least + margin;
    CHECK(!above || (isinf(least) && rest == -INFINITY));
}

static int n_stopped, n_full, n_split, n_parts_stopped;

/* By parts the same is found as by the other search, or nothing above what is to be exceeded. */
static void check_parts(const Choice *o, const Found *f, double lower, double nodes) {
    double terms[] = {1, INFINITY, INFINITY, random_below(2) ? 1e9 : 0, 0, INFINITY};
    int exact = o->n_max == o->c.model.tables.n;
    Answer one = room_for(o, 1), other = room_for(o, 1);
    CHECK(!searched(o, f, &one, terms, lower, NULL));
    by_parts = 1;
    CHECK(!searched(o, f, &other, terms, lower, NULL));
    check_answer(o, &other, lower, exact);
    CHECK(one.told[PROVEN] > 0 && other.told[PROVEN] > 0 && one.told[FOUND] == other.told[FOUND]);
    if (one.told[FOUND] > 0) CHECK_NEAR(one.values[0], other.values[0], 1e-11 * (1 + fabs(one.values[0])));
    else CHECK(other.told[UPPER] <= (isinf(lower) ? lower : lower + 1e-9 * (1 + fabs(lower))));
    terms[2] = nodes;
    CHECK(!searched(o, f, &other, terms, lower, NULL));
    check_answer(o, &other, lower, exact);
    n_parts_stopped += !(other.told[PROVEN] > 0);
    by_parts = 0;
}

static void check(int n, int m, int kind, int64_t limit, int all) {
    Choice o = random_choice(n, m, kind, limit, all);
    Found f = found_at(&o.c, o.temperatures, random_below(4));
    static const int many[] = {1, 2, 20, 200};
    int k = many[random_below(4)], exact = o.n_max == n;
    double nodes = random_below(3) ? INFINITY : random_below(40), bytes = random_below(2) ? 1e9 : random_below(30000);
    double lower = random_below(2) || !(f.told[0] > -1e9) ? -INFINITY : f.told[0] - 3 * random_unit();
    double terms[] = {k, INFINITY, nodes, bytes, 0, INFINITY};
    Answer a = room_for(&o, k);
    CHECK(!searched(&o, &f, &a, terms, lower, NULL));
    check_answer(&o, &a, lower, exact);
    CHECK(a.told[PROVEN] > 0 || isfinite(nodes));
    n_stopped += !(a.told[PROVEN] > 0), n_full += bytes < 24000 && a.told[NODES] > 2 * n, n_split += f.priced[SPLIT_BUCKETS] > 0;
    check_parts(&o, &f, lower, nodes);
    terms[4] = 1;
    CHECK(!searched(&o, &f, &a, terms, lower, worth));
    check_answer(&o, &a, lower, 1);
    terms[2] = INFINITY, lower = -INFINITY;
    CHECK(!searched(&o, &f, &a, terms, lower, worth) && a.told[PROVEN] > 0);
    check_answer(&o, &a, lower, 1);
    release();
}

void region_patience(double seconds);

static int n_looks;

static void raises(void *question) {
    ((Question *)question)->made = 1, n_looks++;
    ask_at = INFINITY;
}

/* What is stopped after some looks is the same again, whoever is asked meanwhile. */
static void check_looks(const Choice *o, const Found *f, int k) {
    double terms[] = {k, INFINITY, INFINITY, 1e9, 0, 1};
    Answer a = room_for(o, k), b = room_for(o, k);
    CHECK(!searched(o, f, &a, terms, -INFINITY, NULL) && a.told[STOPPED] > 0 && a.told[LOOKS] == 1);
    check_answer(o, &a, -INFINITY, 1);
    n_looks = 0, ask_at = 1;
    CHECK(!searched(o, f, &b, terms, -INFINITY, raises) && n_looks == 1 && b.told[LOOKS] == 1);
    CHECK(a.told[NODES] == b.told[NODES] && a.told[UPPER] == b.told[UPPER] && a.told[FOUND] == b.told[FOUND]);
    for (int i = 0; i < (int)a.told[FOUND]; i++) CHECK(a.values[i] == b.values[i]);
}

/* One of at least so many joint states, all variables chosen. */
static Choice choice_of(int least, Found *f) {
    Choice o;
    do {
        release();
        o = random_choice(8, 14, POSITIVE, 1, 1), *f = found_at(&o.c, o.temperatures, 0);
    }
    while (o.c.model.n_joint < least || o.c.model.n_joint > least + least / 9 || !(f->priced[SPLIT_BUCKETS] > 2));
    return o;
}

/* What is given up still says what it has found. */
static void check_given_up(void) {
    Found f;
    Choice o = choice_of(18000, &f);
    int k = (int)o.c.model.n_joint;
    double terms[] = {k, INFINITY, INFINITY, 1e9, 0, INFINITY};
    Answer a = room_for(&o, k);
    region_patience(0), n_refused = 1;
    CHECK(searched(&o, &f, &a, terms, -INFINITY, worth) == GIVEN_UP);
    n_refused = 0;
    a.told[PROVEN] = 0;
    CHECK(a.told[FOUND] > 0);
    check_answer(&o, &a, -INFINITY, 1);
    region_patience(0.02);
    terms[1] = 0;
    CHECK(!searched(&o, &f, &a, terms, -INFINITY, NULL) && !(a.told[PROVEN] > 0));
    check_answer(&o, &a, -INFINITY, 1);
    terms[1] = INFINITY;
    check_looks(&o, &f, k);
    f.weights[0] = NAN;
    CHECK(!searched(&o, &f, &a, terms, -INFINITY, NULL) && !(a.told[PROVEN] > 0) && a.told[UPPER] == INFINITY);
    release();
}

/* What fails for want of memory too, and all are found where there is enough; most grow beyond what they begin with. */
static void check_runs_out(void) {
    Found f;
    Choice o = choice_of(4500, &f);
    int k = (int)o.c.model.n_joint;
    double terms[] = {1, INFINITY, INFINITY, 1e9, 0, INFINITY};
    Answer a = room_for(&o, k), one = room_for(&o, 1);
    by_parts = 1;
    RUNS_OUT(searched(&o, &f, &one, terms, -INFINITY, NULL), NO_MEMORY, 0);
    check_answer(&o, &one, -INFINITY, 1);
    by_parts = 0, terms[0] = k;
    RUNS_OUT(searched(&o, &f, &a, terms, -INFINITY, NULL), NO_MEMORY, 0);
    CHECK(a.told[FOUND] == k && a.told[PROVEN] > 0 && a.told[UPPER] == -INFINITY);
    check_answer(&o, &a, -INFINITY, 1);
    release();
}

int main(void) {
    static const int64_t limits[] = {1, 2, 8, 1 << 20};
    for (int l = 0; l < LENGTH(limits); l++)
        for (int kind = 0; kind < KINDS; kind++)
            for (int i = 0; i < 16; i++) {
                check(random_below(6), random_below(9), kind, limits[l], i % 2);
                check(4 + random_below(5), 6 + random_below(9), kind, limits[l], i % 2);
            }
    check_given_up();
    check_runs_out();
    CHECK(n_split > 60 && n_stopped > 6 && n_full > 3 && n_asked > 300 && n_parts_stopped > 6);
    return 0;
}
