/* Tests of units.c: units in the order of the visits, each by what all its children say with it and without it. */
#include "crews.h"
#include "units.h"

static double children_say(const Units *u, int64_t c, const double *logits) {
    double sum = 0;
    for (int64_t j = 0; j < u->m; j++) {
        double count = u->counts[c * u->m + j];
        sum += count * (u->x[c * u->m + j] * logits[j] - softplus(logits[j]));
    }
    return sum;
}

/* Makes the visits in double precision; returns whether every one was clear. */
static int sweep(const Units *u, int64_t c, float *h) {
    double *logits = TAKE(double, u->m), *other = TAKE(double, u->m);
    memcpy(h, u->h + c * u->n, sizeof(float) * (size_t)u->n);
    for (int64_t j = 0; j < u->m; j++) logits[j] = u->logits[c * u->m + j];
    for (int64_t q = 0; q < u->n_visits; q++) {
        int64_t i = u->order[q];
        if (i >= u->n || u->free[c * u->n + i] == 0) continue;
        double sign = h[i] ? -1 : 1, v = ((bits_of(u->seed, u->numbers[c], i) >> 8) + 0.5) * 0x1p-24;
        for (int64_t j = 0; j < u->m; j++) other[j] = logits[j] + sign * u->weights[j * u->n + i];
        double logit = u->own[c * u->n + i] + u->beta * sign * (children_say(u, c, other) - children_say(u, c, logits));
        if (fabs(v - sigmoid(logit)) < 1e-4) return 0;
        if ((v < sigmoid(logit)) == (h[i] != 0)) continue;
        h[i] = 1 - h[i];
        memcpy(logits, other, sizeof(double) * (size_t)u->m);
    }
    return 1;
}

static void check(const Crew *crew, int64_t n_chains, int64_t n, int64_t m, int64_t n_visits) {
    uint32_t *order = TAKE(uint32_t, n_visits);
    float *expected = TAKE(float, n);
    int n_clear = 0;
    for (int64_t i = 0; i < n_visits; i++) order[i] = (uint32_t)random_below((int)n + 2); /* some are none */
    Units u = {n_chains,
               n,
               m,
               n_visits,
               words(2),
               words(n_chains),
               order,
               floats(n_chains * n, 1),
               coins(n_chains * n),
               coins(n_chains * n),
               coins(n_chains * m),
               floats(n_chains * m, 1),
               coins(n_chains * m),
               floats(m * n, 1),
               0.7f,
               TAKE(float, n_chains * n),
               NULL,
               NULL};
    CHECK(sweep_units(crew, &u) == 0);
    for (int64_t c = 0; c < n_chains; c++) {
        for (int64_t i = 0; i < n; i++)
            if (u.free[c * n + i] == 0) CHECK(u.out[c * n + i] == u.h[c * n + i]);
        if (!sweep(&u, c, expected)) continue;
        n_clear++;
        for (int64_t i = 0; i < n; i++) CHECK(u.out[c * n + i] == expected[i]);
    }
    CHECK(2 * n_clear >= n_chains);
    if (n_chains == 9) RUNS_OUT(sweep_units(crew, &u), 1, 0);
    release();
}

int main(void) {
    static const int64_t CHAINS[] = {0, 1, 9, 20}, UNITS[] = {1, 2, 7, 8, 9, 17},
                         CHILDREN[] = {0, 1, 3, 8, 15, 16, 17, 33, 1100};
    for (int i = 0; i < LENGTH(CHAINS); i++)
        for (int j = 0; j < LENGTH(UNITS); j++)
            for (int q = 0; q < LENGTH(CHILDREN); q++)
                check((i + j + q) % 2 ? &ALONE : &SHARED, CHAINS[i], UNITS[j], CHILDREN[q],
                      (j + q) % 3 ? 3 * UNITS[j] : 0);
    return 0;
}
