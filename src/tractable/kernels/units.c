/* Gibbs sampling of units that explain the same children: one after another, each by what all its children say. */
#include "units.h"

#include "kernels.h"
#include "words.h"

enum { STRETCH = 64 }; /* vectors whose factors, each from 1 to 2, are multiplied up before a logarithm is taken */

static int64_t padded(int64_t n) { return (n + F_LANES - 1) / F_LANES * F_LANES; }

INLINE F f_magnitude(F x) { return (F)((FI)x & 0x7FFFFFFF); }

/* Logits moved by `sign` times a unit's weights, and log p of the children that count: the sum of x a - log(1 + e^a). The
 * larger part of log(1 + e^a) is added up, the rest 1 + e^-|a| is multiplied. */
INLINE double moved(int64_t width, const float *logits, float sign, const float *w, const float *x, const float *counts, float *out) {
    F zero = {0}, one = f_all(1.0f), sum = zero;
    double total = 0;
    for (int64_t from = 0; from < width; from += STRETCH * F_LANES) {
        int64_t to = from + STRETCH * F_LANES < width ? from + STRETCH * F_LANES : width;
        F product = one;
        for (int64_t j = from; j < to; j += F_LANES) {
            F a = f_load(logits + j) + sign * f_load(w + j), count = f_load(counts + j);
            f_store(out + j, a);
            sum += count * (f_load(x + j) * a - f_choose(a > 0.0f, a, zero));
            product *= f_choose(count > 0.0f, f_exp(-f_magnitude(a)) + 1.0f, one);
        }
        sum -= f_log(product);
    }
    for (int l = 0; l < F_LANES; l++) total += sum[l];
    return total;
}

/* Uniform numbers as those of `units._random.uniform`, and what their logits are. */
static void thresholds(const Units *u, int64_t c, float *out) {
    Keys keys = row_keys(u->seed, u->numbers[c]);
    for (int64_t i = 0; i < padded(u->n); i += F_LANES) {
        F v = (__builtin_convertvector((FI)(bits_at(keys, i) >> 8), F) + 0.5f) * 0x1p-24f;
        f_store(out + i, f_log(v) - f_log(1.0f - v));
    }
}

/* Of the children's log p with the unit and without, one is that of the last visit. */
static void sweep_chain(const Units *u, int64_t c, float *scratch) {
    int64_t n = u->n, m = u->m, width = padded(m);
    float *threshold = scratch, *now = threshold + padded(n), *other = now + width, *x = other + width, *counts = x + width;
    float *h = u->out + c * n;
    thresholds(u, c, threshold);
    memset(now, 0, sizeof(float) * (size_t)(4 * width));
    memcpy(h, u->h + c * n, sizeof(float) * (size_t)n);
    memcpy(other, u->logits + c * m, sizeof(float) * (size_t)m);
    memcpy(x, u->x + c * m, sizeof(float) * (size_t)m);
    memcpy(counts, u->counts + c * m, sizeof(float) * (size_t)m);
    double said = moved(width, other, 0, other, x, counts, now);
    for (int64_t k = 0; k < u->n_visits; k++) {
        int64_t i = u->order[k];
        if (i >= n || !(u->free[c * n + i] > 0)) continue;
        float sign = h[i] ? -1 : 1;
        double then = moved(width, now, sign, u->columns + i * width, x, counts, other);
        int on = threshold[i] < u->own[c * n + i] + u->beta * (float)(sign * (then - said));
        if (on == (h[i] != 0)) continue;
        float *swapped = now;
        now = other, other = swapped, said = then, h[i] = (float)on;
    }
}

static void sweep_some(void *work, int item, int worker) {
    const Units *u = work;
    sweep_chain(u, item, u->scratch + worker * (padded(u->n) + 4 * padded(u->m)));
}

int sweep_units(const Crew *crew, Units *u) {
    int64_t width = padded(u->m), own = padded(u->n) + 4 * width;
    float *columns = calloc((size_t)(u->n * width + crew->n_workers * own) + 1, sizeof(float));
    if (!columns) return 1;
    for (int64_t j = 0; j < u->m; j++)
        for (int64_t i = 0; i < u->n; i++) columns[i * width + j] = u->weights[j * u->n + i];
    u->columns = columns, u->scratch = columns + u->n * width;
    crew->each(crew->call, crew->n_workers, (int)u->n_chains, sweep_some, u);
    free(columns);
    return 0;
}
