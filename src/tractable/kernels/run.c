/* Runs a contraction tree: one sweep up for log Z, one sweep down for all marginals or the posterior of all table
 * entries, or a walk down for the most probable state or exact samples. The sweep down is the derivative of the sweep up
 * (Darwiche 2003, section 4, there for circuits): the adjoint of a table is its parent's adjoint contracted with its
 * sibling, so no division ever occurs. */
#include "run.h"

static int32_t *copy_legs(const int32_t *legs, int nd) {
    int32_t *out = grab(sizeof(int32_t) * (size_t)(nd + 1));
    if (nd) memcpy(out, legs, sizeof(int32_t) * (size_t)nd);
    return out;
}

/* Measures a given table; one with entries far from one is copied and scaled. */
static void measure(Context *c, Table *t) {
    extent(t->x, t->size, &t->least, &t->most);
    if (c->semiring != SUM_PRODUCT || (t->most > 0x1p-64 && t->most < 0x1p64) || t->most == 0) return;
    const double *given = t->x;
    t->x = table_alloc(c, t->size);
    t->owned = 1;
    memcpy(t->x, given, sizeof(double) * (size_t)t->size);
    t->least = 0; /* look again */
    normalize(c, t);
    if (t->slip > 0) c->unsafe = 1;
}

static int is_one(const Table *t) {
    for (int64_t i = 0; i < t->size; i++)
        if (fabs(t->x[i] - 1.0) > 4e-16) return 0;
    return !t->row_exponent && t->exponent == 0;
}

/* Sums (or maximizes) the axes with out[v] set away. */
static void sum_out(Context *c, const Table *t, const uint8_t *away, Table *out) {
    int32_t order[1024];
    int n_away = 0, k = 0;
    int64_t A = 1, B = 1;
    for (int i = 0; i < t->nd; i++)
        if (away[t->legs[i]]) order[n_away++] = t->legs[i], A *= c->sizes[t->legs[i]];
    k = n_away;
    for (int i = 0; i < t->nd; i++)
        if (!away[t->legs[i]]) order[k++] = t->legs[i], B *= c->sizes[t->legs[i]];
    double *x = table_alloc(c, t->size);
    gather(c, t, order, x);
    memset(out, 0, sizeof *out);
    out->nd = t->nd - n_away;
    out->legs = copy_legs(order + n_away, out->nd);
    out->size = B;
    out->owned = 1;
    out->exponent = t->exponent;
    out->x = table_alloc(c, B);
    if (t->row_exponent) {
        out->row_exponent = grab(sizeof(double) * (size_t)c->n_rows);
        memcpy(out->row_exponent, t->row_exponent, sizeof(double) * (size_t)c->n_rows);
    }
    if (c->semiring == LOG_SUM_EXP)
        IN_PIECES(j, B, 16 * A) {
            double top = -INFINITY, sum = 0;
            for (int64_t i = 0; i < A; i++) top = x[i * B + j] > top ? x[i * B + j] : top;
            if (top > -INFINITY)
                for (int64_t i = 0; i < A; i++) sum += exp(x[i * B + j] - top);
            out->x[j] = top > -INFINITY ? top + log(sum) : top;
        }
    else {
        memcpy(out->x, x, sizeof(double) * (size_t)B);
        IN_PIECES(i, A - 1, B)
            for (int64_t j = 0; j < B; j++) {
                double y = x[(i + 1) * B + j];
                if (c->semiring == SUM_PRODUCT) out->x[j] += y;
                else if (y > out->x[j]) out->x[j] = y;
            }
    }
    table_release(c, x);
    out->least = t->least;
    out->most = (double)A * t->most;
    normalize(c, out);
    out->constant = c->semiring == SUM_PRODUCT && is_one(out);
}

/* Another name for t; it stays the owner of its entries. */
static void borrow(const Run *r, const Table *t, Table *out) {
    *out = *t;
    out->owned = 0;
    out->legs = copy_legs(t->legs, t->nd);
    if (!t->row_exponent) return;
    out->row_exponent = grab(sizeof(double) * (size_t)r->c.n_rows);
    memcpy(out->row_exponent, t->row_exponent, sizeof(double) * (size_t)r->c.n_rows);
}

static void load_leaf(Run *r, int j, const double *values) {
    const Network *net = r->c.net;
    Table *f = &r->full[j], *t = &r->node[j];
    f->nd = (int)(net->starts[j + 1] - net->starts[j]);
    f->legs = copy_legs(net->scopes + net->starts[j], f->nd);
    f->size = 1;
    for (int i = 0; i < f->nd; i++) f->size *= r->c.sizes[f->legs[i]];
    f->x = (double *)(uintptr_t)values;
    if (f->nd && f->legs[f->nd - 1] == r->c.row) f->row_exponent = grab_zeroed((size_t)r->c.n_rows, sizeof(double));
    if (r->c.semiring != SUM_PRODUCT) {
        f->x = table_alloc(&r->c, f->size);
        f->owned = 1;
        IN_PIECES(i, f->size, 8) f->x[i] = log(values[i]);
    }
    measure(&r->c, f);
    int lone = 0;
    for (int i = 0; i < f->nd; i++) lone |= r->alone[f->legs[i]];
    if (lone) {
        sum_out(&r->c, f, r->alone, t);
    } else {
        borrow(r, f, t);
    }
}

/* Whether the product is the second table itself: the first is one everywhere and adds no axis. */
static int passes_through(const Run *r, const Table *one, const Table *t, int n_dropped) {
    if (!one->constant || n_dropped) return 0;
    for (int k = 0; k < t->nd; k++) r->c.mark[t->legs[k]] = 1;
    int inside = 1;
    for (int k = 0; k < one->nd; k++) inside = inside && r->c.mark[one->legs[k]];
    for (int k = 0; k < t->nd; k++) r->c.mark[t->legs[k]] = 0;
    return inside;
}

static void sweep_up(Run *r, int keep_tables) {
    int m = r->c.net->m;
    Ints dropped = {0};
    for (int i = 0; i < m - 1; i++) {
        Table *a = &r->node[r->pairs[2 * i]], *b = &r->node[r->pairs[2 * i + 1]];
        dropped.len = 0;
        for (int k = 0; k < a->nd; k++) r->c.mark[a->legs[k]] = 1;
        for (int k = 0; k < b->nd; k++) {
            int v = b->legs[k];
            if (r->c.mark[v] && --r->count[v] == 1 && !r->keep[v]) {
                r->drop[v] = 1;
                ints_push(&dropped, v);
            }
        }
        for (int k = 0; k < a->nd; k++) r->c.mark[a->legs[k]] = 0;
        Table *out = &r->node[m + i];
        int through = passes_through(r, a, b, dropped.len) ? 2 : passes_through(r, b, a, dropped.len) ? 1 : 0;
        Table *same = through == 2 ? b : a;
        if (!through) contract(&r->c, a, b, r->drop, out);
        else borrow(r, same, out);
        for (int k = 0; k < dropped.len; k++) r->drop[dropped.at[k]] = 0;
        if (!keep_tables) {
            if (through) out->owned = same->owned, same->owned = 0;
            table_free(&r->c, a);
            table_free(&r->c, b);
        }
    }
    drop(dropped.at);
}

static void adjoint_of(Run *r, const Table *up, const Table *child, const Table *sibling, int may_borrow, Table *out) {
    for (int k = 0; k < up->nd; k++) r->drop[up->legs[k]] = !r->keep[up->legs[k]];
    for (int k = 0; k < child->nd; k++) r->drop[child->legs[k]] = 0;
    int n_dropped = 0;
    for (int k = 0; k < up->nd; k++) n_dropped += r->drop[up->legs[k]];
    if (may_borrow && passes_through(r, sibling, up, n_dropped)) borrow(r, up, out);
    else contract(&r->c, up, sibling, r->drop, out);
    for (int k = 0; k < up->nd; k++) r->drop[up->legs[k]] = 0;
}

/* The marginal of v from a table and its adjoint, normalized in each evidence row, to out[state][row]; of maxima the
 * logarithm of the largest product with each state, up to a constant. */
static void marginal(Run *r, const Table *t, const Table *adjoint, int v, double *out) {
    Table z;
    for (int k = 0; k < t->nd; k++) r->drop[t->legs[k]] = t->legs[k] != v && !r->keep[t->legs[k]];
    contract(&r->c, t, adjoint, r->drop, &z);
    for (int k = 0; k < t->nd; k++) r->drop[t->legs[k]] = 0;
    int64_t S = r->c.sizes[v], R = r->c.row >= 0 && z.nd == 2 ? r->c.n_rows : 1;
    for (int64_t i = 0; i < R; i++) {
        double top = -INFINITY, sum = 0;
        if (r->c.semiring == LOG_SUM_EXP) {
            for (int64_t s = 0; s < S; s++) top = z.x[s * R + i] > top ? z.x[s * R + i] : top;
            for (int64_t s = 0; s < S; s++) z.x[s * R + i] = exp(z.x[s * R + i] - top);
        }
        if (r->c.semiring == MAX_PLUS) {
            for (int64_t s = 0; s < S; s++) out[s] = z.x[s];
            continue;
        }
        for (int64_t s = 0; s < S; s++) sum += z.x[s * R + i];
        if (z.slip > 0 && !(z.slip < 1e-14 * sum)) r->c.unsafe = 1;
        for (int64_t s = 0; s < S; s++) out[s * R + i] = z.x[s * R + i] / sum;
    }
    if (R < r->c.n_rows && r->c.row >= 0) /* no evidence reaches v: the same in every row */
        for (int64_t s = S - 1; s >= 0; s--)
            for (int64_t i = r->c.n_rows - 1; i >= 0; i--) out[s * r->c.n_rows + i] = out[s];
    table_free(&r->c, &z);
}

/* Underflow may have taken t->slip from entries of t, and likewise of its adjoint: can that be felt in Z? */
static int loss_matters(Run *r, const Table *t, const Table *adjoint) {
    if (t->slip == 0 && adjoint->slip == 0) return 0;
    Table z;
    double own = 0, others = 0;
    IN_PIECES(i, t->size, 1) own += t->x[i];
    IN_PIECES(i, adjoint->size, 1) others += adjoint->x[i];
    for (int k = 0; k < t->nd; k++) r->drop[t->legs[k]] = 1;
    contract(&r->c, t, adjoint, r->drop, &z);
    for (int k = 0; k < t->nd; k++) r->drop[t->legs[k]] = 0;
    double total = ldexp(z.x[0], (int)(z.exponent - t->exponent - adjoint->exponent));
    table_free(&r->c, &z);
    return !(t->slip * others + adjoint->slip * own < 1e-14 * total);
}

typedef struct {
    int32_t *place;   /* per variable: the node that gives its marginal */
    uint8_t *needed;  /* per node: its adjoint is needed */
    int32_t *next, *first; /* variables of a node, as linked lists */
} Places;

static void choose_places(Run *r, Places *p, int entries) {
    const Network *net = r->c.net;
    int nodes = 2 * net->m - 1;
    double *best = grab(sizeof(double) * (size_t)(net->n + 1));
    p->place = grab(sizeof(int32_t) * (size_t)(net->n + 1));
    p->next = grab(sizeof(int32_t) * (size_t)(net->n + 1));
    p->first = grab(sizeof(int32_t) * (size_t)(nodes + 1));
    p->needed = grab_zeroed((size_t)nodes + 1, 1);
    for (int v = 0; v < net->n; v++) p->place[v] = -1, best[v] = INFINITY;
    for (int i = net->m; i < nodes; i++)
        for (int k = 0; k < r->node[i].nd; k++) {
            int v = r->node[i].legs[k];
            if ((double)r->node[i].size < best[v]) best[v] = (double)r->node[i].size, p->place[v] = i;
        }
    for (int j = 0; j < net->m; j++)
        for (int k = 0; k < r->full[j].nd; k++) {
            int v = r->full[j].legs[k];
            if (p->place[v] >= net->m || (double)r->full[j].size >= best[v]) continue;
            best[v] = (double)r->full[j].size;
            p->place[v] = j;
        }
    for (int i = 0; i < nodes; i++) p->first[i] = -1, p->needed[i] = entries || i >= net->m;
    for (int v = 0; v < net->n && !entries; v++) {
        if (p->place[v] < 0 || r->keep[v]) continue;
        p->needed[p->place[v]] = 1;
        p->next[v] = p->first[p->place[v]];
        p->first[p->place[v]] = v;
    }
    drop(best);
}

static void marginals_of(Run *r, const Places *p, int i, const Table *adjoint, const int64_t *out_start, double *out) {
    for (int v = p->first[i]; v >= 0; v = p->next[v]) {
        if (!r->alone[v]) {
            marginal(r, &r->node[i], adjoint, v, out + out_start[v]);
            continue;
        }
        Table part; /* v left this leaf at once: bring it back without the other such axes */
        r->alone[v] = 0;
        sum_out(&r->c, &r->full[i], r->alone, &part);
        r->alone[v] = 1;
        marginal(r, &part, adjoint, v, out + out_start[v]);
        table_free(&r->c, &part);
    }
}

static int sweep_down(Run *r, double *out, int entries) {
    const Network *net = r->c.net;
    int m = net->m, nodes = 2 * m - 1, unsafe = 0;
    Places p;
    choose_places(r, &p, entries);
    int64_t *out_start = grab(sizeof(int64_t) * (size_t)((entries ? m : net->n) + 1));
    out_start[0] = 0;
    for (int j = 0; j < m && entries; j++) out_start[j + 1] = out_start[j] + r->full[j].size;
    for (int v = 0; v < net->n && !entries; v++) {
        int64_t len = r->c.sizes[v] * r->c.n_rows;
        double apart = r->c.semiring == MAX_PLUS ? r->node[nodes - 1].x[0] : 1.0 / r->c.sizes[v];
        out_start[v + 1] = out_start[v] + len;
        for (int64_t i = 0; p.place[v] < 0 && i < len; i++) out[out_start[v] + i] = apart;
    }
    Table *adjoint = grab_zeroed((size_t)nodes + 1, sizeof(Table));
    Table *root = &r->node[nodes - 1], *one = &adjoint[nodes - 1];
    one->nd = root->nd;
    one->legs = copy_legs(root->legs, root->nd);
    one->size = root->size;
    one->x = table_alloc(&r->c, root->size);
    one->owned = 1;
    one->least = one->most = 1;
    for (int64_t i = 0; i < one->size; i++) one->x[i] = r->c.semiring == SUM_PRODUCT ? 1.0 : 0.0;
    if (root->nd) one->row_exponent = grab_zeroed((size_t)r->c.n_rows, sizeof(double));
    for (int i = nodes - 1; i >= 0 && !unsafe; i--) {
        Table *up = &adjoint[i];
        if (!p.needed[i] || !up->legs) continue;
        if (entries && i < m) posterior_of(&r->c, &r->full[i], up, out + out_start[i]);
        if (p.first[i] >= 0) marginals_of(r, &p, i, up, out_start, out);
        if (r->c.row < 0 && r->c.semiring == SUM_PRODUCT) unsafe = loss_matters(r, &r->node[i], up);
        if (i >= m) {
            int a = r->pairs[2 * (i - m)], b = r->pairs[2 * (i - m) + 1];
            if (p.needed[a]) adjoint_of(r, up, &r->node[a], &r->node[b], 1, &adjoint[a]);
            if (p.needed[b]) adjoint_of(r, up, &r->node[b], &r->node[a], adjoint[a].x != up->x, &adjoint[b]);
            /* an adjoint borrowed from `up` takes its entries over; only one of the two can */
            Table *heir = adjoint[a].x == up->x ? &adjoint[a] : adjoint[b].x == up->x ? &adjoint[b] : NULL;
            if (heir) heir->owned = up->owned, up->owned = 0;
        }
        table_free(&r->c, &r->node[i]);
        table_free(&r->c, up);
    }
    for (int i = 0; i < nodes; i++) table_free(&r->c, &adjoint[i]);
    drop(adjoint), drop(p.place), drop(p.needed), drop(p.next), drop(p.first), drop(out_start);
    return unsafe;
}

static int64_t count_variables(Run *r, double *exponent) {
    const Network *net = r->c.net;
    for (int64_t i = 0; i < net->starts[net->m]; i++) r->count[net->scopes[i]]++;
    for (int v = 0; v < net->n; v++) {
        r->alone[v] = r->count[v] == 1 && !r->keep[v];
        if (!r->count[v] && !r->keep[v] && r->c.semiring != MAX_PLUS) *exponent += log2((double)r->c.sizes[v]);
    }
    return 0;
}

/* log Z, or its vector over the evidence rows, from the root's table. */
static int read_root(Run *r, const Table *top, double exponent, Answer *to) {
    int status = OK;
    double ln2 = 0.693147180559945309417;
    for (int64_t i = 0; i < r->c.n_rows; i++) {
        double x = top->size > 1 ? top->x[i] : top->x[0];
        double e = top->exponent + exponent + (top->row_exponent ? top->row_exponent[i] : 0);
        to->log_z[i] = (r->c.semiring == SUM_PRODUCT ? log(x) : x) + e * ln2;
        if (r->c.semiring == SUM_PRODUCT ? x <= 0 : x == -INFINITY) status = ZERO;
    }
    return status;
}

/* The root's table over the kept variables. */
static int copy_root(Run *r, const Table *top, double exponent, Answer *to) {
    int32_t order[1024];
    int k = 0;
    for (int v = 0; v < r->c.net->n; v++)
        if (r->keep[v]) order[k++] = v;
    gather(&r->c, top, order, to->root);
    to->log_z[0] = (top->exponent + exponent) * 0.693147180559945309417;
    return r->c.risky || r->c.unsafe ? UNSAFE : OK;
}

static void run_open(Run *r, const Job *job) {
    size_t n = (size_t)job->net->n + 1, m = (size_t)job->net->m + 1;
    *r = (Run){.pairs = job->pairs, .keep = job->net->keep};
    r->c = (Context){.net = job->net, .sizes = job->sizes, .semiring = job->semiring, .row = job->row};
    r->c.blas = job->blas;
    r->c.n_rows = job->row >= 0 ? job->sizes[job->row] : 1;
    r->c.mark = grab_zeroed(n, 1);
    r->c.scratch = grab(sizeof(int64_t) * SCRATCH);
    r->drop = grab_zeroed(n, 1);
    r->alone = grab_zeroed(n, 1);
    r->count = grab_zeroed(n, sizeof(int32_t));
    r->full = grab_zeroed(m, sizeof(Table));
    r->node = grab_zeroed(2 * m, sizeof(Table));
}

int run_job(const Job *job, Answer *to) {
    Run run, *r = &run;
    int m = job->net->m, task = job->task, row = job->row, down = task == MARGINALS || task == ENTRIES;
    double exponent = 0;
    run_open(r, job);
    count_variables(r, &exponent);
    for (int j = 0; j < m; j++) load_leaf(r, j, job->values[j]);
    sweep_up(r, task != EVIDENCE);
    Table *top = &r->node[2 * m - 2];
    int status = to->root ? copy_root(r, top, exponent, to) : read_root(r, top, exponent, to);
    if (!to->root && (r->c.unsafe || (r->c.risky && (status == ZERO || !down || row >= 0)))) status = UNSAFE;
    if (down && (status == OK || (row >= 0 && status == ZERO)))
        status = sweep_down(r, to->marginals, task == ENTRIES) || r->c.unsafe || (row >= 0 && r->c.risky) ? UNSAFE : status;
    if (task == WALK && status != ZERO) walk_down(r, to->n_samples, to->uniforms, to->states);
    to->peak = r->c.peak;
    return status;
}
