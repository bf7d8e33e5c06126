/* Tests of enumerate.c: sums, weights and expectations over all states of binary units against each state by itself. */
#include "enumerate.c"

#include "check.h"

/* A machine of INNER + n_top units, with m columns that go through products and n_wild that go through logarithms. */
typedef struct {
    Machine machine;
    int64_t n;
    const double *w, *b; /* [n][m + n_wild], [m + n_wild] */
} Drawn;

static double form(const double *w, const double *b, int64_t n, int64_t columns, int64_t k, int64_t state) {
    double theta = b[k];
    for (int64_t i = 0; i < n; i++)
        if (state >> i & 1) theta += w[i * columns + k];
    return theta;
}

/* The tables that are laid out for the kernel: exp(theta of the low bits - its maximum), and so on. */
static void lay_out(Drawn *d, int64_t columns) {
    Machine *a = &d->machine;
    int64_t m = a->m;
    double *low = TAKE(double, LOW * m), *by_columns = TAKE(double, LOW * m), *middle = TAKE(double, m * MIDDLE),
           *top = TAKE(double, a->n_top * m);
    double *none = ZEROS(double, columns), *wild = TAKE(double, a->n_wild * (d->n + 1));
    for (int64_t k = 0; k < m; k++) {
        double most = -INFINITY;
        for (int64_t j = 0; j < LOW; j++) most = fmax(most, form(d->w, none, 8, columns, k, j));
        for (int64_t j = 0; j < LOW; j++) {
            double x = exp(form(d->w, none, 8, columns, k, j) - most);
            low[(j / TILE * m + k) * TILE + j % TILE] = x;
            by_columns[(k / WIDTH * LOW + j) * WIDTH + k % WIDTH] = x;
        }
        for (int64_t r = 0; r < MIDDLE; r++)
            middle[k * MIDDLE + r] = most + form(d->w + 8 * columns, d->b, 4, columns, k, r);
        for (int64_t t = 0; t < a->n_top; t++) top[t * m + k] = d->w[(INNER + t) * columns + k];
    }
    for (int64_t k = 0; k < a->n_wild; k++) {
        for (int64_t i = 0; i < d->n; i++) wild[k * (d->n + 1) + i] = d->w[i * columns + m + k];
        wild[k * (d->n + 1) + d->n] = d->b[m + k];
    }
    a->low = low, a->columns = by_columns, a->middle = middle, a->top = top, a->wild = wild;
}

static Drawn random_machine(int64_t n_top, int64_t m, int64_t n_wild, int coupled, double scale) {
    int64_t n = INNER + n_top, columns = m + n_wild, n_groups = (m + 2) / 3;
    double *w = normals(n * columns, scale), *b = normals(columns, scale), *linear = normals(n, scale);
    int64_t *groups = TAKE(int64_t, n_groups + 1);
    for (int64_t g = 0; g <= n_groups; g++) groups[g] = 3 * g < m ? 3 * g : m;
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = m; k < columns; k++) w[i * columns + k] *= 300;
    Drawn d = {
        {.n_top = n_top, .m = m, .n_groups = n_groups, .n_wild = n_wild, .groups = groups, .linear = linear}, n, w, b};
    if (coupled) {
        double *inner = normals(INNER * INNER, scale), *quadratic = ZEROS(double, STATES);
        for (int64_t s = 0; s < STATES; s++)
            for (int i = 0; i < INNER; i++)
                for (int j = 0; j < i; j++)
                    if ((s >> i & 1) && (s >> j & 1)) quadratic[s] += inner[i * INNER + j];
        d.machine.quadratic = quadratic, d.machine.coupling = normals(n_top * n, scale);
    }
    lay_out(&d, columns);
    return d;
}

static double log_weight(const Drawn *d, int64_t state) {
    const Machine *a = &d->machine;
    int64_t columns = a->m + a->n_wild;
    double x = a->quadratic ? a->quadratic[state % STATES] : 0;
    for (int64_t i = 0; i < d->n; i++)
        if (state >> i & 1) x += a->linear[i];
    for (int64_t t = 0; t < a->n_top && a->coupling; t++)
        for (int64_t i = 0; i < INNER + t; i++)
            if ((state >> (INNER + t) & 1) && (state >> i & 1)) x += a->coupling[t * d->n + i];
    for (int64_t k = 0; k < columns; k++) {
        double theta = form(d->w, d->b, d->n, columns, k, state);
        x += fmax(theta, 0) + log1p(exp(-fabs(theta)));
    }
    return x;
}

static double on(const Drawn *d, int64_t k, int64_t state) {
    return 1 / (1 + exp(-form(d->w, d->b, d->n, d->machine.m + d->machine.n_wild, k, state)));
}

static Sums open_sums(const Machine *a) {
    Sums s = {-INFINITY,
              0,
              ZEROS(double, STATES),
              ZEROS(double, a->n_top * INNER),
              ZEROS(double, a->n_top * a->n_top),
              ZEROS(double, a->m * LOW),
              ZEROS(double, a->m * MIDDLE),
              ZEROS(double, a->n_top * a->m),
              NULL,
              NULL,
              NULL};
    s.wild_low = ZEROS(double, a->n_wild * LOW), s.wild_middle = ZEROS(double, a->n_wild * MIDDLE),
    s.wild_top = ZEROS(double, a->n_top * a->n_wild);
    return s;
}

static void check_expectations(const Drawn *d, const double *p, const Sums *s) {
    const Machine *a = &d->machine;
    int64_t states = (int64_t)STATES << a->n_top, n = d->n;
    double tolerance = 1e-10;
    double *inner = ZEROS(double, STATES), *hh = ZEROS(double, n * n);
    for (int64_t h = 0; h < states; h++) {
        inner[h % STATES] += p[h];
        for (int64_t i = INNER; i < n; i++)
            for (int64_t j = 0; j < n; j++) hh[i * n + j] += (h >> i & 1) && (h >> j & 1) ? p[h] : 0;
    }
    for (int64_t i = 0; i < STATES; i++) CHECK_NEAR(s->weights[i] / s->total, inner[i], tolerance);
    for (int64_t t = 0; t < a->n_top; t++) {
        for (int64_t i = 0; i < INNER; i++)
            CHECK_NEAR(s->top_inner[t * INNER + i] / s->total, hh[(INNER + t) * n + i], tolerance);
        for (int64_t u = 0; u < a->n_top; u++)
            CHECK_NEAR(s->top_top[t * a->n_top + u] / s->total, hh[(INNER + t) * n + INNER + u], tolerance);
    }
    for (int64_t k = 0; k < a->m + a->n_wild; k++) {
        int wild = k >= a->m;
        int64_t c = wild ? k - a->m : k;
        double low[LOW] = {0}, middle[MIDDLE] = {0}, top[8] = {0};
        for (int64_t h = 0; h < states; h++) {
            double x = p[h] * on(d, k, h);
            low[h % LOW] += x, middle[h / LOW % MIDDLE] += x;
            for (int64_t t = 0; t < a->n_top; t++) top[t] += h >> (INNER + t) & 1 ? x : 0;
        }
        for (int64_t j = 0; j < LOW; j++)
            CHECK_NEAR((wild ? s->wild_low[c * LOW + j] : s->low_x[(c / WIDTH * LOW + j) * WIDTH + c % WIDTH]) /
                           s->total,
                       low[j], tolerance);
        for (int64_t r = 0; r < MIDDLE; r++)
            CHECK_NEAR((wild ? s->wild_middle : s->middle_x)[c * MIDDLE + r] / s->total, middle[r], tolerance);
        for (int64_t t = 0; t < a->n_top; t++)
            CHECK_NEAR((wild ? s->wild_top[t * a->n_wild + c] : s->top_x[t * a->m + c]) / s->total, top[t], tolerance);
    }
}

static void check(Drawn d) {
    const Machine *a = &d.machine;
    int64_t blocks = (int64_t)1 << a->n_top, states = STATES * blocks;
    double *expected = TAKE(double, states), *found = TAKE(double, states), most = -INFINITY, total = 0, out[2];
    for (int64_t h = 0; h < states; h++) expected[h] = log_weight(&d, h), most = fmax(most, expected[h]);
    CHECK(enumerate_weights(a, 0, blocks, found, NULL) == 0);
    for (int64_t h = 0; h < states; h++) CHECK_NEAR(found[h], expected[h], 1e-11 * (1 + fabs(expected[h])));
    for (int64_t h = 0; h < states; h++) total += expected[h] = exp(expected[h] - most);
    CHECK(enumerate_sum(a, 0, blocks, out, NULL) == 0);
    CHECK_NEAR(out[0] + log(out[1]), most + log(total), 1e-11 * (1 + fabs(most)));
    CHECK(enumerate_sum(a, blocks, blocks, out, NULL) == 0 && out[0] == -INFINITY && out[1] == 0);
    for (int64_t h = 0; h < states; h++) expected[h] /= total;
    Sums sums = open_sums(a);
    for (int64_t at = 0; at < blocks; at += 3)
        CHECK(enumerate_expectations(a, at, at + 3 < blocks ? at + 3 : blocks, &sums, NULL) == 0);
    CHECK_NEAR(sums.scale + log(sums.total), most + log(total), 1e-11 * (1 + fabs(most)));
    check_expectations(&d, expected, &sums);
    release();
}

int main(void) {
    for (int coupled = 0; coupled < 2; coupled++)
        for (int64_t n_top = 0; n_top < 3; n_top++) {
            check(random_machine(n_top, 0, 0, coupled, 1));
            check(random_machine(n_top, 0, 1, coupled, 1));
            check(random_machine(n_top, 8, 0, coupled, 0.3));
            check(random_machine(n_top, 16, 3, coupled, 2));
            check(random_machine(n_top, 8, 0, coupled, 6));
            check(random_machine(n_top, 8, 1, coupled, 20)); /* so far apart that blocks are left out */
        }
    Drawn d = random_machine(1, 8, 1, 1, 1);
    double out[2];
    Sums sums = open_sums(&d.machine);
    RUNS_OUT(enumerate_sum(&d.machine, 0, 2, out, NULL), NO_MEMORY, 0);
    RUNS_OUT(enumerate_weights(&d.machine, 0, 1, TAKE(double, STATES), NULL), NO_MEMORY, 0);
    RUNS_OUT(enumerate_expectations(&d.machine, 0, 2, &sums, NULL), NO_MEMORY, 0);
    release();
    return 0;
}
