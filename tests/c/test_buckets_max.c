/* Tests of buckets_max.c: power sums and maxima in place of sums. No bound is below what plain loops over all joint states
 * find, bounds are those of their states, and sweeps of maxima lower them. */
#include "buckets_models.h"

static int n_split, n_lowered;

static int check_plain(const Case *c, const double *temperatures, const Found *f) {
    REGION(NULL)
    Buckets b;
    int32_t x[MOST_VARIABLES] = {0};
    double told[3];
    buckets_split(&b, &c->model.tables, &(Splitting){c->order, c->how[0], (uint64_t)c->how[1]});
    double plain = (double)plain_bound(&(Stated){&b, f->weights, f->shifts}, x);
    CHECK_NEAR(f->told[0] - f->told[1], plain, 1e-11 * (1 + fabs(plain)));
    region_leave();
    CHECK_NEAR(bound_at(c, temperatures, f->weights, f->shifts, told), f->told[0], 1e-11 * (1 + fabs(plain)));
    return 0;
}

static Found check_found(const Case *c, const double *temperatures, double sweeps) {
    Found f = found_at(c, temperatures, sweeps);
    CHECK(f.told[0] >= power_sum(c, temperatures) && !check_plain(c, temperatures, &f));
    return f;
}

/* Weights of one temperature are none of another; rescaled they are, with a bound. */
static void check_rescaled(const Case *c, const double *from, const double *to, Found f) {
    double told[3], terms[] = {2, INFINITY, 1, 1e-6};
    int alike = 1;
    for (int v = 0; v < c->model.tables.n; v++) alike &= from[v] == to[v];
    CHECK(alike || isnan(bound_at(c, to, f.weights, f.shifts, told)));
    terms[0] = 0;
    CHECK(!buckets_bound(GIVEN(c), RESCALED, to, terms, f.weights, f.shifts, f.told, NULL));
    CHECK(f.told[0] >= power_sum(c, to) && !check_plain(c, to, &f));
    double before = f.told[0];
    terms[0] = 4;
    CHECK(!buckets_bound(GIVEN(c), AS_IT_IS, to, terms, f.weights, f.shifts, f.told, NULL));
    CHECK(f.told[0] <= before && f.told[0] >= power_sum(c, to) && !check_plain(c, to, &f));
}

static void check(int n, int m, int kind, int64_t limit) {
    Case c = random_case(n, m, 3, kind, limit);
    double *smooth = TAKE(double, n), *mixed = ZEROS(double, n), *maxima = ZEROS(double, n);
    for (int v = 0; v < n; v++) smooth[v] = random_below(3) ? random_unit() + 1e-3 : 0.01;
    for (int k = 0, n_sums = n ? random_below(n) : 0; k < n; k++) mixed[c.order[k]] = k < n_sums;
    Found found = check_found(&c, smooth, 6);
    check_rescaled(&c, smooth, mixed, found);
    check_rescaled(&c, mixed, smooth, check_found(&c, mixed, 3));
    Found before = check_found(&c, maxima, 0), after = check_found(&c, maxima, 12);
    CHECK(after.told[0] <= before.told[0]);
    check_rescaled(&c, maxima, smooth, after);
    int several = before.priced[SPLIT_BUCKETS] > 0;
    if (!several) CHECK_NEAR(after.told[0] - after.told[1], power_sum(&c, maxima), 1e-12 * (1 + fabs(after.told[0])));
    n_split += several, n_lowered += several && after.told[0] < before.told[0] - 1e-9;
    for (int v = 0; v < n; v++) smooth[v] = v % 2 ? -1 : 1e-300;
    double told[3];
    CHECK(!n || isnan(bound_at(&c, smooth, after.weights, after.shifts, told)));
    release();
}

int main(void) {
    static const int64_t limits[] = {1, 4, 8, 1 << 20};
    for (int l = 0; l < LENGTH(limits); l++)
        for (int kind = 0; kind < KINDS; kind++)
            for (int i = 0; i < 25; i++) {
                check(random_below(5), random_below(9), kind, limits[l]);
                check(4 + random_below(4), 6 + random_below(8), kind, limits[l]);
            }
    CHECK(n_split > 100 && n_lowered > n_split / 4);
    return 0;
}
