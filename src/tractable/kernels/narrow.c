/* Single-unit Gibbs sampling of k binary units whose neighbours, m binary units, are summed out: along temperatures.
 *
 * Of each chain the odds exp(theta_j) of all summed units are held: a unit that changes multiplies them by one of two
 * vectors, and the sum of log(1 + odds) that it leads to is the logarithm of a product whose binary exponent is taken out
 * on the way. No exponential for each unit and chain, but one for each temperature and chain. */
#include "narrow.h"

#include <math.h>

#include "kernels.h"
#include "words.h"

enum { TOGETHER = 32 }; /* chains that share the two vectors of each unit */

typedef struct {
    const Narrow *given;
    int64_t padded, size; /* m rounded up to whole vectors; floats of a worker */
    float *scratch;
} Run;

/* What a worker holds; rows are `padded` long, and zero beyond m. */
typedef struct {
    float *up, *down;    /* [k] exp(beta w) and its inverse, at the temperature of this step */
    float *w;            /* [k] */
    float *b, *slope, *odds; /* [TOGETHER] b of the chain's base, d theta / d beta, exp(theta) */
    double total[TOGETHER]; /* the sum of log(1 + odds) */
} Bench;

/* The sum of log(1 + odds * factor); no odds reach 2^126. */
static double log_product(const float *odds, const float *factor, int64_t n) {
    F product[2] = {f_all(1.0f), f_all(1.0f)};
    FI exponent = {0};
    for (int64_t j = 0; j < n; j += 2 * F_LANES)
        for (int i = 0; i < 2; i++) {
            const float *at = odds + j + i * F_LANES;
            F p = product[i] * ((factor ? f_load(at) * f_load(factor + j + i * F_LANES) : f_load(at)) + 1.0f);
            exponent += (FI)p >> 23;
            product[i] = (F)(((FI)p & 0x7FFFFF) | 0x3F800000);
        }
    F both = product[0] * product[1];
    double mantissa = 1;
    int64_t bits = -127 * n;
    for (int l = 0; l < F_LANES; l++) mantissa *= both[l], bits += exponent[l];
    return log(mantissa) + (double)bits * 0x1.62e42fefa39efp-1;
}

/* The fields of a chain at beta = 0: those of its own base, or of the only one. */
static const float *base_of(const Narrow *a, const float *fields, int64_t chain, int64_t n) {
    return fields + (a->n_bases > 1 ? chain * n : 0);
}

static const float *model_of(const Narrow *a, const float *fields, int64_t n) { return fields + a->n_bases * n; }

static void set_odds(const Run *r, const Bench *q, float beta, int64_t i) {
    const float *b = q->b + i * r->padded, *slope = q->slope + i * r->padded;
    float *odds = q->odds + i * r->padded;
    for (int64_t j = 0; j < r->padded; j += F_LANES)
        f_store(odds + j, f_exp(f_load(b + j) + beta * f_load(slope + j)));
    for (int64_t j = r->given->m; j < r->padded; j++) odds[j] = 0;
}

static void set_factors(const Run *r, const Bench *q, float beta) {
    for (int64_t j = 0; j < r->given->k * r->padded; j += F_LANES) {
        F up = f_exp(beta * f_load(q->w + j));
        f_store(q->up + j, up);
        f_store(q->down + j, 1.0f / up);
    }
}

static void add_scaled(float *to, float scale, const float *x, int64_t n) {
    for (int64_t j = 0; j < n; j += F_LANES) f_store(to + j, f_load(to + j) + scale * f_load(x + j));
}

static void multiply(float *to, const float *by, int64_t n) {
    for (int64_t j = 0; j < n; j += F_LANES) f_store(to + j, f_load(to + j) * f_load(by + j));
}

/* One unit of one chain, drawn given all other units of its side. */
static void draw(const Run *r, Bench *q, int64_t t, int64_t chain, int64_t i, int64_t unit) {
    const Narrow *a = r->given;
    float *x = a->out + chain * a->k + unit, beta = a->betas[t + 1];
    float c0 = base_of(a, a->c, chain, a->k)[unit], c1 = model_of(a, a->c, a->k)[unit];
    float sign = *x ? -1 : 1, field = c0 + beta * (c1 - c0);
    const float *factor = (*x ? q->down : q->up) + unit * r->padded;
    double total = log_product(q->odds + i * r->padded, factor, r->padded);
    float logit = sign * field + (float)(total - q->total[i]);
    float u = uniform_at(row_keys(a->seeds + 2 * (t * a->k + unit), a->rows[chain]), 0)[0];
    if (!(u * (expf(-logit) + 1.0f) < 1.0f)) return;
    *x = 1 - *x;
    q->total[i] = total;
    multiply(q->odds + i * r->padded, factor, r->padded);
    add_scaled(q->slope + i * r->padded, sign, q->w + unit * r->padded, r->padded);
}

/* Chain number i of those on the bench from temperature t to t + 1. */
static void step_chain(const Run *r, Bench *q, int64_t t, int64_t chain, int64_t i) {
    const Narrow *a = r->given;
    const float *c0 = base_of(a, a->c, chain, a->k), *c1 = model_of(a, a->c, a->k);
    double before = q->total[i], linear = 0;
    for (int64_t unit = 0; unit < a->k; unit++)
        linear += a->out[chain * a->k + unit] * (double)(c1[unit] - c0[unit]);
    set_odds(r, q, a->betas[t + 1], i);
    q->total[i] = log_product(q->odds + i * r->padded, NULL, r->padded);
    a->change[t * a->n_chains + chain] = (float)((a->betas[t + 1] - a->betas[t]) * linear + q->total[i] - before);
    for (int64_t u = 0; u < a->k; u++) draw(r, q, t, chain, i, a->backward ? a->k - 1 - u : u);
}

static void start_chain(const Run *r, Bench *q, int64_t chain, int64_t i) {
    const Narrow *a = r->given;
    const float *b0 = base_of(a, a->b, chain, a->m), *b1 = model_of(a, a->b, a->m);
    float *b = q->b + i * r->padded, *slope = q->slope + i * r->padded;
    for (int64_t j = 0; j < a->m; j++) b[j] = b0[j], slope[j] = b1[j] - b0[j];
    memset(b + a->m, 0, sizeof(float) * (size_t)(r->padded - a->m));
    memset(slope + a->m, 0, sizeof(float) * (size_t)(r->padded - a->m));
    for (int64_t unit = 0; unit < a->k; unit++)
        if (a->out[chain * a->k + unit]) add_scaled(slope, 1, q->w + unit * r->padded, r->padded);
    set_odds(r, q, a->betas[0], i);
    q->total[i] = log_product(q->odds + i * r->padded, NULL, r->padded);
}

static Bench bench_of(const Run *r, int worker) {
    const Narrow *a = r->given;
    int64_t table = a->k * r->padded;
    float *at = r->scratch + worker * r->size;
    Bench q = {at, at + table, at + 2 * table, at + 3 * table};
    q.slope = q.b + TOGETHER * r->padded, q.odds = q.slope + TOGETHER * r->padded;
    memset(q.w, 0, sizeof(float) * (size_t)table);
    for (int64_t i = 0; i < a->k; i++) memcpy(q.w + i * r->padded, a->w + i * a->m, sizeof(float) * (size_t)a->m);
    return q;
}

static void run_together(void *work, int item, int worker) {
    const Run *r = work;
    const Narrow *a = r->given;
    Bench q = bench_of(r, worker);
    int64_t first = (int64_t)item * TOGETHER, n = a->n_chains - first < TOGETHER ? a->n_chains - first : TOGETHER;
    for (int64_t i = 0; i < n; i++) start_chain(r, &q, first + i, i);
    for (int64_t t = 0; t < a->n_steps; t++) {
        set_factors(r, &q, a->betas[t + 1]);
        for (int64_t i = 0; i < n; i++) step_chain(r, &q, t, first + i, i);
    }
}

int narrow_anneal(const Crew *crew, const Narrow *given) {
    Run r = {given, (given->m + 2 * F_LANES - 1) / (2 * F_LANES) * (2 * F_LANES)};
    r.size = (3 * given->k + 3 * TOGETHER) * r.padded;
    r.scratch = malloc(sizeof(float) * (size_t)(r.size * crew->n_workers));
    if (!r.scratch) return 1;
    memcpy(given->out, given->x, sizeof(float) * (size_t)(given->n_chains * given->k));
    crew->each(crew->call, crew->n_workers, (int)((given->n_chains + TOGETHER - 1) / TOGETHER), run_together, &r);
    free(r.scratch);
    return 0;
}
