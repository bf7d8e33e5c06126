/* Tests of count_search.c, count_propagate.c, count_learn.c, count_parts.c, count_cache.c, count_trace.c,
 * count_order.c: the search finds the sums of small formulas, whatever it forgets on the way. */
#include "formulas.h"

static int test_numbers(void) {
    Number one = {1, 0}, big = {1, 0}, small = {1, 0};
    for (int i = 0; i < 100; i++) big = number_by(big, 1e30), small = number_by(small, 1e-30);
    CHECK_NEAR(number_log(big), 3000 * log(10), 1e-9);
    CHECK_NEAR(number_log(number_times(big, small)), 0, 1e-9);
    CHECK_NEAR(number_log(number_plus(big, big)), 3000 * log(10) + log(2), 1e-9);
    CHECK_NEAR(number_log(number_plus(one, small)), 0, 0);
    CHECK_NEAR(number_log(number_plus((Number){0, 0}, small)), -3000 * log(10), 1e-9);
    CHECK_NEAR(number_log(number_of(one, 0x1p-1070)), -1070 * log(2), 1e-9);
    CHECK(number_plus((Number){0, 0}, (Number){0, 5}).m == 0);
    return 0;
}

/* What is stored is found, unless it is spoilt or was crowded out. */
static int test_cache(void) {
    REGION(NULL)
    Cache c;
    cache_open(&c, 1 << 22);
    uint64_t seed = seeded(3), again = seed;
    for (uint32_t i = 0; i < 3000; i++) cache_store(&c, (Hash){next_random(&seed), i}, (Number){i, 0}, i);
    int found = 0;
    for (uint32_t i = 0; i < 3000; i++) {
        const Known *k = cache_find(&c, (Hash){next_random(&again), i});
        CHECK(!k || (k->m == i && k->node == i));
        found += k != NULL;
    }
    CHECK(found > 2700);
    CHECK(!cache_find(&c, (Hash){1, 1}));
    uint64_t early = c.time;
    cache_store(&c, (Hash){11, 0}, (Number){1, 0}, 0);
    uint64_t from = c.time;
    cache_store(&c, (Hash){22, 0}, (Number){1, 0}, 0);
    cache_spoil(&c, from);
    cache_store(&c, (Hash){33, 0}, (Number){1, 0}, 0);
    CHECK(cache_find(&c, (Hash){11, 0}) && !cache_find(&c, (Hash){22, 0}) && cache_find(&c, (Hash){33, 0}));
    CHECK(c.n_spoilt == 1);
    cache_spoil(&c, c.time); /* nothing since */
    CHECK(c.n_spoilt == 1 && cache_find(&c, (Hash){33, 0}));
    cache_spoil(&c, early); /* swallows the other */
    CHECK(c.n_spoilt == 1 && !cache_find(&c, (Hash){11, 0}) && !cache_find(&c, (Hash){33, 0}));
    for (uint32_t i = 0; i < 200000; i++) cache_store(&c, (Hash){next_random(&seed), i}, (Number){i, 0}, i);
    CHECK(c.size == c.most && c.size * 3 / 2 * (int64_t)sizeof(Known) <= 1 << 22);
    region_leave();
    return 0;
}

/* Conclusions, and the reasons for them. */
static int test_propagate(void) {
    REGION(NULL)
    Formula f = {.n = 5, .constant = {1, 0}, .weight = grab(80)};
    formula_add(&f, (int32_t[]){1, 2}, 2, 0);        /* 0 then 1 */
    formula_add(&f, (int32_t[]){1, 3, 4}, 3, 0);     /* 0 and 1 then 2 */
    formula_add(&f, (int32_t[]){5, 3, 1, 6}, 4, 0);  /* 0, 1 and 2 then 3 */
    formula_add(&f, (int32_t[]){7, 8, 5}, 3, 0.5);   /* says nothing for certain */
    Search s;
    int len;
    int32_t pair;
    search_open(&s, &f);
    assign(&s, 0, 0, 1);
    CHECK(!propagate(&s, &len));
    CHECK(s.n_trail == 4 && s.value[6] == TRUE && s.value[8] == OPEN);
    const int32_t *why = reason_of(&s, 6, &len, &pair);
    CHECK(why && len == 3);
    for (int i = 0; i < len; i++) CHECK(s.value[why[i]] == FALSE);
    unwind(&s, 0);
    for (int l = 0; l < 10; l++) CHECK(s.value[l] == OPEN);
    assign(&s, 7, 0, 1); /* not 3 */
    assign(&s, 2, 0, 2);
    CHECK(!propagate(&s, &len));
    assign(&s, 0, 0, 3);
    CHECK(propagate(&s, &len));
    search_close(&s);
    region_leave();
    return 0;
}

static void solve(Search *s, const Formula *f, Number *total, int cut) {
    search_open(s, f);
    parts_open(s);
    cache_open(&s->cache, 1 << 20);
    order_by_tree(s, 1);
    s->next_cut = cut;
    s->trace.on = 1, s->trace.most = INT64_MAX;
    CHECK(search(s, total) == SOLVED);
}

static void check_trace(Search *s, const Formula *f, long double z) {
    double *share = ZEROS(double, 2 * f->n);
    uint8_t *is_true = ZEROS(uint8_t, f->n);
    long double best = 0, *on = ZEROS(long double, f->n);
    for (uint32_t state = 0; state < 1u << f->n; state++) {
        long double w = product_of(f, state);
        best = w > best ? w : best;
        for (int v = 0; v < f->n; v++) on[v] += state >> v & 1 ? w : 0;
    }
    trace_marginals(s, share);
    for (int v = 0; v < f->n; v++) {
        CHECK_NEAR(share[2 * v], on[v] / z, 1e-12);
        CHECK_NEAR(share[2 * v + 1], 1 - on[v] / z, 1e-12);
    }
    CHECK_NEAR(trace_best(s, is_true) + number_log(f->constant), logl(best), 1e-10);
    for (int draw = 0; draw < 4; draw++) {
        uint32_t state = 0;
        for (int v = 0; v < f->n; v++) state |= (uint32_t)is_true[v] << v;
        if (draw) CHECK(product_of(f, state) > 0);
        else CHECK_NEAR(product_of(f, state), best, 1e-12L * best);
        trace_sample(s, &(uint64_t){seeded((uint64_t)draw)}, is_true);
    }
}

/* A state that is possible, where there is one. */
static void check_any(const Formula *f, long double z) {
    Search s;
    Number total;
    uint8_t *is_true = ZEROS(uint8_t, f->n);
    uint32_t state = 0;
    search_open(&s, f);
    parts_open(&s);
    cache_open(&s.cache, 1 << 20);
    order_by_tree(&s, 1);
    s.any = s.trace.on = 1, s.trace.most = INT64_MAX;
    CHECK(search(&s, &total) == SOLVED && (total.m > 0) == (z > 0));
    if (z > 0) {
        CHECK(number_log(total) <= logl(z) + 1e-11);
        trace_sample(&s, &(uint64_t){seeded(1)}, is_true);
        for (int v = 0; v < f->n; v++) state |= (uint32_t)is_true[v] << v;
        CHECK(product_of(f, state) > 0);
    }
    search_close(&s);
}

static int test_random(int i) {
    REGION(NULL)
    Formula f = random_formula(1 + random_below(11), random_below(50), 4);
    int32_t image[16];
    formula_simplify(&f, &(Effort){NONE, NULL, i % 2 ? 0 : 1 << 20}, image, NULL); /* no literal twice in a clause */
    Search s;
    Number total;
    long double z = sum_of(&f);
    if (!f.impossible) {
        solve(&s, &f, &total, 1 + i % 7);
        CHECK_NEAR(number_log(total), logl(z), 1e-11);
        if (z > 0) check_trace(&s, &f, z);
        search_close(&s);
        check_any(&f, z);
    }
    region_leave();
    release();
    return 0;
}

/* Contradictions by the hundred, and most of what they teach is forgotten. */
static int test_pigeons(void) {
    REGION(NULL)
    long double ways = 1;
    for (int n = 2; n <= 7; n++) {
        Formula f = pigeons(n);
        Search s;
        Number total;
        ways *= n;
        solve(&s, &f, &total, 20);
        CHECK_NEAR(number_log(total), logl(ways), 1e-11);
        if (n == 7) CHECK(s.conflicts > 100);
        search_close(&s);
    }
    region_leave();
    return 0;
}

int main(void) {
    test_numbers();
    test_cache();
    test_propagate();
    for (int i = 0; i < 2000; i++) test_random(i);
    test_pigeons();
    return 0;
}
