/* Forward-backward on chains that run side by side and meet in what they produce: exact, over their joint states.
 *
 * A vector over joint states is an array with an axis for each chain, the last chain the fastest. A step of time is one
 * small matrix for each axis, so it costs J sum(k) multiply-adds and not J^2 (Ghahramani & Jordan 1997, appendix B).
 *
 * forward   p_t = alpha_{t-1} A_0 A_1 ...,  e_t = exp(log p(x_t | z) - shift_t) / c_t,  alpha_t = p_t * e_t
 * backward  r_t = v_t * e_t,  v_{t-1} = A_0 A_1 ... r_t
 * posterior gamma_t = alpha_t * v_t
 * of chain q, expected transitions A_q * sum_t U_q' V_q: U_q is alpha_{t-1} with the matrices before q applied, V_q is
 * r_t with those behind q applied, and the product sums over the other axes.
 *
 * alpha and e are kept for a block of rows at a time; a first pass leaves the alpha before each block.
 * All terms are positive. What doubles cannot hold is told by the status of the sequence, and done with logarithms. */
#include "chain.h"

#define TINY 1e-250
#define BLOCK_BYTES ((int64_t)1 << 21)

typedef struct {
    int64_t m, j, s, n_rows, n;       /* chains, joint states, states of all chains, rows, sequences */
    const int64_t *k;                 /* states of each chain */
    const double *start, *transition; /* of the joint states [j]; of the chains, one after another */
    const double *linear, *base;      /* log p(x_t | z) = sum of linear [n_rows, s] at z + base [groups, j] at z */
    const int32_t *group;             /* of each row */
    const int64_t *offsets, *order;
    const double *weights; /* of the sequences */
    int64_t watched;       /* whether transitions have zeros: then what is lost may come to matter */
} Factorial;

/* The axis of a chain: [outer, k, inner]; rows of the matrices padded to kp. */
typedef struct {
    int64_t k, kp, outer, inner, at;
    double *forward, *backward, *counts;
} Axis;

typedef struct {
    const Factorial *f;
    Axis *axes;
    double *p, *v, *swap, *prefixes; /* of joint states; prefixes: U_q for each q > 0 */
    double *alphas, *ratios, *marks; /* alpha and e of a block; alpha of the row before each block */
    int64_t block, stride;           /* joint states with room for whole vectors */
    double total, carry;
    int status;
} Work;

/* y = x times the matrix on one axis; whole vectors, what they write too much is written over later. */
INLINE void apply(const Axis *a, const double *matrix, const double *restrict x, double *restrict y) {
    const int64_t k = a->k, b = a->inner;
    if (b == 1) {
        for (int64_t o = 0; o < a->outer; o++)
            for (int64_t j = 0; j < k; j += LANES) {
                V sum = v_all(0.0);
                for (int64_t i = 0; i < k; i++) sum += v_load(matrix + i * a->kp + j) * x[o * k + i];
                v_store(y + o * k + j, sum);
            }
        return;
    }
    for (int64_t o = 0; o < a->outer; o++)
        for (int64_t j = 0; j < k; j++)
            for (int64_t c = 0; c < b; c += LANES) {
                V sum = v_all(0.0);
                for (int64_t i = 0; i < k; i++) sum += v_load(x + (o * k + i) * b + c) * matrix[i * a->kp + j];
                v_store(y + (o * k + j) * b + c, sum);
            }
}

/* counts[i, j] += the sum over the other axes of u[., i, .] v[., j, .] */
INLINE void count(const Axis *a, const double *u, const double *v, double weight) {
    const int64_t k = a->k, b = a->inner;
    if (b == 1) {
        for (int64_t o = 0; o < a->outer; o++)
            for (int64_t i = 0; i < k; i++)
                for (int64_t j = 0; j < k; j += LANES) {
                    double *to = a->counts + i * a->kp + j;
                    v_store(to, v_load(to) + v_load(v + o * k + j) * (u[o * k + i] * weight));
                }
        return;
    }
    VI lane;
    for (int l = 0; l < LANES; l++) lane[l] = l;
    for (int64_t i = 0; i < k; i++)
        for (int64_t j = 0; j < k; j++) {
            V sum = v_all(0.0);
            for (int64_t o = 0; o < a->outer; o++) {
                const double *x = u + (o * k + i) * b, *y = v + (o * k + j) * b;
                int64_t c = 0;
                for (; c + LANES <= b; c += LANES) sum += v_load(x + c) * v_load(y + c);
                if (c < b) sum += v_choose(lane < b - c, v_load(x + c) * v_load(y + c), v_all(0.0));
            }
            a->counts[i * a->kp + j] += v_sum(sum) * weight;
        }
}

/* log p(x_t | z) of all joint states to `out`; the largest is returned. */
static double log_likelihoods(const Work *w, int64_t t, double *out) {
    const Factorial *f = w->f;
    const double *linear = f->linear + t * f->s, *base = f->base + (int64_t)f->group[t] * f->j;
    double best = -INFINITY, *sums = w->swap;
    int64_t n = 1;
    sums[0] = 0;
    for (int64_t q = 0; q + 1 < f->m; q++) { /* from the end, so that nothing is read after it is written */
        const Axis *a = w->axes + q;
        for (int64_t o = n - 1; o >= 0; o--)
            for (int64_t i = a->k - 1; i >= 0; i--) sums[o * a->k + i] = sums[o] + linear[a->at + i];
        n *= a->k;
    }
    const Axis *a = w->axes + f->m - 1;
    for (int64_t o = 0; o < n; o++)
        for (int64_t i = 0; i < a->k; i++) {
            double x = sums[o] + linear[a->at + i] + base[o * a->k + i];
            out[o * a->k + i] = x;
            best = x > best ? x : best;
        }
    return best;
}

/* alpha_t to `alpha` and e_t to `ratio`, from p_t. */
static void observe(Work *w, int64_t t, double *alpha, double *ratio) {
    const int64_t j = w->f->j;
    double shift = log_likelihoods(w, t, ratio), c = 0;
    for (int64_t i = j; i < w->stride; i++) ratio[i] = -INFINITY, w->p[i] = 0;
    V sum = v_all(0.0);
    for (int64_t i = 0; i < j; i += LANES) {
        V x = v_load(ratio + i) - shift, e = v_choose(x < -708.0, v_all(0.0), v_exp(x)), u = v_load(w->p + i) * e;
        v_store(ratio + i, e);
        v_store(alpha + i, u);
        sum += u;
    }
    c = v_sum(sum);
    if (!(c > SUM_TINY)) {
        w->status = CHAIN_UNSAFE;
        return;
    }
    double inverse = 1 / c, term = shift + log(c);
    for (int64_t i = 0; i < j; i += LANES) {
        v_store(ratio + i, v_load(ratio + i) * inverse);
        v_store(alpha + i, v_load(alpha + i) * inverse);
    }
    for (int64_t i = 0; w->f->watched && i < j; i++)
        if (alpha[i] < TINY && w->p[i] > 0) w->status = CHAIN_UNSAFE;
    double total = w->total + term;
    w->carry += fabs(w->total) >= fabs(term) ? (w->total - total) + term : (term - total) + w->total;
    w->total = total;
}

/* p_t = alpha_{t-1} A_0 A_1 ..., or the start. */
static void predict(Work *w, const double *before) {
    if (!before) {
        memcpy(w->p, w->f->start, sizeof(double) * (size_t)w->f->j);
        return;
    }
    for (int64_t q = 0; q < w->f->m; q++) {
        double *next = q + 1 == w->f->m ? w->p : w->prefixes + (q % 2) * w->stride;
        apply(w->axes + q, w->axes[q].forward, before, next);
        before = next;
    }
}

/* The marginals of all chains, and the total, of a vector over joint states. */
static double marginals(const Work *w, const double *joint, double *out) {
    const Factorial *f = w->f;
    int64_t n = f->j;
    for (int64_t q = f->m - 1; q >= 0; q--) {
        const Axis *a = w->axes + q;
        double *own = out + a->at;
        n /= a->k;
        for (int64_t i = 0; i < a->k; i++) own[i] = 0;
        for (int64_t o = 0; o < n; o++) {
            double sum = 0;
            for (int64_t i = 0; i < a->k; i++) {
                double x = joint[o * a->k + i];
                own[i] += x, sum += x;
            }
            w->swap[o] = sum;
        }
        joint = w->swap;
    }
    return w->swap[0];
}

/* alpha_t and e_t of a row, to its place in the block. */
static const double *fill(Work *w, int64_t t, int64_t place, const double *before) {
    double *alpha = w->alphas + place * w->stride;
    region_worked(w->f->j * (w->f->s + 16));
    predict(w, before);
    observe(w, t, alpha, w->ratios + place * w->stride);
    return alpha;
}

static void forward(Work *w, int64_t first, int64_t length, double *out) {
    const double *before = NULL;
    for (int64_t t = 0; t < length && !w->status; t++) {
        if (t && t % w->block == 0) {
            double *mark = w->marks + t / w->block * w->stride;
            memcpy(mark, before, sizeof(double) * (size_t)w->stride);
            before = mark;
        }
        before = fill(w, first + t, t % w->block, before);
        if (out && !w->status) marginals(w, before, out + (first + t) * w->f->s);
    }
}

/* gamma_t: its marginals, and added to those of its group; v_t is brought to where gamma_t sums to one. */
static void finish(Work *w, int64_t t, const double *alpha, double weight, double *out, double *joint) {
    const Factorial *f = w->f;
    double *gamma = w->p, *own = out + t * f->s;
    for (int64_t i = 0; i < f->j; i += LANES) v_store(gamma + i, v_load(alpha + i) * v_load(w->v + i));
    double by = 1 / marginals(w, gamma, own);
    for (int64_t i = 0; i < f->s; i++) own[i] *= by;
    for (int64_t i = 0; i < f->j; i += LANES) v_store(w->v + i, v_load(w->v + i) * by);
    if (!joint) return;
    double *to = joint + (int64_t)f->group[t] * f->j;
    for (int64_t i = 0; i < f->j; i++) to[i] += gamma[i] * (by * weight);
}

/* v_{t-1} from v_t, and the expected transitions between the two rows. */
static void back(Work *w, const double *before, const double *alpha, const double *ratio, double weight) {
    const int64_t m = w->f->m;
    region_worked(2 * w->f->j * (w->f->s + 8));
    for (int64_t i = 0; i < w->f->j; i += LANES) {
        V r = v_load(w->v + i) * v_load(ratio + i);
        v_store(w->v + i, v_choose(v_load(alpha + i) > 0.0, r, v_all(0.0)));
    }
    for (int64_t q = 0; q + 1 < m; q++)
        apply(w->axes + q, w->axes[q].forward, q ? w->prefixes + (q - 1) * w->stride : before,
              w->prefixes + q * w->stride);
    for (int64_t q = m - 1; q >= 0; q--) {
        count(w->axes + q, q ? w->prefixes + (q - 1) * w->stride : before, w->v, weight);
        apply(w->axes + q, w->axes[q].backward, w->v, w->swap);
        double *other = w->v;
        w->v = w->swap, w->swap = other;
    }
}

static void backward(Work *w, int64_t first, int64_t length, double weight, double *out, double *joint) {
    for (int64_t i = 0; i < w->stride; i++) w->v[i] = 1;
    for (int64_t begin = (length - 1) / w->block * w->block, end = length; begin >= 0; end = begin, begin -= w->block) {
        const double *mark = begin ? w->marks + begin / w->block * w->stride : NULL, *before = mark;
        for (int64_t t = begin; t < end && end < length; t++) before = fill(w, first + t, t - begin, before);
        for (int64_t t = end - 1; t >= begin; t--) {
            const double *alpha = w->alphas + (t - begin) * w->stride, *ratio = w->ratios + (t - begin) * w->stride;
            finish(w, first + t, alpha, weight, out, joint);
            if (t) back(w, t > begin ? alpha - w->stride : mark, alpha, ratio, weight);
        }
    }
}

static void open_axes(Work *w, const Factorial *f) {
    size_t n = 0;
    w->axes = grab(sizeof(Axis) * (size_t)f->m);
    int64_t outer = 1, at = 0, square = 0;
    for (int64_t q = 0; q < f->m; q++) {
        int64_t k = f->k[q], kp = (k + LANES - 1) / LANES * LANES;
        w->axes[q] = (Axis){.k = k, .kp = kp, .outer = outer, .inner = f->j / outer / k, .at = at};
        n += (size_t)(3 * k * kp);
        outer *= k, at += k;
    }
    double *m = grab_zeroed(n + LANES, sizeof(double));
    for (int64_t q = 0; q < f->m; q++) {
        Axis *a = w->axes + q;
        a->forward = m, a->backward = m + a->k * a->kp, a->counts = a->backward + a->k * a->kp, m += 3 * a->k * a->kp;
        for (int64_t i = 0; i < a->k; i++)
            for (int64_t j = 0; j < a->k; j++)
                a->forward[i * a->kp + j] = a->backward[j * a->kp + i] = f->transition[square + i * a->k + j];
        square += a->k * a->k;
    }
}

/* Rows in a block: all of them where they are few, else about the root of their number. */
static int64_t rows_of_block(const Factorial *f, int64_t longest) {
    if (longest * f->j * 16 <= BLOCK_BYTES) return longest;
    int64_t n = (int64_t)sqrt((double)longest) + 1;
    return n < longest ? n : longest;
}

static void open_work(Work *w, const Factorial *f, int64_t longest) {
    *w = (Work){.f = f, .block = rows_of_block(f, longest)};
    w->stride = (f->j + LANES - 1) / LANES * LANES + LANES;
    int64_t n_prefixes = f->m > 3 ? f->m - 1 : 2, n = 3 + n_prefixes + 2 * w->block + (longest - 1) / w->block + 1;
    open_axes(w, f);
    double *x = grab_zeroed((size_t)(n * w->stride), sizeof(double));
    w->p = x, w->v = x + w->stride, w->swap = w->v + w->stride, w->prefixes = w->swap + w->stride;
    w->alphas = w->prefixes + n_prefixes * w->stride, w->ratios = w->alphas + w->block * w->stride;
    w->marks = w->ratios + w->block * w->stride;
}

/* log p(x) of the sequences order[first..last) and the marginals of the chains [n_rows, s]: with `counts` (of the
 * chains, one after another) given all rows, and the expected transitions are added to it; without, given the rows up
 * to theirs. `joint` [groups, j], where given, gains the joint posteriors of the rows of each group. A sequence that
 * doubles cannot hold has log p NaN, its rows are unspecified and it is not counted. */
EXPORT int factorial_smooth(const Factorial *f, int64_t first, int64_t last, double *log_p, double *out, double *counts,
                            double *joint, Caller caller) {
    if (first >= last) return 0;
    REGION(caller)
    Work w;
    int64_t longest = f->offsets[f->order[first] + 1] - f->offsets[f->order[first]];
    open_work(&w, f, longest);
    for (int64_t i = first; i < last; i++) {
        int64_t s = f->order[i], length = f->offsets[s + 1] - f->offsets[s];
        w.total = w.carry = 0, w.status = CHAIN_OK;
        forward(&w, f->offsets[s], length, counts ? NULL : out);
        log_p[s] = w.status ? NAN : w.total + w.carry;
        if (counts && !w.status) backward(&w, f->offsets[s], length, f->weights[s], out, joint);
    }
    for (int64_t q = 0; q < f->m && counts; q++) {
        const Axis *a = w.axes + q;
        for (int64_t i = 0; i < a->k; i++)
            for (int64_t j = 0; j < a->k; j++, counts++) *counts += a->counts[i * a->kp + j] * a->forward[i * a->kp + j];
    }
    region_leave();
    return 0;
}
