/* The best of all 2^n states of binary units h, beside m binary units x each of which has its better state:
 *
 *   c.h + sum_{i<j} J_ij h_i h_j + sum_k max(0, theta_k(h)),  theta_k(h) = b_k + sum_i h_i W_ik.
 *
 * From state to state one bit changes (a Gray code), so that a state costs two additions for each x. */
#include "vectors.h"

#include <math.h>

#include "kernels.h"

enum { BITS = 12 /* of a block, at whose start all sums are made anew */ };

typedef struct {
    int64_t n, m; /* m is a multiple of 8: what lies behind is -infinity in b */
    const double *weights, *linear, *fields, *coupling; /* W [n, m], c [n], b [m], J [n, n] or NULL */
} Maximum;

typedef struct {
    int64_t n, kept;
    double *values; /* a heap, the smallest on top */
    int64_t *states;
} Best;

static void sink(Best *b, int64_t i, double value, int64_t state) {
    for (int64_t child; (child = 2 * i + 1) < b->kept; i = child) {
        if (child + 1 < b->kept && b->values[child + 1] < b->values[child]) child++;
        if (value <= b->values[child]) break;
        b->values[i] = b->values[child], b->states[i] = b->states[child];
    }
    b->values[i] = value, b->states[i] = state;
}

static void keep(Best *b, double value, int64_t state) {
    if (b->kept == b->n) {
        if (value > b->values[0]) sink(b, 0, value, state);
        return;
    }
    int64_t i = b->kept++;
    for (; i && b->values[(i - 1) / 2] > value; i = (i - 1) / 2)
        b->values[i] = b->values[(i - 1) / 2], b->states[i] = b->states[(i - 1) / 2];
    b->values[i] = value, b->states[i] = state;
}

/* theta of the x, and what each bit adds where it is set: for the state whose bits are given. */
static double start(const Maximum *a, int64_t state, double *theta, double *adds) {
    double value = 0;
    memcpy(theta, a->fields, sizeof(double) * (size_t)a->m);
    memcpy(adds, a->linear, sizeof(double) * (size_t)a->n);
    for (int64_t i = 0; i < a->n; i++) {
        if (!(state >> i & 1)) continue;
        value += adds[i];
        for (int64_t k = 0; k < a->m; k++) theta[k] += a->weights[i * a->m + k];
        for (int64_t j = 0; j < a->n && a->coupling; j++) adds[j] += a->coupling[i * a->n + j];
    }
    return value;
}

/* Adds `sign` times the weights to theta; the sum of its positive parts is returned. */
INLINE double turn(double *theta, const double *weights, double sign, int64_t m) {
    V sum = {0}, zero = {0}, by = v_all(sign);
    for (int64_t k = 0; k < m; k += LANES) {
        V t = v_load(theta + k) + by * v_load(weights + k);
        v_store(theta + k, t);
        sum += v_larger(t, zero);
    }
    return v_sum(sum);
}

/* The n best of the states first .. last-1, in no order: their values and numbers. There are as many states, and whole blocks
 * of them, or all. */
EXPORT int enumerate_best(const Maximum *a, int64_t first, int64_t last, int64_t n, double *values, int64_t *states,
                          Caller caller) {
    REGION(caller)
    double *theta = grab(sizeof(double) * (size_t)(a->m + a->n + 1)), *adds = theta + a->m;
    double *none = grab_zeroed((size_t)a->m + 1, sizeof(double));
    Best best = {n, 0, values, states};
    for (int64_t block = first; block < last; block += 1 << BITS) {
        int64_t size = last - block < 1 << BITS ? last - block : 1 << BITS;
        region_worked(size * (a->m / 4 + 8 + (a->coupling ? a->n : 0)));
        double value = start(a, block, theta, adds);
        keep(&best, value + turn(theta, none, 0, a->m), block);
        for (int64_t s = 1; s < size; s++) {
            int64_t state = block ^ s ^ (s >> 1), i = 0;
            while (!(s >> i & 1)) i++;
            double sign = state >> i & 1 ? 1 : -1;
            value += sign * adds[i];
            for (int64_t j = 0; j < a->n && a->coupling; j++) adds[j] += sign * a->coupling[i * a->n + j];
            keep(&best, value + turn(theta, a->weights + i * a->m, sign, a->m), state);
        }
    }
    region_leave();
    return 0;
}
