/* Tests of buckets.c, buckets_bound.c, buckets_draw.c: bounds, and weights of what is drawn under them, are those of plain
 * loops over all joint states; no bound is below log Z, and what is no state has none. */
#include "buckets_models.h"

static int n_split, n_zero, n_drawn, n_cut_off;

/* log Z by the sum over all joint states. */
static long double log_z_of(const Case *c) { return logl(sum_over(&c->model, NULL, NULL)); }

/* Weights and shifts that are none have no bound, and moved shifts pay for what they fail to sum to. */
static void check_tampered(const Case *c, const Found *f, long double log_z) {
    double told[3], w = f->weights[0];
    static const double no_weights[] = {0, -0.5, NAN, INFINITY, 1e-3};
    for (int i = 0; i < LENGTH(no_weights); i++) {
        f->weights[0] = no_weights[i];
        if (f->priced[N_PARTS] > 1 || i < 4) CHECK(isnan(bound_of(c, f->weights, f->shifts, told)));
    }
    f->weights[0] = w * 1.001;
    CHECK(isnan(bound_of(c, f->weights, f->shifts, told)));
    f->weights[0] = w * 0.999;
    CHECK(isnan(bound_of(c, f->weights, f->shifts, told)));
    f->weights[0] = w;
    if (!(f->priced[SHIFTS] > 0)) return;
    double *moved = TAKE(double, f->priced[SHIFTS]);
    for (int64_t i = 0; i < f->priced[SHIFTS]; i++) moved[i] = f->shifts[i] + 0.3 * random_normal();
    CHECK(bound_of(c, f->weights, moved, told) >= log_z);
    CHECK(log_z == -INFINITY || told[1] > 1e-6);
    moved[0] = NAN;
    CHECK(isnan(bound_of(c, f->weights, moved, told)));
    moved[0] = INFINITY;
    CHECK(isnan(bound_of(c, f->weights, moved, told)));
}

/* What a test of one state needs: its parts, and which variables are drawn where some are wanted. */
typedef struct {
    const Case *c;
    const Found *f;
    uint8_t *wanted, *drawn;
    double *proposal, *log_w, seed;
    int32_t *states;
} Sample;

enum { BATCHES = 6, DRAWS = BATCHES * BATCH };

static Sample sampled(const Case *c, const Found *f, const uint8_t *wanted) {
    Sample s = {.c = c, .f = f, .wanted = NULL, .seed = (double)random_below(1 << 20)};
    double priced[N_PRICED], told[2];
    int n = c->model.tables.n;
    CHECK(!buckets_price(GIVEN(c), wanted, priced, NULL));
    s.proposal = TAKE(double, priced[PROPOSAL]), s.log_w = TAKE(double, DRAWS), s.states = TAKE(int32_t, DRAWS * n);
    CHECK(!buckets_proposal(GIVEN(c), wanted, f->weights, f->shifts, s.proposal, told, NULL));
    CHECK(told[0] == f->told[0] && told[1] == f->told[1]);
    CHECK(!buckets_draw(GIVEN(c), wanted, f->weights, s.proposal, 0, BATCHES, (uint64_t)s.seed, s.log_w, 1, s.states, NULL));
    return s;
}

/* Batches are the same wherever the draws are cut. */
static void check_cuts(const Case *c, const Sample *s, const uint8_t *wanted) {
    int cut = 1 + random_below(BATCHES - 1), n = 0;
    for (int v = 0; v < c->model.tables.n; v++) n += wanted && wanted[v];
    double *log_w = TAKE(double, DRAWS);
    int32_t *first = TAKE(int32_t, n * cut * BATCH), *rest = TAKE(int32_t, n * (BATCHES - cut) * BATCH);
    uint64_t seed = (uint64_t)s->seed;
    CHECK(!buckets_draw(GIVEN(c), wanted, s->f->weights, s->proposal, 0, cut, seed, log_w, 1, first, NULL));
    CHECK(!buckets_draw(GIVEN(c), wanted, s->f->weights, s->proposal, cut, BATCHES - cut, seed, log_w + cut * BATCH, 1, rest,
                        NULL));
    CHECK(!memcmp(log_w, s->log_w, sizeof(double) * DRAWS));
    uint8_t *bytes = TAKE(uint8_t, n * DRAWS);
    CHECK(!buckets_draw(GIVEN(c), wanted, s->f->weights, s->proposal, 0, BATCHES, seed, log_w, 0, bytes, NULL));
    CHECK(!memcmp(log_w, s->log_w, sizeof(double) * DRAWS));
    for (int64_t i = 0; i < (int64_t)n * DRAWS; i++) CHECK(bytes[i] == s->states[i]);
    for (int k = 0; k < n; k++) {
        const int32_t *all = s->states + (int64_t)k * DRAWS;
        CHECK(!memcmp(all, first + k * cut * BATCH, sizeof(int32_t) * (size_t)(cut * BATCH)));
        CHECK(!memcmp(all + cut * BATCH, rest + (int64_t)k * (BATCHES - cut) * BATCH,
                      sizeof(int32_t) * (size_t)((BATCHES - cut) * BATCH)));
    }
}

/* Number of a joint state of the variables that are drawn. */
static int64_t number_of(const Tables *t, const uint8_t *drawn, const int32_t *x) {
    int64_t at = 0;
    for (int v = 0; v < t->n; v++) at = drawn[v] ? at * t->sizes[v] + x[v] : at;
    return at;
}

/* By these numbers the sums over what is not drawn. */
static long double *sums_of_rest(const Case *c, const uint8_t *drawn) {
    int32_t x[MOST_VARIABLES];
    long double *sums = ZEROS(long double, c->model.n_joint);
    for (int64_t i = 0; i < c->model.n_joint; i++) {
        states_of(&c->model, i, x);
        sums[number_of(&c->model.tables, drawn, x)] += weight_of(&c->model.tables, x);
    }
    return sums;
}

/* Frequencies are those of q within six standard deviations; q sums to one but for what ends nowhere. */
static void check_frequencies(const Stated *s, const uint8_t *drawn, const Case *c, const int64_t *counts) {
    int32_t x[MOST_VARIABLES];
    long double sum = 0;
    for (int64_t i = 0; i < c->model.n_joint; i++) {
        int first = 1;
        states_of(&c->model, i, x);
        for (int v = 0; v < c->model.tables.n; v++) first &= drawn[v] || !x[v];
        if (!first) continue;
        long double q = expl(log_proposal(s, drawn, x));
        double seen = (double)counts[number_of(&c->model.tables, drawn, x)];
        CHECK(fabs(seen - DRAWS * (double)q) <= 6 * sqrt(DRAWS * (double)q) + 6);
        sum += q;
    }
    CHECK(sum < 1 + 1e-9L && sum >= 0);
    n_cut_off += sum < 1 - 1e-9L;
}

static int check_draws(const Case *c, const Sample *sample, const uint8_t *drawn, const uint8_t *wanted, double log_u) {
    REGION(NULL)
    Buckets b;
    const Tables *t = &c->model.tables;
    int32_t x[MOST_VARIABLES] = {0};
    int64_t *counts = ZEROS(int64_t, c->model.n_joint);
    const long double *rest = sums_of_rest(c, drawn);
    buckets_split(&b, t, &(Splitting){c->order, c->how[0], (uint64_t)c->how[1]});
    Stated s = {&b, sample->f->weights, sample->f->shifts};
    for (int i = 0; i < DRAWS; i++) {
        for (int v = 0, k = 0; v < t->n; v++)
            if (wanted[v]) {
                x[v] = sample->states[(int64_t)k++ * DRAWS + i];
                CHECK(x[v] >= 0 && x[v] < t->sizes[v]);
            }
        long double f = rest[number_of(t, drawn, x)];
        CHECK((sample->log_w[i] == -INFINITY) == (f == 0) && sample->log_w[i] <= 0);
        counts[number_of(t, drawn, x)] += f > 0; /* what ends nowhere is drawn too, and weighs nothing */
        if (!(f > 0) || i % 32) continue;
        double expected = (double)(logl(f) - log_u - log_proposal(&s, drawn, x));
        CHECK_NEAR(sample->log_w[i], fmin(expected, 0), 1e-8 * (1 + fabs(expected)));
        n_drawn++;
    }
    if (c->model.n_joint <= 256) check_frequencies(&s, drawn, c, counts);
    region_leave();
    return 0;
}

/* Which variables are drawn where some are wanted: those that a bucket of several parts, or of one of these, hangs on. */
static int note_drawn(const Case *c, uint8_t *drawn) {
    REGION(NULL)
    Buckets b;
    buckets_split(&b, &c->model.tables, &(Splitting){c->order, c->how[0], (uint64_t)c->how[1]});
    for (int k = 0; k < b.t->n; k++) {
        const Group *g = &b.groups[k];
        if (g->n == 1 && !drawn[g->variable]) continue;
        for (int i = g->first; i < g->first + g->n; i++)
            for (int a = 0; a < b.parts[i].nd; a++) drawn[part_scope(&b, &b.parts[i])[a]] = 1;
    }
    region_leave();
    return 0;
}

static void check_sample(const Case *c, const Found *f) {
    int n = c->model.tables.n;
    uint8_t *all = memset(TAKE(uint8_t, n), 1, (size_t)n), *some = ZEROS(uint8_t, n), *drawn = ZEROS(uint8_t, n);
    Sample s = sampled(c, f, all);
    CHECK(!check_draws(c, &s, all, all, f->told[0] - f->told[1]));
    check_cuts(c, &s, all);
    for (int v = 0; v < n; v++) drawn[v] = some[v] = random_below(4) == 0;
    CHECK(!note_drawn(c, drawn));
    s = sampled(c, f, drawn); /* what is wanted and what is drawn are the same here, so that all of it is seen */
    CHECK(!check_draws(c, &s, drawn, drawn, f->told[0] - f->told[1]));
    Sample of_some = sampled(c, f, some);
    check_cuts(c, &of_some, some);
    Sample of_none = sampled(c, f, NULL);
    check_cuts(c, &of_none, NULL);
}

static int check_plain(const Case *c, const Found *f, double tolerance) {
    REGION(NULL)
    Buckets b;
    int32_t x[MOST_VARIABLES] = {0};
    buckets_split(&b, &c->model.tables, &(Splitting){c->order, c->how[0], (uint64_t)c->how[1]});
    Stated s = {&b, f->weights, f->shifts};
    double plain = (double)plain_bound(&s, x);
    CHECK_NEAR(f->told[0] - f->told[1], plain, tolerance * (1 + fabs(plain)));
    region_leave();
    return 0;
}

static void check(int n, int m, int kind, int64_t limit) {
    Case c = random_case(n, m, 3, kind, limit);
    long double log_z = log_z_of(&c);
    Found before = found_bound(&c, 0), f = found_bound(&c, 12);
    double told[3];
    CHECK(before.told[0] >= log_z && f.told[0] >= log_z && f.told[0] <= before.told[0] && f.told[2] <= 12);
    CHECK(!check_plain(&c, &before, 1e-11) && !check_plain(&c, &f, 1e-11));
    if (!(f.priced[SPLIT_BUCKETS] > 0)) {
        CHECK_NEAR(f.told[0] - f.told[1], log_z, 1e-12 * (1 + fabs((double)log_z)));
        CHECK(f.told[2] == 0 && f.priced[SHIFTS] == 0);
    }
    n_split += f.priced[SPLIT_BUCKETS] > 0, n_zero += log_z == -INFINITY;
    CHECK(bound_of(&c, f.weights, f.shifts, told) == f.told[0] && told[1] == f.told[1] && told[2] == 0);
    if (n) check_tampered(&c, &f, log_z);
    if (isfinite(f.told[0])) check_sample(&c, &f);
    release();
}

/* A hub with a factor for each of many leaves; the hub comes first. */
static Case hub(int n_leaves, double *log_z) {
    int n = n_leaves + 1;
    int32_t *sizes = TAKE(int32_t, n), *scopes = TAKE(int32_t, 2 * n_leaves), *order = TAKE(int32_t, n);
    int64_t *starts = ZEROS(int64_t, n), *value_starts = ZEROS(int64_t, n);
    double *values = TAKE(double, 4 * n_leaves), log_sums[2] = {0, 0};
    for (int v = 0; v < n; v++) sizes[v] = 2, order[v] = v;
    for (int i = 0; i < 4 * n_leaves; i++) values[i] = 0.5 + random_unit();
    for (int k = 0; k < n_leaves; k++) {
        scopes[2 * k] = 0, scopes[2 * k + 1] = k + 1;
        starts[k + 1] = 2 * k + 2, value_starts[k + 1] = 4 * k + 4;
        for (int s = 0; s < 2; s++) log_sums[s] += log(values[4 * k + 2 * s] + values[4 * k + 2 * s + 1]);
    }
    double top = fmax(log_sums[0], log_sums[1]);
    *log_z = top + log(exp(log_sums[0] - top) + exp(log_sums[1] - top));
    return (Case){{.tables = {n, n_leaves, sizes, starts, scopes, value_starts, values}}, order, {4, 1}};
}

/* Equal weights of so many parts sum to one only as well as rounding allows. */
static void check_hub(int n_leaves) {
    double log_z;
    Case c = hub(n_leaves, &log_z);
    Found before = found_bound(&c, 0), f = found_bound(&c, 3);
    CHECK(before.priced[N_PARTS] == 2 * n_leaves && before.priced[SPLIT_BUCKETS] == 1);
    CHECK(before.told[0] >= log_z && f.told[0] >= log_z && f.told[0] <= before.told[0] && f.told[0] < 2 * fabs(log_z) + 9);
    c.how[0] = INT64_C(1) << 31;
    for (int v = 0; v <= n_leaves; v++) c.order[v] = (v + 1) % (n_leaves + 1);
    CHECK_NEAR(found_bound(&c, 3).told[0], log_z, 1e-9 * fabs(log_z));
    release();
}

/* Three variables of which no two may be alike, but for next to nothing: what is drawn hardly weighs anything, and its
 * weight is right where no number holds the conditional. */
static void check_frustrated(double nothing) {
    int32_t sizes[] = {2, 2, 2}, scopes[] = {0, 1, 0, 2, 1, 2}, order[] = {0, 1, 2};
    int64_t starts[] = {0, 2, 4, 6}, value_starts[] = {0, 4, 8, 12};
    double values[] = {nothing, 1, 1, nothing, nothing, 1, 1, nothing, nothing, 1, 1, nothing};
    Model model = {.tables = {3, 3, sizes, starts, scopes, value_starts, values}, .n_states = 6, .n_joint = 8};
    Case c = {model, order, {4, 1}};
    Found f = found_bound(&c, 0);
    long double log_z = log_z_of(&c), sum = 0;
    uint8_t wanted[] = {1, 1, 1};
    CHECK(f.told[0] > 0.5 && log_z < 10 + log(nothing));
    Sample s = sampled(&c, &f, wanted);
    for (int i = 0; i < DRAWS; i++) sum += expl(s.log_w[i] + (long double)(f.told[0] - f.told[1]));
    long double mean = logl(sum / DRAWS); /* four of the six likeliest states are drawn often, two hardly ever */
    CHECK(mean > log_z - 0.6 && mean < log_z + 0.3);
    CHECK(!check_draws(&c, &s, wanted, wanted, f.told[0] - f.told[1]));
    release();
}

/* Logarithms that cancel leave a small message, and rounding of their own size. */
static void check_cancelled(void) {
    int32_t sizes[] = {3, 3}, scopes[] = {0, 1, 0, 1, 0, 1}, order[] = {0, 1};
    int64_t starts[] = {0, 2, 4, 6}, value_starts[] = {0, 9, 18, 27}, how[] = {9, 1};
    double values[27];
    for (int i = 0; i < 200; i++) {
        for (int k = 0; k < 9; k++)
            values[k] = (1 + random_unit()) * 1e-290, values[9 + k] = (1 + random_unit()) * 1e290, values[18 + k] = 0.1;
        Model model = {.tables = {2, 3, sizes, starts, scopes, value_starts, values}, .n_states = 6, .n_joint = 9};
        Case c = {model, order, {how[0], how[1]}};
        long double log_z = log_z_of(&c);
        Found f = found_bound(&c, 0);
        CHECK(f.told[0] >= log_z && f.told[0] < log_z + 1e-9L);
        release();
    }
}

static void refuse(void *question) { (void)question; }

void region_patience(double seconds);

/* What takes long is given up where the caller does not want to go on, and fails where memory runs out. */
static void check_given_up(void) {
    Case c;
    Found f;
    do c = random_case(8, 14, 3, POSITIVE, 4), f = found_bound(&c, 2);
    while (!(f.priced[SPLIT_BUCKETS] > 2));
    double terms[] = {INFINITY, INFINITY, 1, -1}, told[3], priced[N_PRICED];
    uint8_t *wanted = memset(TAKE(uint8_t, 8), 1, 8);
    Sample s = sampled(&c, &f, wanted);
    enum { MANY = 400 };
    double *log_w = TAKE(double, MANY * BATCH);
    int32_t *states = TAKE(int32_t, 8 * MANY * BATCH);
    region_patience(0);
    CHECK(buckets_draw(GIVEN(&c), wanted, f.weights, s.proposal, 0, MANY, 1, log_w, 1, states, refuse) == GIVEN_UP);
    Case large = hub(3000, priced);
    Found of_large = found_bound(&large, 0);
    CHECK(buckets_bound(GIVEN(&large), FRESH, NULL, terms, of_large.weights, of_large.shifts, told, refuse) == GIVEN_UP);
    region_patience(0.02);
    terms[0] = 2, terms[3] = 1e-6;
    RUNS_OUT(buckets_price(GIVEN(&c), wanted, priced, NULL), NO_MEMORY, 0);
    RUNS_OUT(buckets_bound(GIVEN(&c), FRESH, NULL, terms, f.weights, f.shifts, told, NULL), NO_MEMORY, 0);
    RUNS_OUT(buckets_proposal(GIVEN(&c), wanted, f.weights, f.shifts, s.proposal, told, NULL), NO_MEMORY, 0);
    RUNS_OUT(buckets_draw(GIVEN(&c), wanted, f.weights, s.proposal, 0, 1, 1, log_w, 1, states, NULL), NO_MEMORY, 0);
    terms[0] = INFINITY, terms[1] = 0;
    CHECK(!buckets_bound(GIVEN(&c), FRESH, NULL, terms, f.weights, f.shifts, told, NULL) && told[2] == 0 && isfinite(told[0]));
    release();
}

int main(void) {
    static const int64_t limits[] = {1, 2, 3, 4, 8, 16, INT64_C(1) << 31};
    for (int kind = 0; kind < KINDS; kind++)
        for (int l = 0; l < LENGTH(limits); l++)
            for (int n = 0; n < MOST_VARIABLES; n++)
                for (int m = 0; m < 2 * n + 2; m += 1 + n / 3)
                    if (n < 6 || chosen(6)) check(n, m, kind, limits[l]);
    CHECK(n_split > 60 && n_zero > 10 && n_drawn > 10000 && n_cut_off > 0);
    check_hub(3), check_hub(49), check_hub(3000);
    check_frustrated(1e-3), check_frustrated(1e-250), check_frustrated(1e-300);
    check_cancelled();
    check_given_up();
    return 0;
}
