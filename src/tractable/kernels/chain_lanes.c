/* Forward-backward as in chain.c, of LANES sequences at once: each has a lane of every vector, and no step is left to
 * do across lanes. It is for the ordinary case: no transition is zero, and no row is so improbable that its scale
 * leaves the doubles. A sequence that meets one is said to be unsafe, and is not counted. */
#include "chain.h"

enum { TOGETHER = 8, STEPS = 4, RENORMALIZE = 16, MAX_STATES = 64, MAX_NUMBERS = 1 << 20 };

#define SMALL 1e-100 /* a product of scales waits for its logarithm above this */

typedef struct {
    int64_t k, longest;
    const double *forward; /* the transitions, and transposed */
    double *backward;
    void *memory;
    V *alphas, *ratios; /* [longest, k]: alpha_t; b_t / c_t, which becomes r_t; zero where a sequence is over */
    V *now, *next;      /* [k] */
    V *counts;          /* [k, k] */
    const double *rows[LANES];
    double *out[LANES];
    const Kinds *kinds; /* instead of these two: */
    const int32_t *kind[LANES];
    double *sums; /* [n, k] */
    V *firsts;    /* [k] */
    VI lengths;
    V weights, total, carry, product;
} Lanes;

INLINE int v_all_of(VI mask) {
    int64_t all = -1;
    for (int l = 0; l < LANES; l++) all &= mask[l];
    return all != 0;
}

/* y[j..j+n) of y = x M. */
INLINE void columns(const int n, int64_t k, const double *m, const V *x, V *y, int64_t j) {
    V sum[TOGETHER];
    for (int q = 0; q < n; q++) sum[q] = v_all(0.0);
    for (int64_t i = 0; i < k; i++)
        for (int q = 0; q < n; q++) sum[q] += m[i * k + j + q] * x[i];
    for (int q = 0; q < n; q++) y[j + q] = sum[q];
}

/* y = x M in every lane, for M [k, k]. */
INLINE void multiply(int64_t k, const double *m, const V *x, V *y) {
    int64_t j = 0;
    for (; j + TOGETHER <= k; j += TOGETHER) columns(TOGETHER, k, m, x, y, j);
    switch (k - j) {
    case 7: columns(7, k, m, x, y, j); break;
    case 6: columns(6, k, m, x, y, j); break;
    case 5: columns(5, k, m, x, y, j); break;
    case 4: columns(4, k, m, x, y, j); break;
    case 3: columns(3, k, m, x, y, j); break;
    case 2: columns(2, k, m, x, y, j); break;
    case 1: columns(1, k, m, x, y, j); break;
    }
}

/* total + carry gains x, with what rounding took from it. */
INLINE void add_term(Lanes *a, V x) {
    V sum = a->total + x, other = sum - a->total;
    a->carry += (a->total - (sum - other)) + (x - other);
    a->total = sum;
}

INLINE void add_logs(Lanes *a) {
    V x;
    for (int l = 0; l < LANES; l++) x[l] = log(a->product[l]);
    add_term(a, x);
    a->product = v_all(1.0);
}

/* The log-likelihoods of step t to `x`; of a sequence that is over, any. Returns their maxima. */
INLINE V read_step(const Lanes *a, int64_t t, V *x) {
    const double *row[LANES];
    V most = v_all(-INFINITY);
    for (int l = 0; l < LANES; l++) row[l] = a->rows[l] + (t < a->lengths[l] ? t : 0) * a->k;
    for (int64_t j = 0; j < a->k; j++) {
        V v;
        for (int l = 0; l < LANES; l++) v[l] = row[l][j];
        x[j] = v;
        most = v_larger(most, v);
    }
    return v_choose(most > -INFINITY, most, v_all(0.0));
}

/* The likelihoods of step t, up to exp(shift), to `b`. Returns the shifts. */
INLINE V scaled_step(const int kinds, const Lanes *a, int64_t t, V *b) {
    V shift;
    if (!kinds) {
        shift = read_step(a, t, b);
        for (int64_t j = 0; j < a->k; j++) {
            V x = b[j] - shift;
            b[j] = v_choose(x < -708.0, v_all(0.0), v_exp(x));
        }
        return shift;
    }
    const double *row[LANES];
    for (int l = 0; l < LANES; l++) {
        int64_t kind = a->kind[l][t < a->lengths[l] ? t : 0];
        row[l] = a->kinds->scaled + kind * a->k, shift[l] = a->kinds->shifts[kind];
    }
    for (int64_t j = 0; j < a->k; j++) {
        V v;
        for (int l = 0; l < LANES; l++) v[l] = row[l][j];
        b[j] = v;
    }
    return shift;
}

/* alpha_t from the prediction in `next`. Returns the lanes whose scale is too small. */
INLINE VI forward_step(const int kinds, Lanes *a, int64_t t) {
    const VI live = t < a->lengths;
    V *alpha = a->alphas + t * a->k, *ratio = a->ratios + t * a->k, shift = scaled_step(kinds, a, t, ratio);
    V c = v_all(0.0);
    for (int64_t j = 0; j < a->k; j++) c += alpha[j] = a->next[j] * ratio[j];
    VI enough = c > SMALL, lost = live & ~enough;
    V inverse = 1.0 / v_choose(enough, c, v_all(1.0)), scale = v_choose(live, inverse, v_all(0.0));
    for (int64_t j = 0; j < a->k; j++) {
        alpha[j] *= inverse;
        ratio[j] *= scale;
    }
    add_term(a, v_choose(live, shift, v_all(0.0)));
    a->product *= v_choose(live & enough, c, v_all(1.0));
    if (!v_all_of(a->product > SMALL)) add_logs(a);
    return lost;
}

INLINE VI forward(const int kinds, Lanes *a, const double *start) {
    VI lost = {0};
    for (int64_t j = 0; j < a->k; j++) a->next[j] = v_all(start[j]);
    IN_PIECES(t, a->longest, LANES * a->k * (a->k + 16)) {
        if (t) multiply(a->k, a->forward, a->alphas + (t - 1) * a->k, a->next);
        lost |= forward_step(kinds, a, t);
    }
    add_logs(a);
    return lost;
}

/* gamma_t from `next` to the rows of `out`, or added to the sums of the rows' kinds. */
INLINE void write_step(const int kinds, Lanes *a, int64_t t) {
    for (int l = 0; l < LANES; l++) {
        if (t >= a->lengths[l]) continue;
        double *to = kinds ? a->sums + a->kind[l][t] * a->k : a->out[l] + t * a->k;
        for (int64_t j = 0; j < a->k; j++) {
            double gamma = a->next[j][l];
            to[j] = kinds ? to[j] + gamma * a->weights[l] : gamma;
        }
    }
    for (int64_t j = 0; kinds && !t && j < a->k; j++) a->firsts[j] += a->next[j] * a->weights;
}

/* gamma_t = alpha_t * v_t to `next`, and r_t = v_t * b_t / c_t in place, from v_t in `now`: zero of what is over. */
INLINE void backward_step(Lanes *a, int64_t t) {
    V *alpha = a->alphas + t * a->k, *ratio = a->ratios + t * a->k, sum = v_all(0.0), by = v_all(1.0);
    for (int64_t j = 0; j < a->k; j++) {
        a->now[j] = v_choose(t == a->lengths - 1, v_all(1.0), a->now[j]);
        sum += alpha[j] * a->now[j];
    }
    if (t % RENORMALIZE == 0) by = v_choose(sum > 0.0, 1.0 / sum, by); /* one, up to the rounding of the last steps */
    for (int64_t j = 0; j < a->k; j++) {
        V v = a->now[j] * by;
        a->next[j] = alpha[j] * v;
        ratio[j] *= v;
    }
}

INLINE void backward(const int kinds, Lanes *a) {
    for (int64_t j = 0; j < a->k; j++) a->now[j] = v_all(0.0);
    for (int64_t t = a->longest - 1;; t--) {
        backward_step(a, t);
        write_step(kinds, a, t);
        if (t % RENORMALIZE == 0) region_worked(LANES * RENORMALIZE * a->k * (a->k + 8));
        if (!t) return;
        multiply(a->k, a->backward, a->ratios + t * a->k, a->now);
    }
}

/* counts += sum_t alpha_{t-1} r_t' for n steps from t on. */
INLINE void count_steps(const int n, Lanes *a, int64_t t) {
    const int64_t k = a->k;
    V *before = a->alphas + (t - 1) * k, *ratio = a->ratios + t * k;
    for (int64_t i = 0; i < k; i++) {
        V alpha[STEPS], *to = a->counts + i * k;
        for (int p = 0; p < n; p++) alpha[p] = before[p * k + i] * a->weights;
        for (int64_t j = 0; j < k; j++) {
            V sum = to[j];
            for (int p = 0; p < n; p++) sum += alpha[p] * ratio[p * k + j];
            to[j] = sum;
        }
    }
}

static void count(Lanes *a) {
    int64_t t = 1;
    for (; t + STEPS <= a->longest; t += STEPS) {
        region_worked(LANES * STEPS * a->k * a->k);
        count_steps(STEPS, a, t);
    }
    for (; t < a->longest; t++) count_steps(1, a, t);
}

static void begin(const Chain *c, const int64_t *sequences, int n, double *out, Lanes *a) {
    a->total = a->carry = v_all(0.0), a->product = v_all(1.0);
    for (int l = 0; l < LANES; l++) {
        int64_t s = sequences[l < n ? l : 0], at = c->offsets[s] * c->k;
        if (a->kinds) a->kind[l] = a->kinds->kind + c->offsets[s];
        else a->rows[l] = c->log_likelihood + at, a->out[l] = out + at;
        a->lengths[l] = l < n ? c->offsets[s + 1] - c->offsets[s] : 0;
        a->weights[l] = c->weights[s];
    }
    a->longest = a->lengths[0];
}

static void open_lanes(const Chain *c, const Kinds *kinds, int64_t longest, Lanes *a) {
    const int64_t k = c->k;
    size_t vectors = (size_t)(2 * longest * k + 3 * k + k * k), numbers = (size_t)(k * k);
    void *memory = grab(sizeof(V) * (vectors + 1) + sizeof(double) * numbers);
    V *at = (V *)(((uintptr_t)memory + sizeof(V) - 1) / sizeof(V) * sizeof(V));
    *a = (Lanes){.k = k, .forward = c->transition, .memory = memory, .alphas = at, .ratios = at + longest * k};
    a->kinds = kinds;
    a->now = a->ratios + longest * k, a->next = a->now + k, a->firsts = a->next + k, a->counts = a->firsts + k;
    for (int64_t j = 0; j < k; j++) a->firsts[j] = v_all(0.0);
    a->backward = (double *)(a->counts + k * k);
    for (int64_t i = 0; i < k; i++)
        for (int64_t j = 0; j < k; j++) {
            a->backward[j * k + i] = c->transition[i * k + j];
            a->counts[i * k + j] = v_all(0.0);
        }
}

/* The sequences order[first..last), LANES at a time; the counts are left in `a`. */
INLINE void each(const int kinds, const Chain *c, int64_t first, int64_t last, double *log_p, double *out,
                 int32_t *status, Lanes *a) {
    for (int64_t at = first; at < last; at += LANES) {
        const int64_t *sequences = c->order + at;
        int n = last - at < LANES ? (int)(last - at) : LANES;
        begin(c, sequences, n, out, a);
        VI lost = forward(kinds, a, c->start);
        for (int l = 0; l < n; l++) {
            status[sequences[l]] = lost[l] ? CHAIN_UNSAFE : CHAIN_OK;
            log_p[sequences[l]] = a->total[l] + a->carry[l];
        }
        a->lengths = a->lengths & ~lost;
        backward(kinds, a);
        count(a);
    }
}

static void close_lanes(const Chain *c, Lanes *a, double *counts) {
    for (int64_t i = 0; i < a->k * a->k; i++) counts[i] += v_sum(a->counts[i]) * c->transition[i];
    drop(a->memory);
}

static int64_t longest(const Chain *c, int64_t first) {
    return c->offsets[c->order[first] + 1] - c->offsets[c->order[first]];
}

int chain_fits_lanes(const Chain *c, int64_t first) {
    if (c->k > MAX_STATES || longest(c, first) * c->k > MAX_NUMBERS) return 0;
    for (int64_t i = 0; i < c->k * c->k; i++)
        if (!(c->transition[i] >= SMALLEST)) return 0;
    return 1;
}

void chain_lanes(const Chain *c, int64_t first, int64_t last, double *log_p, double *out, int32_t *status,
                 double *counts) {
    Lanes a;
    open_lanes(c, NULL, longest(c, first), &a);
    each(0, c, first, last, log_p, out, status, &a);
    close_lanes(c, &a, counts);
}

/* log p(x) of the sequences order[first..last), p(z_t | x) summed over the rows of each kind to `sums` [n, k] and over
 * the first rows to `firsts` [k], the expected transitions to `counts` [k, k], all weighted and added to what is there.
 * status[s] is not zero where a sequence has to be done by `chain_smooth`, and has not been counted. */
EXPORT int chain_tally(const Chain *c, int64_t first, int64_t last, const Kinds *kinds, double *log_p, int32_t *status,
                       double *sums, double *firsts, double *counts, Caller caller) {
    REGION(caller)
    Lanes a;
    for (int64_t i = first; i < last; i++) status[c->order[i]] = CHAIN_UNSAFE;
    if (first < last && chain_fits_lanes(c, first)) {
        open_lanes(c, kinds, longest(c, first), &a);
        a.sums = sums;
        each(1, c, first, last, log_p, NULL, status, &a);
        for (int64_t j = 0; j < a.k; j++) firsts[j] += v_sum(a.firsts[j]);
        close_lanes(c, &a, counts);
    }
    region_leave();
    return 0;
}
