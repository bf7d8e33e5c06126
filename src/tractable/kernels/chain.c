/* Forward-backward on probabilities that are rescaled at every step, four sequences side by side.
 *
 * forward   u_t = (alpha_{t-1} A) * b_t,  c_t = sum u_t,  alpha_t = u_t / c_t,  b_t = exp(log-likelihood - shift_t)
 * backward  v_T = 1,  r_t = v_t * b_t / c_t,  v_{t-1} = A r_t
 * posterior gamma_t = alpha_t * v_t;  expected transitions  A * sum_t alpha_{t-1} r_t'
 *
 * All terms are positive, so nothing cancels. A state far less probable than the others underflows. That is harmless
 * where every state is entered from every other; where the transitions have zeros, the state may later be the only one
 * left, so it is watched, and a sequence for which it could matter is handed to logarithms (chain_log.c). */
#include "chain.h"

enum { SIDE = 4, PENDING = 16, WIDE = 512, RENORMALIZE = 16, ROWS = LANES < 4 ? LANES : 4 };

#define TINY 1e-250
#define ENOUGH 1e-230 /* beside this, what TINY lost is below rounding */

typedef struct {
    int64_t k, kp;
    double *forward, *backward; /* A and its transpose, rows padded with zeros to kp */
    double *start, *counts;
    double *alphas, *ratios; /* pairs waiting to be added to the counts */
    int n_pending, dense, unsafe;
    const double *end; /* of the log-likelihoods */
    const double *out_end;
} Padded;

/* One sequence on its way. */
typedef struct {
    const double *rows;
    double *out, *scale, *shift, *now, *next;
    uint8_t *lost;
    int64_t length;
    double total, carry, product, weight;
    int status, any_lost;
} Track;

INLINE double v_total(V v) {
    double x[LANES];
    v_store(x, v);
    for (int h = LANES / 2; h; h /= 2)
        for (int l = 0; l < h; l++) x[l] += x[l + h];
    return x[0];
}

INLINE double v_most(V v) {
    double x[LANES];
    v_store(x, v);
    for (int h = LANES / 2; h; h /= 2)
        for (int l = 0; l < h; l++) x[l] = x[l] > x[l + h] ? x[l] : x[l + h];
    return x[0];
}

INLINE int v_any(VI m) {
    int64_t any = 0;
    for (int l = 0; l < LANES; l++) any |= m[l];
    return any != 0;
}

/* exp, and zero where that is below the smallest double. */
INLINE V v_exp0(V x) { return v_choose(x < -708.0, v_all(0.0), v_exp(x)); }

/* LANES entries of a row from j on; `fill` beyond the k-th. */
INLINE V row_load(const double *row, const double *end, int64_t j, int64_t k, double fill) {
    if (j + LANES <= k) return v_load(row + j);
    double x[LANES];
    if (row + j + LANES <= end) {
        VI lane;
        for (int l = 0; l < LANES; l++) lane[l] = l;
        return v_choose(lane < k - j, v_load(row + j), v_all(fill));
    }
    for (int l = 0; l < LANES; l++) x[l] = j + l < k ? row[j + l] : fill;
    return v_load(x);
}

/* y[g] = x[g] M for a padded matrix M and `n` vectors. */
INLINE void multiply(const int n, const Padded *m, const double *matrix, double *const *x, double *const *y) {
    int64_t j = 0, kp = m->kp;
    for (; j + 2 * LANES <= kp; j += 2 * LANES) {
        V sum[SIDE][2];
        for (int g = 0; g < n; g++) sum[g][0] = sum[g][1] = v_all(0.0);
        for (int64_t i = 0; i < m->k; i++) {
            V a = v_load(matrix + i * kp + j), b = v_load(matrix + i * kp + j + LANES);
            for (int g = 0; g < n; g++) sum[g][0] += a * x[g][i], sum[g][1] += b * x[g][i];
        }
        for (int g = 0; g < n; g++) v_store(y[g] + j, sum[g][0]), v_store(y[g] + j + LANES, sum[g][1]);
    }
    if (j == kp) return;
    V sum[SIDE];
    for (int g = 0; g < n; g++) sum[g] = v_all(0.0);
    for (int64_t i = 0; i < m->k; i++) {
        V a = v_load(matrix + i * kp + j);
        for (int g = 0; g < n; g++) sum[g] += a * x[g][i];
    }
    for (int g = 0; g < n; g++) v_store(y[g] + j, sum[g]);
}

static void multiply_all(int n, const Padded *m, const double *matrix, double *const *x, double *const *y) {
    if (n == SIDE) multiply(SIDE, m, matrix, x, y);
    else
        for (int g = 0; g < n; g++) multiply(1, m, matrix, x + g, y + g);
}

/* The total of many terms with what rounding took from it. */
INLINE void add_term(Track *a, double x) {
    double sum = a->total + x;
    a->carry += fabs(a->total) >= fabs(x) ? (a->total - sum) + x : (x - sum) + a->total;
    a->total = sum;
}

INLINE void add_scale(Track *a, double c) {
    a->product *= c;
    if (a->product < 1e-100 || a->product > 1e100) {
        add_term(a, log(a->product));
        a->product = 1;
    }
}

/* A step whose probabilities are lost beside those of states that cannot be reached: once more with logarithms. */
static double far_step(const Padded *m, Track *a, const double *row, double *shift) {
    double best = -INFINITY, sum = 0;
    for (int64_t j = 0; j < m->k; j++)
        if (a->next[j] > 0 && log(a->next[j]) + row[j] > best) best = log(a->next[j]) + row[j];
    for (int64_t j = 0; j < m->k; j++) {
        a->now[j] = a->next[j] > 0 && best > -INFINITY ? exp(log(a->next[j]) + row[j] - best) : 0;
        sum += a->now[j];
    }
    *shift = best;
    return sum;
}

/* What was lost a step ago enters states that are hardly entered from elsewhere: it may come to matter. */
static int lost_matters(const Padded *m, const Track *a) {
    for (int64_t i = 0; i < m->k; i++)
        if (a->lost[i])
            for (int64_t j = 0; j < m->k; j++)
                if (m->forward[i * m->kp + j] > 0 && a->next[j] < ENOUGH) return 1;
    return 0;
}

static void note_lost(const Padded *m, Track *a, const double *row) {
    a->any_lost = 0;
    for (int64_t j = 0; j < m->k; j++)
        a->any_lost |= a->lost[j] = a->now[j] < TINY && a->next[j] > 0 && row[j] > -INFINITY;
}

/* alpha_t from the prediction in `next`. */
INLINE void forward_finish(const Padded *m, Track *a, int64_t t) {
    const int64_t k = m->k;
    const double *row = a->rows + t * k;
    if (a->any_lost && lost_matters(m, a)) a->status = CHAIN_UNSAFE;
    V most = row_load(row, m->end, 0, k, -INFINITY), sum = v_all(0.0);
    for (int64_t j = LANES; j < m->kp; j += LANES) most = v_larger(most, row_load(row, m->end, j, k, -INFINITY));
    double shift = v_most(most), c;
    shift = shift > -INFINITY ? shift : 0;
    for (int64_t j = 0; j < m->kp; j += LANES) {
        V u = v_load(a->next + j) * v_exp0(row_load(row, m->end, j, k, -INFINITY) - shift);
        v_store(a->now + j, u);
        sum += u;
    }
    c = v_total(sum);
    if (!(c > SUM_TINY)) c = far_step(m, a, row, &shift);
    if (!(c > 0)) {
        if (a->status == CHAIN_OK) a->status = CHAIN_IMPOSSIBLE;
        return;
    }
    double inverse = 1 / c;
    for (int64_t j = 0; j < m->kp; j += LANES) {
        V alpha = v_load(a->now + j) * inverse;
        v_store(a->now + j, alpha);
        row_store(a->out + t * k, alpha, j, k);
    }
    if (!m->dense) note_lost(m, a, row);
    a->scale[t] = inverse, a->shift[t] = shift;
    add_term(a, shift);
    add_scale(a, c);
}

/* Runs those of the n tracks that go on at step t, all in one product. Impossible ones stop. */
static int going(Track *tracks, int n, int64_t t, Track **live, double **now, double **next) {
    int found = 0;
    for (int g = 0; g < n; g++)
        if (tracks[g].length > t && tracks[g].status == CHAIN_OK) {
            live[found] = tracks + g, now[found] = tracks[g].now, next[found] = tracks[g].next;
            found++;
        }
    return found;
}

/* Looks up at some of the steps of SIDE tracks. */
static void look(const Padded *m, int64_t t) {
    int64_t steps = m->kp > WIDE ? 1 : PENDING;
    if (t % steps == 0) region_worked(steps * SIDE * (m->k * m->kp + 32));
}

static void forward(const Padded *m, Track *tracks, int n) {
    Track *live[SIDE];
    double *now[SIDE], *next[SIDE];
    for (int64_t t = 0;; t++) {
        int found = going(tracks, n, t, live, now, next);
        if (!found) return;
        look(m, t);
        if (t) multiply_all(found, m, m->forward, now, next);
        else
            for (int g = 0; g < found; g++) memcpy(next[g], m->start, sizeof(double) * (size_t)m->kp);
        for (int g = 0; g < found; g++) forward_finish(m, live[g], t);
    }
}

/* counts += alphas' ratios for the pairs that wait, ROWS rows at a time. */
static void flush(Padded *m) {
    for (int64_t i = 0; i < m->k; i += ROWS)
        for (int64_t j = 0; j < m->kp; j += LANES) {
            double *to = m->counts + i * m->kp + j;
            V sum[ROWS];
            for (int q = 0; q < ROWS; q++) sum[q] = v_load(to + q * m->kp);
            for (int p = 0; p < m->n_pending; p++) {
                V ratio = v_load(m->ratios + p * m->kp + j);
                for (int q = 0; q < ROWS; q++) sum[q] += ratio * m->alphas[p * m->kp + i + q];
            }
            for (int q = 0; q < ROWS; q++) v_store(to + q * m->kp, sum[q]);
        }
    m->n_pending = 0;
}

/* r_t to `now`, from v_t in `next`. */
INLINE void backward_ratio(const Padded *m, Track *a, int64_t t) {
    const double *row = a->rows + t * m->k, *alpha = a->out + t * m->k;
    double inverse = a->scale[t], shift = a->shift[t];
    for (int64_t j = 0; j < m->kp; j += LANES) {
        V b = v_exp0(row_load(row, m->end, j, m->k, -INFINITY) - shift) * inverse, r = v_load(a->next + j) * b;
        v_store(a->now + j, v_choose(row_load(alpha, m->out_end, j, m->k, 0) > 0.0, r, v_all(0.0)));
    }
}

/* gamma_t = alpha_t * v_t in place; the pair (alpha_t, r_{t+1}) waits to be counted. */
INLINE void backward_finish(Padded *m, Track *a, int64_t t) {
    double *alphas = m->alphas + m->n_pending * m->kp, *ratios = m->ratios + m->n_pending * m->kp;
    double *alpha = a->out + t * m->k;
    V sum = v_all(0.0);
    for (int64_t j = 0; j < m->kp; j += LANES) {
        V filtered = row_load(alpha, m->out_end, j, m->k, 0), gamma = filtered * v_load(a->next + j);
        v_store(alphas + j, filtered);
        v_store(ratios + j, v_load(a->now + j) * a->weight);
        row_store(alpha, gamma, j, m->k);
        sum += gamma;
    }
    if (++m->n_pending == PENDING) flush(m);
    if (t % RENORMALIZE) return;
    double by = 1 / v_total(sum); /* one, up to the rounding of the last steps */
    for (int64_t j = 0; j < m->kp; j += LANES) v_store(a->next + j, v_load(a->next + j) * by);
    for (int64_t j = 0; j < m->k; j++) alpha[j] *= by;
}

static void backward(Padded *m, Track *tracks, int n) {
    Track *live[SIDE];
    double *now[SIDE], *next[SIDE];
    for (int g = 0; g < n; g++)
        for (int64_t j = 0; j < m->kp; j++) tracks[g].next[j] = 1;
    for (int64_t back = 1;; back++) {
        int found = going(tracks, n, back, live, now, next);
        if (!found) return;
        look(m, back);
        for (int g = 0; g < found; g++) backward_ratio(m, live[g], live[g]->length - back);
        multiply_all(found, m, m->backward, now, next);
        for (int g = 0; g < found; g++) backward_finish(m, live[g], live[g]->length - back - 1);
    }
}

static void open_tables(Padded *m, const Chain *c, const double *out) {
    int64_t k = c->k, kp = (k + LANES - 1) / LANES * LANES;
    size_t n = (size_t)(2 * k * kp + kp * kp + kp + 2 * PENDING * kp);
    double *at = grab_zeroed(n, sizeof(double)), least = INFINITY;
    *m = (Padded){.k = k, .kp = kp, .forward = at, .backward = at + k * kp, .counts = at + 2 * k * kp, .dense = 1};
    m->start = m->counts + kp * kp, m->alphas = m->start + kp, m->ratios = m->alphas + PENDING * kp;
    m->end = c->log_likelihood + c->n_rows * k, m->out_end = out + c->n_rows * k;
    memcpy(m->start, c->start, sizeof(double) * (size_t)k);
    for (int64_t i = 0; i < k; i++)
        for (int64_t j = 0; j < k; j++) {
            double p = c->transition[i * k + j];
            m->forward[i * kp + j] = m->backward[j * kp + i] = p;
            if (p > 0 && p < least) least = p;
            if (!(p > 0)) m->dense = 0;
        }
    m->unsafe = least < SMALLEST;
}

/* The scratch of SIDE tracks whose longest sequence has `longest` rows. */
static double *open_tracks(const Padded *m, Track *tracks, int64_t longest) {
    size_t one = (size_t)(2 * longest + 3 * m->kp);
    double *at = grab(sizeof(double) * one * SIDE);
    for (int g = 0; g < SIDE; g++) {
        double *x = at + (size_t)g * one;
        tracks[g] = (Track){.scale = x, .shift = x + longest, .now = x + 2 * longest};
        tracks[g].next = tracks[g].now + m->kp;
        tracks[g].lost = (uint8_t *)(tracks[g].next + m->kp);
    }
    return at;
}

static void begin(const Chain *c, int64_t s, double *out, Track *a, const Padded *m) {
    a->rows = c->log_likelihood + c->offsets[s] * c->k, a->out = out + c->offsets[s] * c->k;
    a->length = c->offsets[s + 1] - c->offsets[s];
    a->total = a->carry = 0, a->product = 1, a->weight = c->weights[s];
    a->status = m->unsafe ? CHAIN_UNSAFE : CHAIN_OK, a->any_lost = 0;
    memset(a->lost, 0, (size_t)m->kp);
}

/* Filters or smooths order[first..last); `counts` [k, k], where given, gains the expected transitions. */
static void run(const Chain *c, int64_t first, int64_t last, double *log_p, double *out, int32_t *status,
                double *counts) {
    Padded m;
    Track tracks[SIDE];
    if (first >= last) return;
    int64_t longest = c->offsets[c->order[first] + 1] - c->offsets[c->order[first]];
    open_tables(&m, c, out);
    double *scratch = open_tracks(&m, tracks, longest);
    for (int64_t at = first; at < last; at += SIDE) {
        int n = last - at < SIDE ? (int)(last - at) : SIDE;
        for (int g = 0; g < n; g++) begin(c, c->order[at + g], out, tracks + g, &m);
        forward(&m, tracks, n);
        if (counts) backward(&m, tracks, n);
        for (int g = 0; g < n; g++) {
            const Track *a = tracks + g;
            status[c->order[at + g]] = a->status;
            log_p[c->order[at + g]] = a->status ? -INFINITY : a->total + (a->carry + log(a->product));
        }
    }
    if (counts) flush(&m);
    for (int64_t i = 0; counts && i < m.k; i++)
        for (int64_t j = 0; j < m.k; j++)
            if (m.forward[i * m.kp + j] > 0) counts[i * m.k + j] += m.counts[i * m.kp + j] * m.forward[i * m.kp + j];
    drop(scratch), drop(m.forward);
}

void chain_forward(const Chain *c, int64_t first, int64_t last, double *log_p, double *out, int32_t *status) {
    run(c, first, last, log_p, out, status, NULL);
}

/* log p(x) of the sequences order[first..last), p(z_t | x) to `out` (with `counts`) or p(z_t | x_1..t) (without), and
 * the expected transitions added to `counts`. What doubles cannot hold is done with logarithms. Where a sequence is
 * impossible its log p is -infinity, its rows are unspecified and it is not counted. */
EXPORT int chain_smooth(const Chain *c, int64_t first, int64_t last, double *log_p, double *out, double *counts,
                        Caller caller) {
    REGION(caller)
    int32_t *status = grab(sizeof(int32_t) * (size_t)(c->n + 1));
    int in_lanes = counts && last - first > 1 && chain_fits_lanes(c, first);
    (in_lanes ? chain_lanes : run)(c, first, last, log_p, out, status, counts);
    for (int64_t i = first; i < last; i++) {
        int64_t s = c->order[i];
        if (in_lanes && status[s] == CHAIN_UNSAFE) run(c, i, i + 1, log_p, out, status, counts);
        if (status[s] == CHAIN_UNSAFE) chain_log_smooth(c, s, log_p + s, out + c->offsets[s] * c->k, counts);
    }
    region_leave();
    return 0;
}
