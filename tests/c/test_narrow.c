/* Tests of narrow.c: chains along temperatures draw what the same numbers give in double precision, unit by unit. */
#include "crews.h"
#include "narrow.h"

static double log_p(const Narrow *a, int64_t chain, const float *x, double beta) {
    int64_t row = a->n_bases > 1 ? chain : 0;
    const float *c0 = a->c + row * a->k, *c1 = a->c + a->n_bases * a->k, *b0 = a->b + row * a->m,
                *b1 = a->b + a->n_bases * a->m;
    double sum = 0;
    for (int64_t i = 0; i < a->k; i++) sum += x[i] * (c0[i] + beta * (c1[i] - (double)c0[i]));
    for (int64_t j = 0; j < a->m; j++) {
        double theta = b1[j] - (double)b0[j];
        for (int64_t i = 0; i < a->k; i++) theta += x[i] * a->w[i * a->m + j];
        sum += softplus(b0[j] + beta * theta);
    }
    return sum;
}

/* Walks the chain in double precision; returns whether every draw was clear. */
static int walk(const Narrow *a, int64_t chain, float *x, double *change) {
    memcpy(x, a->x + chain * a->k, sizeof(float) * (size_t)a->k);
    for (int64_t t = 0; t < a->n_steps; t++) {
        change[t] = log_p(a, chain, x, a->betas[t + 1]) - log_p(a, chain, x, a->betas[t]);
        for (int64_t q = 0; q < a->k; q++) {
            int64_t i = a->backward ? a->k - 1 - q : q;
            double before = log_p(a, chain, x, a->betas[t + 1]),
                   u = uniform_of(a->seeds + 2 * (t * a->k + i), a->rows[chain], 0);
            x[i] = 1 - x[i];
            double p = sigmoid(log_p(a, chain, x, a->betas[t + 1]) - before);
            if (fabs(u - p) < 1e-4) return 0;
            if (u > p) x[i] = 1 - x[i];
        }
    }
    return 1;
}

static void check(const Crew *crew, int64_t n_chains, int64_t n_steps, int64_t k, int64_t m, int how) {
    int backward = how & 1;
    int64_t n_bases = how & 2 ? n_chains : 1;
    float *betas = TAKE(float, n_steps + 1), *out = TAKE(float, n_chains * k), *change = TAKE(float, n_steps * n_chains),
          *x = TAKE(float, k);
    double *expected = TAKE(double, n_steps);
    int n_clear = 0;
    for (int64_t t = 0; t <= n_steps; t++) betas[t] = n_steps ? (float)t / (float)n_steps : 0;
    Narrow a = {n_chains,
                n_steps,
                k,
                m,
                n_bases,
                words(n_steps * k * 2),
                words(n_chains),
                betas,
                coins(n_chains * k),
                floats(k * m, 0.5),
                floats((n_bases + 1) * k, 1),
                floats((n_bases + 1) * m, 1),
                backward,
                out,
                change};
    CHECK(narrow_anneal(crew, &a) == 0);
    for (int64_t i = 0; i < n_chains; i++) {
        if (!walk(&a, i, x, expected)) continue;
        n_clear++;
        for (int64_t q = 0; q < k; q++) CHECK(out[i * k + q] == x[q]);
        for (int64_t t = 0; t < n_steps; t++) CHECK_NEAR(change[t * n_chains + i], expected[t], 1e-4 * (1 + (double)m));
    }
    CHECK(2 * n_clear > n_chains);
    if (n_chains == 5) RUNS_OUT(narrow_anneal(crew, &a), 1, 0);
    release();
}

int main(void) {
    static const int64_t CHAINS[] = {1, 5, 32, 33, 70}, UNITS[] = {1, 2, 7, 9},
                         SUMMED[] = {0, 1, 7, 8, 9, 16, 17, 32, 33, 70};
    for (int i = 0; i < LENGTH(CHAINS); i++)
        for (int j = 0; j < LENGTH(UNITS); j++)
            for (int q = 0; q < LENGTH(SUMMED); q++)
                check((i + q) % 2 ? &ALONE : &SHARED, CHAINS[i], q % 4 ? 6 : q / 4, UNITS[j], SUMMED[q], (q % 3 == 0) + 2 * (i % 2));
    return 0;
}
