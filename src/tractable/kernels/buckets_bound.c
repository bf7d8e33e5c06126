/* The bound of a state, and sweeps that lower it: moments of the parts of each bucket are matched, and weights move along
 * the gradient, from the last bucket to the first. */
#include "buckets.h"
#include "vectors.h"

#define LEAST_WEIGHT 1e-4
#define LEAST_TEMPERATURE 1e-9 /* that is not zero */
#define ROUNDING 4e-15 /* of a part's logarithms, times their size: sums, an exponential, a logarithm */
#define LEAST_LOG (-700.0) /* of a conditional that is kept as it is */

/* Some numbers at the end of a row, and one for each lane that is beyond it. */
INLINE V load_some(const double *x, int64_t n, double beyond) {
    if (n >= LANES) return v_load(x);
    static _Thread_local double some[LANES]; /* on the stack gcc's sanitizer of addresses would not align vectors beside it */
    for (int l = 0; l < LANES; l++) some[l] = l < n ? x[l] : beyond;
    return v_load(some);
}

INLINE void store_some(double *x, int64_t n, V v) {
    if (n >= LANES) {
        v_store(x, v);
        return;
    }
    static _Thread_local double some[LANES];
    v_store(some, v);
    memcpy(x, some, sizeof(double) * (size_t)n);
}

/* message[r] = w log sum_s exp(psi[s, r] / w), for k states s. */
static void message_of(const double *psi, int k, int64_t n, double w, double *message) {
    V inverse = v_all(1 / w), weight = v_all(w);
    IN_PIECES(j, (n + LANES - 1) / LANES, 4 * k * LANES) {
        int64_t r = j * LANES, left = n - r;
        V top = v_all(2 * ZERO_LOG), sum = v_all(0);
        for (int s = 0; s < k; s++) top = v_larger(top, load_some(psi + s * n + r, left, ZERO_LOG));
        for (int s = 0; s < k; s++) sum += v_exp((load_some(psi + s * n + r, left, ZERO_LOG) - top) * inverse);
        store_some(message + r, left, top + weight * v_log(sum));
    }
}

/* to[s, r] = exp((psi[s, r] - message[r]) / w), zero where psi says so. */
static void conditional_of(const double *psi, int k, int64_t n, double w, const double *message, double *to) {
    V inverse = v_all(1 / w);
    IN_PIECES(j, (n + LANES - 1) / LANES, 2 * k * LANES) {
        int64_t r = j * LANES, left = n - r;
        V m = load_some(message + r, left, 0);
        for (int s = 0; s < k; s++) {
            V x = load_some(psi + s * n + r, left, ZERO_LOG);
            store_some(to + s * n + r, left, v_choose(x < v_all(-1e250), v_all(0), v_exp((x - m) * inverse)));
        }
    }
}

/* to = exp((psi - top) / w), zero where psi says so. */
static void exponentials(const double *psi, int64_t n, double top, double w, double *to) {
    V inverse = v_all(1 / w), most = v_all(top);
    IN_PIECES(j, (n + LANES - 1) / LANES, 2 * LANES) {
        V x = load_some(psi + j * LANES, n - j * LANES, ZERO_LOG);
        x = v_choose(x < v_all(-1e250), v_all(0), v_exp((x - most) * inverse));
        store_some(to + j * LANES, n - j * LANES, x);
    }
}

/* The same without a message that is known before. */
static void normalized(const double *psi, int k, int64_t n, double w, double *to) {
    V inverse = v_all(1 / w);
    IN_PIECES(j, (n + LANES - 1) / LANES, 3 * k * LANES) {
        int64_t r = j * LANES, left = n - r;
        V top = v_all(2 * ZERO_LOG), sum = v_all(0);
        for (int s = 0; s < k; s++) top = v_larger(top, load_some(psi + s * n + r, left, ZERO_LOG));
        for (int s = 0; s < k; s++) {
            V x = load_some(psi + s * n + r, left, ZERO_LOG);
            x = v_choose(x < v_all(-1e250), v_all(0), v_exp((x - top) * inverse));
            sum += x;
            store_some(to + s * n + r, left, x);
        }
        V share = v_choose(sum > v_all(0), 1.0 / sum, v_all(0));
        for (int s = 0; s < k; s++) store_some(to + s * n + r, left, share * load_some(to + s * n + r, left, 0));
    }
}

/* The largest size of a number that is not a logarithm of zero; NaN where one is not a number, or infinite. */
static double finite_size(const double *x, int64_t n) {
    double most = 0;
    for (int64_t i = 0; i < n; i++) {
        if (!(x[i] < 1e250)) return NAN;
        if (!IS_ZERO(x[i]) && fabs(x[i]) > most) most = fabs(x[i]);
    }
    return most;
}

/* What rounding may take from a part: its logarithms may cancel, so that the message says nothing of their size. */
static double rounding(Bound *of, int i) {
    const Buckets *b = of->b;
    const Part *p = &b->parts[i];
    const Group *g = &b->groups[p->group];
    double size = of->message_sizes[i] = finite_size(of->messages + p->message_at, p->rest);
    for (int k = 0; k < p->factors.len; k++) size += of->log_sizes[p->factors.at[k]];
    for (int k = 0; k < p->children.len; k++) size += of->message_sizes[p->children.at[k]];
    if (g->n > 1) size += finite_size(shift_of(of, i), g->shift_size);
    return ROUNDING * (1 + size) * (1 + (p->factors.len + p->children.len) / 16.0);
}

/* psi = factors + shift + messages that arrive. */
static void gather(Bound *of, int i) {
    Buckets *b = of->b;
    const Part *p = &b->parts[i];
    const Tables *t = b->t;
    double *psi = of->psi + p->at;
    Axes a;
    memset(psi, 0, sizeof(double) * (size_t)p->size);
    for (int k = 0; k < p->factors.len; k++) {
        int f = p->factors.at[k];
        axes_of(b, p, t->scopes + t->starts[f], (int)(t->starts[f + 1] - t->starts[f]), &a);
        add_onto(psi, &a, of->logs + t->value_starts[f]);
    }
    if (b->groups[p->group].n > 1) shift_axes(b, p, &a), add_onto(psi, &a, shift_of(of, i));
    for (int k = 0; k < p->children.len; k++) {
        const Part *child = &b->parts[p->children.at[k]];
        message_axes(b, child, &a);
        add_onto(psi, &a, of->messages + child->message_at);
    }
    region_worked(p->size * (p->factors.len + p->children.len + 1));
}

/* Constants among the tables, of which no variable has a choice. */
static double constants(const Buckets *b, const double *logs) {
    const Tables *t = b->t;
    double sum = 0;
    for (int k = 0; k < t->m; k++) {
        int choice = 0;
        for (int64_t i = t->starts[k]; i < t->starts[k + 1]; i++) choice |= t->sizes[t->scopes[i]] > 1;
        if (!choice) sum += logs[t->value_starts[k]];
    }
    return sum;
}

/* What n weights sum to, however that is rounded: a sum below one would be no bound. */
static double at_least_one(int n) { return 1 + 1e-15 * (n + 1); }

/* Whether weights are those of a temperature: they sum to it, or hardly more; less would be no bound. */
static int are_weights(const double *w, int n, double temperature) {
    double sum = 0;
    if (!(temperature == 0 || temperature >= LEAST_TEMPERATURE)) return 0;
    for (int i = 0; i < n; i++) {
        if (!(temperature > 0 ? w[i] > 0 : w[i] == 0)) return 0;
        sum += w[i];
    }
    return sum >= temperature * (1 - 1e-15) && sum <= temperature * (1 + 1e-9);
}

/* What the state may lack: what are no weights have no bound, and what shifts miss a sum of zero by is charged. */
static double residue(const Bound *of) {
    const Buckets *b = of->b;
    double slack = 0;
    for (int k = 0; k < b->t->n; k++) {
        const Group *g = &b->groups[k];
        double worst = 0;
        if (!are_weights(of->weights + g->first, g->n, temperature_of(of, g))) return NAN;
        for (int64_t s = 0; s < g->shift_size; s++) {
            double total = 0;
            for (int i = 0; i < g->n; i++) total += of->shifts[g->shift_at + i * g->shift_size + s];
            if (!isfinite(total)) return NAN;
            if (fabs(total) > worst) worst = fabs(total);
        }
        slack += worst + 2e-15 * g->n;
    }
    return slack;
}

/* In place of the marginals: how shifts move so that these become alike. What one part rules out needs no shift. */
static void match(const double *w, int n, int64_t size, double temperature, double step, double *m) {
    for (int64_t c = 0; c < size; c++) {
        double mean = 0, rest = 0;
        int alive = 1;
        for (int i = 0; i < n; i++) alive &= m[i * size + c] > 1e-300;
        for (int i = 0; alive && i < n; i++) mean += w[i] * (m[i * size + c] = log(m[i * size + c]));
        mean /= temperature;
        for (int i = 1; i < n; i++) rest += m[i * size + c] = alive ? step * w[i] * (mean - m[i * size + c]) : 0;
        m[c] = -rest;
    }
    region_worked(20 * n * size);
}

void move_shifts(Bound *of, const Group *g, const double *moves) {
    for (int i = g->first; i < g->first + g->n; i++, moves += g->shift_size) {
        double *shift = shift_of(of, i);
        Axes a;
        for (int64_t c = 0; c < g->shift_size; c++) shift[c] += moves[c];
        if (!of->early && !of->b->parts[i].children.len) continue; /* nobody looks at its psi before it is made anew */
        shift_axes(of->b, &of->b->parts[i], &a);
        add_onto(of->psi + of->b->parts[i].at, &a, moves);
    }
}

/* Shifts of a bucket by what its parts say themselves, before anything comes from above. */
static void match_early(Bound *of, const Group *g) {
    Buckets *b = of->b;
    double *marginals = memset(of->marginals, 0, sizeof(double) * (size_t)(g->n * g->shift_size)), *belief = of->belief;
    Axes a;
    for (int i = 0; i < g->n; i++) {
        const Part *p = &b->parts[g->first + i];
        const double *psi = of->psi + p->at;
        double top = 2 * ZERO_LOG;
        for (int64_t e = 0; e < p->size; e++) top = psi[e] > top ? psi[e] : top;
        exponentials(psi, p->size, top, of->weights[g->first + i], belief);
        shift_axes(b, p, &a);
        sum_onto(marginals + i * g->shift_size, &a, belief);
    }
    match(of->weights + g->first, g->n, g->shift_size, temperature_of(of, g), 1, marginals);
    move_shifts(of, g, marginals);
}

/* message = the power sum over the part's own variable. */
static void pass_up(Bound *of, int i) {
    const Part *p = &of->b->parts[i];
    const double *psi = of->psi + p->at;
    int k = part_states(of->b, p);
    if (of->weights[i] == 0) max_message(psi, k, p->rest, of->messages + p->message_at);
    else message_of(psi, k, p->rest, of->weights[i], of->messages + p->message_at);
}

double bound_forward(Bound *of) {
    Buckets *b = of->b;
    double total = constants(b, of->logs), slack = IS_ZERO(total) ? 0 : ROUNDING * fabs(total);
    for (int i = 0; i < b->n_parts; i++) {
        const Part *p = &b->parts[i];
        const Group *g = &b->groups[p->group];
        if (i == g->first)
            for (int k = 0; k < g->n; k++) gather(of, i + k);
        if (of->early && i == g->first && g->n > 1)
            (temperature_of(of, g) > 0 ? match_early : max_match_early)(of, g);
        pass_up(of, i);
        slack += rounding(of, i);
        if (p->up < 0) total += of->messages[p->message_at], slack += IS_ZERO(total) ? 0 : 2e-16 * fabs(total);
    }
    of->slack = slack += residue(of);
    return of->log_z = isnan(slack) ? NAN : IS_ZERO(total) ? -INFINITY : total + slack;
}

void part_conditional(const Bound *of, int i, double *to) {
    const Part *p = &of->b->parts[i];
    conditional_of(of->psi + p->at, part_states(of->b, p), p->rest, of->weights[i], of->messages + p->message_at, to);
}

void part_proposal(const Bound *of, int i, double *to) {
    const Part *p = &of->b->parts[i];
    const double *psi = of->psi + p->at, *message = of->messages + p->message_at;
    double least = LEAST_LOG * of->weights[i];
    part_conditional(of, i, to);
    for (int64_t e = 0; e < p->size;)
        for (int64_t r = 0; r < p->rest; r++, e++)
            if (!IS_ZERO(psi[e]) && psi[e] - message[r] < least) to[e] = psi[e] - message[r];
    region_worked(p->size);
}

void bound_open(Bound *of, Buckets *b, double *weights, double *shifts, const double *temperatures) {
    const Tables *t = b->t;
    int64_t n = t->value_starts[t->m];
    *of = (Bound){.b = b, .weights = weights, .shifts = shifts, .temperatures = temperatures, .end = INFINITY};
    of->logs = grab(sizeof(double) * (size_t)(n + 1));
    IN_PIECES(i, n, 10) of->logs[i] = t->values[i] > 0 ? log(t->values[i]) : t->values[i] == 0 ? ZERO_LOG : NAN;
    of->log_sizes = grab(sizeof(double) * (size_t)(t->m + 1));
    of->message_sizes = grab(sizeof(double) * (size_t)(b->n_parts + 1));
    for (int k = 0; k < t->m; k++)
        of->log_sizes[k] = finite_size(of->logs + t->value_starts[k], t->value_starts[k + 1] - t->value_starts[k]);
    of->psi = grab(sizeof(double) * (size_t)(b->size + 1));
    of->messages = grab(sizeof(double) * (size_t)(b->rest + 1));
    of->belief = grab(sizeof(double) * (size_t)(b->largest + 1));
    of->marginals = grab(sizeof(double) * (size_t)(b->most_shifts + 1));
    of->above = NULL; /* until there are sweeps */
}

void bound_start(Bound *of) {
    const Buckets *b = of->b;
    memset(of->shifts, 0, sizeof(double) * (size_t)b->shift_size);
    for (int k = 0; k < b->t->n; k++) {
        const Group *g = &b->groups[k];
        for (int i = 0; i < g->n; i++)
            of->weights[g->first + i] = temperature_of(of, g) * (g->n > 1 ? at_least_one(g->n) / g->n : 1);
    }
}

void bound_rescale(const Bound *of, double *weights) {
    const Buckets *b = of->b;
    for (int k = 0; k < b->t->n; k++) {
        const Group *g = &b->groups[k];
        double *w = weights + g->first, t = temperature_of(of, g), sum = 0;
        for (int i = 0; i < g->n; i++) sum += w[i];
        for (int i = 0; i < g->n; i++) w[i] = (sum > 0 ? w[i] / sum : 1.0 / g->n) * (t * (g->n > 1 ? at_least_one(g->n) : 1));
    }
}

/* What a sweep works with: marginals that come from above, and room for one table and for the shifts of one bucket. */
typedef struct {
    Bound *of;
    double step, *above, *belief, *marginals;
} Sweep;

/* p(v | rest) p(rest), in place of the conditional. */
static void believe(const Sweep *s, const Part *p, int k) {
    const double *above = s->above + p->message_at;
    double *belief = s->belief;
    for (int state = 0; state < k; state++, belief += p->rest)
        for (int64_t r = 0; r < p->rest; r++) belief[r] *= above[r];
}

/* The belief is passed on to those whose messages arrived. */
static void pass_down(const Sweep *s, const Part *p) {
    Buckets *b = s->of->b;
    for (int k = 0; k < p->children.len; k++) {
        const Part *child = &b->parts[p->children.at[k]];
        double *above = s->above + child->message_at;
        Axes a;
        message_axes(b, child, &a);
        memset(above, 0, sizeof(double) * (size_t)child->rest);
        sum_onto(above, &a, s->belief);
    }
    region_worked(p->size * (p->children.len + 1));
}

/* The entropy of v given the rest, dU/dw of its part, and the marginal over what is shared. */
static double entropy_and_marginal(const Sweep *s, int i, double *marginal) {
    Bound *of = s->of;
    Buckets *b = of->b;
    const Part *p = &b->parts[i];
    const double *psi = of->psi + p->at, *message = of->messages + p->message_at;
    int k = part_states(b, p);
    double sum = 0;
    part_conditional(of, i, s->belief);
    believe(s, p, k);
    for (int64_t state = 0, e = 0; state < k; state++)
        for (int64_t r = 0; r < p->rest; r++, e++)
            if (s->belief[e] > 0) sum += s->belief[e] * (message[r] - psi[e]);
    const Group *g = &b->groups[p->group];
    Axes a;
    shift_axes(b, p, &a);
    memset(marginal, 0, sizeof(double) * (size_t)g->shift_size);
    sum_onto(marginal, &a, s->belief);
    region_worked(3 * p->size);
    return sum / of->weights[i];
}

/* Weights move against the gradient. */
static void move_weights(double *w, const double *entropy, int n, double temperature, double step) {
    double mean = 0, sum = 0, total = 0;
    for (int i = 0; i < n; i++) mean += (w[i] /= temperature) * entropy[i];
    for (int i = 0; i < n; i++) {
        double by = -4 * step * (entropy[i] - mean);
        sum += w[i] *= exp(by > 3 ? 3 : by < -3 ? -3 : by);
    }
    for (int i = 0; i < n; i++) w[i] = fmax(w[i] / sum, LEAST_WEIGHT), total += w[i];
    for (int i = 0; i < n; i++) w[i] = w[i] / total * (temperature * at_least_one(n));
}

static void improve_group(const Sweep *s, const Group *g) {
    Bound *of = s->of;
    Buckets *b = of->b;
    double *entropy = grab(sizeof(double) * (size_t)g->n), *w = of->weights + g->first, t = temperature_of(of, g);
    for (int i = 0; i < g->n; i++)
        entropy[i] = entropy_and_marginal(s, g->first + i, s->marginals + i * g->shift_size);
    match(w, g->n, g->shift_size, t, s->step, s->marginals);
    move_weights(w, entropy, g->n, t, s->step);
    drop(entropy);
    move_shifts(of, g, s->marginals);
    for (int i = 0; i < g->n; i++) {
        const Part *p = &b->parts[g->first + i];
        if (!p->children.len) continue;
        normalized(of->psi + p->at, part_states(b, p), p->rest, w[i], s->belief);
        believe(s, p, part_states(b, p));
        pass_down(s, p);
    }
}

static void sweep_group(const Sweep *s, const Group *g) {
    Buckets *b = s->of->b;
    for (int i = g->first; i < g->first + g->n; i++)
        if (b->parts[i].up < 0) s->above[b->parts[i].message_at] = 1;
    if (g->n > 1) {
        improve_group(s, g);
        return;
    }
    const Part *p = &b->parts[g->first];
    if (!p->children.len) return;
    part_conditional(s->of, g->first, s->belief);
    believe(s, p, part_states(b, p));
    pass_down(s, p);
}

int bound_improve(Bound *of, double step) {
    Buckets *b = of->b;
    int n_max = 0;
    for (int i = 0; i < b->n_parts; i++) n_max += of->weights[i] == 0;
    if (!of->above) of->above = grab(sizeof(double) * (size_t)(b->rest + 1));
    if (n_max) return n_max == b->n_parts && max_improve(of, step); /* of both there are no sweeps */
    Sweep s = {of, step, of->above, of->belief, of->marginals};
    int k = b->t->n;
    while (k && now_seconds() < of->end) sweep_group(&s, &b->groups[--k]);
    return !k;
}
