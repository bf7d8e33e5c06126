/* Tests of cases.c: sums over what is hidden in each case, and the posteriors of the entries that it reads. */
#include "cases.c"

#include "check.h"

enum { LEVELS = 4, CLIQUES = 5, ENTRIES = 60, FAMILIES = 24 };

/* One after another in arrays that are as long as they have to be. */
typedef struct {
    Cases cases;
    int64_t n_cases;
} Drawn;

#define COPY(type, from, n) ((type *)memcpy(TAKE(type, n), from, sizeof(type) * (size_t)(n)))

static Drawn random_cases(int n_groups, int most_tables) {
    int64_t level[9] = {0}, clique[9] = {0}, first[9] = {0}, base_at[9] = {0};
    int64_t strides[9 * CLIQUES + 1] = {0}, families[9 * CLIQUES + 1] = {0}, offsets[9 * CLIQUES * FAMILIES + 1] = {0};
    int32_t size[9 * LEVELS], at_level[9 * CLIQUES], states[9 * CLIQUES], stride[9 * CLIQUES * LEVELS];
    static int32_t offset[9 * CLIQUES * FAMILIES * 81], base[9 * CLIQUES * FAMILIES * 6];
    int64_t n_cliques = 0, n_strides = 0, n_families = 0, n_offsets = 0;
    for (int g = 0; g < n_groups; g++) {
        int n_levels = 1 + random_below(LEVELS), n = random_below(CLIQUES + 1), n_own = 0;
        int64_t first_family = n_families;
        level[g + 1] = level[g] + n_levels;
        for (int l = 0; l < n_levels; l++) size[level[g] + l] = 1 + random_below(3);
        for (int k = 0; k < n; k++) at_level[n_cliques + k] = random_below(n_levels);
        for (int k = 1; k < n; k++)
            for (int i = k; i > 0 && at_level[n_cliques + i - 1] > at_level[n_cliques + i]; i--) {
                int32_t t = at_level[n_cliques + i];
                at_level[n_cliques + i] = at_level[n_cliques + i - 1], at_level[n_cliques + i - 1] = t;
            }
        for (int k = 0; k < n; k++, n_cliques++) {
            int32_t span = 1;
            for (int l = 0; l < n_levels; l++) {
                int in = l == at_level[n_cliques] || (l < at_level[n_cliques] && random_below(2));
                stride[n_strides++] = in ? span : 0;
                span *= in ? size[level[g] + l] : 1;
            }
            strides[n_cliques + 1] = n_strides, states[n_cliques] = span;
            int n_tables = 1 + random_below(most_tables);
            for (int f = 0; f < n_tables; f++, n_own++) {
                for (int s = 0; s < span; s++) offset[n_offsets++] = random_below(20);
                offsets[++n_families] = n_offsets;
            }
            families[n_cliques + 1] = n_families;
        }
        clique[g + 1] = n_cliques;
        int n_cases = 1 + random_below(5);
        first[g + 1] = first[g] + n_cases, base_at[g + 1] = base_at[g] + (int64_t)n_cases * (n_families - first_family);
        for (int64_t i = base_at[g]; i < base_at[g + 1]; i++) base[i] = random_below(ENTRIES - 20);
    }
    Cases c = {.level_start = COPY(int64_t, level, n_groups + 1), .clique_start = COPY(int64_t, clique, n_groups + 1)};
    c.case_start = COPY(int64_t, first, n_groups + 1), c.base_start = COPY(int64_t, base_at, n_groups + 1);
    c.level_size = COPY(int32_t, size, level[n_groups]), c.clique_level = COPY(int32_t, at_level, n_cliques),
    c.clique_size = COPY(int32_t, states, n_cliques);
    c.stride_start = COPY(int64_t, strides, n_cliques + 1), c.stride = COPY(int32_t, stride, n_strides);
    c.family_start = COPY(int64_t, families, n_cliques + 1), c.offset_start = COPY(int64_t, offsets, n_families + 1);
    c.offset = COPY(int32_t, offset, n_offsets), c.base = COPY(int32_t, base, base_at[n_groups]), c.n_groups = n_groups;
    return (Drawn){c, first[n_groups]};
}

/* Visits all joint states of a case; adds the posteriors if the sum is known. */
static long double visit_all(const Cases *c, int64_t g, int64_t i, const double *theta, long double z, double weight,
                             long double *counts) {
    int64_t n_levels = c->level_start[g + 1] - c->level_start[g], joint = 1,
            first = c->family_start[c->clique_start[g]];
    const int32_t *size = c->level_size + c->level_start[g];
    const int32_t *base =
        c->base + c->base_start[g] + (i - c->case_start[g]) * (c->family_start[c->clique_start[g + 1]] - first);
    long double total = 0;
    for (int64_t l = 0; l < n_levels; l++) joint *= size[l];
    for (int64_t at = 0; at < joint; at++) {
        long double w = 1;
        int64_t entry[CLIQUES * FAMILIES], n = 0;
        for (int64_t k = c->clique_start[g]; k < c->clique_start[g + 1]; k++) {
            int64_t rest = at, s = 0;
            for (int64_t l = 0; l < n_levels; rest /= size[l++])
                s += c->stride[c->stride_start[k] + l] * (rest % size[l]);
            for (int64_t f = c->family_start[k]; f < c->family_start[k + 1]; f++) {
                entry[n] = base[f - first] + c->offset[c->offset_start[f] + s];
                w *= theta[entry[n++]];
            }
        }
        total += w;
        for (int64_t q = 0; q < n && counts; q++) counts[entry[q]] += weight * w / z;
    }
    return total;
}

static int check(const Drawn *d, const double *theta, int counted) {
    double *weight = TAKE(double, d->n_cases), *log_z = TAKE(double, d->n_cases), *counts = ZEROS(double, ENTRIES);
    long double *expected = ZEROS(long double, ENTRIES);
    int n_lost = 0, g = 0;
    for (int64_t i = 0; i < d->n_cases; i++) weight[i] = random_below(5) ? random_unit() + 0.1 : 0, log_z[i] = 42;
    for (int64_t from = 0, to; from < d->n_cases; from = to) { /* in pieces that cut through groups */
        to = from + 1 + random_below(4);
        to = to < d->n_cases ? to : d->n_cases;
        CHECK(cases_expected(&d->cases, from, to, theta, weight, counted ? counts : NULL, log_z, NULL) == 0);
    }
    for (int64_t i = 0; i < d->n_cases; i++) {
        while (d->cases.case_start[g + 1] <= i) g++;
        if (weight[i] == 0) {
            CHECK(log_z[i] == 42);
            continue;
        }
        long double z = visit_all(&d->cases, g, i, theta, 0, 0, NULL);
        n_lost += isnan(log_z[i]);
        if (isnan(log_z[i])) continue;
        CHECK_NEAR(log_z[i], logl(z), 1e-11 * (1 + fabsl(logl(z))));
        if (counted) visit_all(&d->cases, g, i, theta, z, weight[i], expected);
    }
    for (int e = 0; e < ENTRIES && counted; e++) CHECK_NEAR(counts[e], expected[e], 1e-11);
    return n_lost;
}

int main(void) {
    double theta[ENTRIES];
    int n_far = 0;
    for (int i = 0; i < 300; i++) {
        int kind = i % 3, n_lost;
        for (int e = 0; e < ENTRIES; e++) {
            theta[e] = random_unit() + 0.01;
            if (kind == 1 && random_below(3) == 0) theta[e] = 0;
            if (kind == 2) theta[e] *= ldexp(1, -random_below(120));
        }
        Drawn d = random_cases(1 + random_below(8), i % 2 ? 3 : FAMILIES);
        double *exact = memcpy(TAKE(double, ENTRIES), theta, sizeof theta);
        n_lost = check(&d, exact, 1) + check(&d, exact, 0);
        if (kind == 0) CHECK(n_lost == 0);
        n_far += n_lost;
        release();
    }
    CHECK(n_far > 0);
    Drawn d = random_cases(3, 2);
    double *weight = TAKE(double, d.n_cases), *log_z = TAKE(double, d.n_cases), *counts = ZEROS(double, ENTRIES);
    for (int64_t i = 0; i < d.n_cases; i++) weight[i] = 1;
    RUNS_OUT(cases_expected(&d.cases, 0, d.n_cases, theta, weight, counts, log_z, NULL), NO_MEMORY, 0);
    release();
    return 0;
}
