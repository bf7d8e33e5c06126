/* Samples of the conditionals of mini-buckets, mixed by their weights, with the logarithm of what each is worth.
 *
 * q(v | rest) = sum_r w_r c_r for the conditionals c_r = (f_r / m_r)^(1/w_r) is at least the product of f_r / m_r, so that
 * log w = log F(x) - log q(x) never exceeds the bound U: Liu, Fisher & Ihler 2015. A bucket of one part has q = f / m,
 * which leaves the weight alone: what no bucket of several parts hangs on need not be drawn. */
#include "buckets.h"
#include "vectors.h"

int64_t proposal_places(const Buckets *b, const uint8_t *wanted, int64_t *at) {
    uint8_t *needed = grab_zeroed((size_t)b->t->n + 1, 1);
    int64_t total = 0;
    for (int k = 0; k < b->t->n; k++) {
        const Group *g = &b->groups[k];
        int drawn = g->n > 1 || needed[g->variable] || (wanted && wanted[g->variable]);
        for (int i = g->first; i < g->first + g->n; i++) {
            const Part *p = &b->parts[i];
            at[i] = drawn ? total : -1;
            if (!drawn) continue;
            total += p->size;
            for (int a = 0; a < p->nd; a++) needed[part_scope(b, p)[a]] = 1;
        }
    }
    drop(needed);
    return total;
}

#define LEAST_CONDITIONAL 3e-308

typedef struct {
    const Buckets *b;
    const double *weights, *proposal;
    const int64_t *at;
    uint64_t random;
    int wide;           /* states are 32 bits, else bytes */
    char *x;            /* states [n, BATCH] */
    int32_t *index;     /* where in each part's table a draw is, [parts, BATCH] */
    double *q, *log_w;  /* [states, BATCH], [BATCH] */
} Drawer;

static size_t row_of_states(const Drawer *d) { return BATCH * (d->wide ? sizeof(int32_t) : 1); }

static void *states_of(const Drawer *d, int v) { return d->x + (size_t)v * row_of_states(d); }

static void find_places(const Drawer *d, const Part *p, int32_t *index) {
    const int32_t *scope = part_scope(d->b, p);
    int64_t step = 1;
    memset(index, 0, sizeof(int32_t) * BATCH);
    for (int a = p->nd - 1; a > 0; a--) {
        const void *x = states_of(d, scope[a]);
        if (d->wide)
            for (int i = 0; i < BATCH; i++) index[i] += ((const int32_t *)x)[i] * (int32_t)step;
        else
            for (int i = 0; i < BATCH; i++) index[i] += ((const uint8_t *)x)[i] * (int32_t)step;
        step *= d->b->t->sizes[scope[a]];
    }
}

/* Mixes a part into q; what it rules out stays ruled out, and what is all but ruled out can still be drawn. */
static void mix(const Drawer *d, int part, int k, const int32_t *index) {
    const Part *p = &d->b->parts[part];
    const double *table = d->proposal + d->at[part];
    double w = d->weights[part];
    for (int s = 0; s < k; s++, table += p->rest) {
        double *q = d->q + (int64_t)s * BATCH;
        for (int i = 0; i < BATCH; i++) {
            double c = table[index[i]];
            q[i] = c != 0 ? q[i] + w * (c > 0 ? c : LEAST_CONDITIONAL) : -INFINITY;
        }
    }
}

/* Draws a state in proportion to q, which becomes that of the state in the first row; none where all is ruled out. */
static void choose(Drawer *d, int k, int32_t *x) {
    double total[BATCH] = {0};
    for (int s = 0; s < k; s++)
        for (int i = 0; i < BATCH; i++) {
            double *q = d->q + (int64_t)s * BATCH + i;
            *q = *q > 0 ? *q : 0;
            total[i] += *q;
        }
    for (int i = 0; i < BATCH; i++) {
        double left = next_uniform(&d->random) * total[i];
        int at = -1;
        for (int s = 0; s < k; s++) {
            double q = d->q[(int64_t)s * BATCH + i];
            if (q > 0 && left >= 0) at = s;
            left -= q;
        }
        x[i] = at < 0 ? 0 : at;
        d->q[i] = at < 0 ? 0 : d->q[(int64_t)at * BATCH + i] / total[i];
    }
}

INLINE V log_of(V x) { return v_choose(x > v_all(0), v_log(v_larger(x, v_all(2.3e-308))), v_all(-INFINITY)); }

/* log (f / message) from a part's entry of the proposal. */
INLINE V log_ratio(V c, double w) { return v_choose(c < v_all(0), c, w * log_of(c)); }

/* log w += sum_r w_r log c_r(x) - log q(x). */
static void weigh(const Drawer *d, const Group *g, const int32_t *x) {
    double c[BATCH];
    for (int r = 0; r < g->n; r++) {
        const Part *p = &d->b->parts[g->first + r];
        const double *table = d->proposal + d->at[g->first + r];
        const int32_t *index = d->index + (int64_t)r * BATCH;
        for (int i = 0; i < BATCH; i++) c[i] = table[x[i] * p->rest + index[i]];
        for (int i = 0; i < BATCH; i += LANES)
            v_store(d->log_w + i, v_load(d->log_w + i) + log_ratio(v_load(c + i), d->weights[g->first + r]));
    }
    for (int i = 0; i < BATCH; i += LANES) {
        V q = v_load(d->q + i), w = v_load(d->log_w + i);
        v_store(d->log_w + i, v_choose(q > v_all(0), w - log_of(q), v_all(-INFINITY)));
    }
}

static void keep_states(const Drawer *d, int v, const int32_t *x) {
    uint8_t *bytes = states_of(d, v);
    if (d->wide) memcpy(bytes, x, sizeof(int32_t) * BATCH);
    else
        for (int i = 0; i < BATCH; i++) bytes[i] = (uint8_t)x[i];
}

static void draw_group(Drawer *d, const Group *g) {
    int k = d->b->t->sizes[g->variable];
    int32_t x[BATCH];
    if (d->at[g->first] < 0) return;
    memset(d->q, 0, sizeof(double) * BATCH * (size_t)k);
    for (int r = 0; r < g->n; r++) {
        find_places(d, &d->b->parts[g->first + r], d->index + (int64_t)r * BATCH);
        mix(d, g->first + r, k, d->index + (int64_t)r * BATCH);
    }
    choose(d, k, x);
    keep_states(d, g->variable, x);
    if (g->n > 1) weigh(d, g, x);
    else
        for (int i = 0; i < BATCH; i++)
            if (!(d->q[i] > 0)) d->log_w[i] = -INFINITY;
    region_worked((int64_t)BATCH * g->n * (4 + 4 * k));
}

static void draw_batch(Drawer *d) {
    memset(d->log_w, 0, sizeof(double) * BATCH);
    for (int k = d->b->t->n; k--;) draw_group(d, &d->b->groups[k]);
    for (int i = 0; i < BATCH; i++) d->log_w[i] = d->log_w[i] > 0 ? 0 : d->log_w[i];
}

static Drawer drawer(const Buckets *b, const double *weights, const double *proposal, const int64_t *at, int wide) {
    int most = 1, states = 1;
    for (int k = 0; k < b->t->n; k++) {
        if (b->groups[k].n > most) most = b->groups[k].n;
        if (b->t->sizes[k] > states) states = b->t->sizes[k];
    }
    Drawer d = {.b = b, .weights = weights, .proposal = proposal, .at = at, .wide = wide};
    d.x = grab_zeroed((size_t)(b->t->n + 1), row_of_states(&d));
    d.index = grab(sizeof(int32_t) * BATCH * (size_t)most);
    d.q = grab(sizeof(double) * BATCH * (size_t)states);
    d.log_w = grab(sizeof(double) * BATCH);
    return d;
}

/* Batches of draws: log w - U of each, and the states of the wanted variables [wanted, draws], 32 bits each where
 * `wide`, else bytes. A batch depends on its number and the seed alone. */
void draw_batches(const Buckets *b, const double *weights, const double *proposal, const uint8_t *wanted, uint64_t seed,
                  int64_t first, int64_t n, double *log_w, int wide, void *states) {
    int64_t *at = grab(sizeof(int64_t) * (size_t)(b->n_parts + 1));
    proposal_places(b, wanted, at);
    Drawer d = drawer(b, weights, proposal, at, wide);
    for (int64_t k = 0; k < n; k++) {
        uint64_t own = seed + (uint64_t)(first + k) * 0xD1B54A32D192ED03ull;
        d.random = seeded(own ^ own >> 29);
        draw_batch(&d);
        memcpy(log_w + k * BATCH, d.log_w, sizeof(double) * BATCH);
        char *to = (char *)states + (size_t)k * row_of_states(&d);
        for (int v = 0; v < b->t->n; v++)
            if (wanted && wanted[v])
                memcpy(to, states_of(&d, v), row_of_states(&d)), to += (size_t)n * row_of_states(&d);
    }
}
