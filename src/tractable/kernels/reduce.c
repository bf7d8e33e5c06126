/* Conditioning: what is left of a network of tables when some variables are observed.
 *
 * States that no nonzero entry supports are removed until nothing changes (generalized arc consistency: Mackworth 1977,
 * here on the supports of the tables), variables with one remaining state leave the scopes, tables whose scope lies
 * within another's are multiplied into it. Tables are scaled by powers of two, so nothing is rounded away. */
#include "kernels.h"

typedef struct {
    int nd, alive, has_zero, queued;
    int32_t *scope;
    double *values;
    int64_t size;
    double least, most; /* smallest nonzero and largest entry, after scaling */
} Factor;

typedef struct {
    int n, m;
    int32_t *sizes;       /* remaining numbers of states */
    int64_t *state_start; /* of variable v in `kept` */
    int32_t *kept;        /* remaining states of each variable, ascending */
    int32_t *index;       /* new number of a free variable, -1 if fixed */
    int n_free;
    int impossible;
    double exponent;      /* of two, taken out of the tables */
    double constant;      /* product of tables over no variable, mantissa */
    Factor *factors;
    int64_t *of_start;
    int32_t *of;          /* factors of each variable */
    int32_t *scope_buffer;
    double *value_buffer;
} Reduced;

static void scale_constant(Reduced *r, double x) {
    int e;
    r->constant = frexp(r->constant * x, &e);
    r->exponent += e;
    if (r->constant == 0) r->impossible = 1;
}

/* Walks the entries of factor f whose states all remain; returns whether a state lost its support. */
static int revise(Reduced *r, Factor *f, uint8_t *supported, const int32_t *old_sizes) {
    int nd = f->nd, changed = 0;
    int64_t stride[512], base = 0;
    int32_t at[512];
    const int32_t *dom[512];
    int32_t len[512];
    if (nd > 512) return 0; /* wider scopes are only ever made of one-state variables: nothing to learn from them */
    int64_t s = 1;
    for (int i = nd - 1; i >= 0; i--) {
        int v = f->scope[i];
        stride[i] = s;
        s *= old_sizes[v];
        at[i] = 0;
        dom[i] = r->kept + r->state_start[v];
        len[i] = r->sizes[v];
        memset(supported + r->state_start[v], 0, (size_t)old_sizes[v]);
        base += stride[i] * dom[i][0];
    }
    for (;;) {
        if (f->values[base] != 0)
            for (int i = 0; i < nd; i++) supported[r->state_start[f->scope[i]] + dom[i][at[i]]] = 1;
        int i = nd - 1;
        for (; i >= 0; i--) {
            base -= stride[i] * dom[i][at[i]];
            if (++at[i] < len[i]) {
                base += stride[i] * dom[i][at[i]];
                break;
            }
            at[i] = 0;
            base += stride[i] * dom[i][0];
        }
        if (i < 0) break;
    }
    for (int i = 0; i < nd; i++) {
        int v = f->scope[i], k = 0;
        int32_t *kept = r->kept + r->state_start[v];
        for (int j = 0; j < r->sizes[v]; j++)
            if (supported[r->state_start[v] + kept[j]]) kept[k++] = kept[j];
        if (k < r->sizes[v]) {
            changed = 1;
            r->sizes[v] = k;
            for (int64_t j = r->of_start[v]; j < r->of_start[v + 1]; j++) {
                Factor *g = &r->factors[r->of[j]];
                if (g != f && g->has_zero) g->queued |= 2;
            }
            if (!k) {
                r->impossible = 1;
                return 1;
            }
        }
    }
    return changed;
}

static void propagate(Reduced *r, const int32_t *old_sizes) {
    size_t states = (size_t)r->state_start[r->n] + 1;
    uint8_t *supported = malloc(states);
    int32_t *queue = malloc(sizeof(int32_t) * (size_t)(r->m + 1));
    int head = 0, count = 0;
    for (int j = 0; j < r->m; j++)
        if (r->factors[j].has_zero && r->factors[j].nd) queue[count++] = j, r->factors[j].queued = 1;
    while (count && !r->impossible) {
        Factor *f = &r->factors[queue[head]];
        head = (head + 1) % (r->m + 1);
        count--;
        f->queued = 0;
        if (!revise(r, f, supported, old_sizes)) continue;
        for (int i = 0; i < f->nd; i++) {
            int v = f->scope[i];
            for (int64_t j = r->of_start[v]; j < r->of_start[v + 1]; j++) {
                Factor *g = &r->factors[r->of[j]];
                if (g->queued == 2) {
                    g->queued = 1;
                    queue[(head + count++) % (r->m + 1)] = r->of[j];
                }
            }
        }
    }
    free(supported), free(queue);
}

/* Keeps the entries of the remaining states, drops axes of one state, scales the maximum to [1/2, 1). */
static void slice(Reduced *r, Factor *f, const int32_t *old_sizes) {
    int nd = f->nd, k = 0;
    int64_t *stride = malloc(sizeof(int64_t) * (size_t)(nd + 1)), base = 0, s = 1, out = 0;
    int32_t *at = calloc((size_t)nd + 1, sizeof(int32_t));
    int whole = 1;
    for (int i = nd - 1; i >= 0; i--) {
        int v = f->scope[i];
        stride[i] = s;
        s *= old_sizes[v];
        base += stride[i] * r->kept[r->state_start[v]];
        if (r->sizes[v] != old_sizes[v]) whole = 0;
    }
    if (!whole) {
        for (;;) {
            f->values[out++] = f->values[base];
            int i = nd - 1;
            for (; i >= 0; i--) {
                const int32_t *dom = r->kept + r->state_start[f->scope[i]];
                base -= stride[i] * dom[at[i]];
                if (++at[i] < r->sizes[f->scope[i]]) {
                    base += stride[i] * dom[at[i]];
                    break;
                }
                at[i] = 0;
                base += stride[i] * dom[0];
            }
            if (i < 0) break;
        }
        f->size = out;
    }
    for (int i = 0; i < nd; i++)
        if (r->sizes[f->scope[i]] > 1) f->scope[k++] = f->scope[i];
    f->nd = k;
    free(stride), free(at);
}

static void rescale(Reduced *r, Factor *f) {
    double top = 0, least = INFINITY;
    for (int64_t i = 0; i < f->size; i++) {
        double x = f->values[i];
        if (x > top) top = x;
        if (x > 0 && x < least) least = x;
    }
    f->has_zero = 0;
    f->least = least, f->most = top;
    if (top == 0) {
        r->impossible = 1;
        return;
    }
    int e;
    frexp(top, &e);
    if (ldexp(least, -e) < 1e-290) return; /* scaling would lose the smallest entries */
    if (e > 1 || e < -1) {
        for (int64_t i = 0; i < f->size; i++) f->values[i] = ldexp(f->values[i], -e);
        r->exponent += e;
        f->least = ldexp(least, -e), f->most = ldexp(top, -e);
    }
}

/* big *= small, where small's scope lies within big's. */
static void multiply_into(const Reduced *r, Factor *big, const Factor *small) {
    int nd = big->nd;
    int64_t step[512], off = 0, s = 1;
    int32_t at[512];
    for (int i = 0; i < nd; i++) step[i] = 0, at[i] = 0;
    for (int k = small->nd - 1; k >= 0; k--) {
        for (int i = 0; i < nd; i++)
            if (big->scope[i] == small->scope[k]) step[i] = s;
        s *= r->sizes[small->scope[k]];
    }
    for (int64_t i = 0; i < big->size; i++) {
        big->values[i] *= small->values[off];
        for (int d = nd - 1; d >= 0; d--) {
            off += step[d];
            if (++at[d] < r->sizes[big->scope[d]]) break;
            off -= step[d] * at[d];
            at[d] = 0;
        }
    }
}

static int absorbed_by(const Reduced *r, int j, const int32_t *degree) {
    const Factor *f = &r->factors[j];
    int rare = f->scope[0], best = -1;
    for (int i = 1; i < f->nd; i++)
        if (degree[f->scope[i]] < degree[rare]) rare = f->scope[i];
    for (int64_t k = r->of_start[rare]; k < r->of_start[rare + 1]; k++) {
        int g = r->of[k];
        const Factor *big = &r->factors[g];
        if (g == j || !big->alive || big->nd < f->nd || big->nd > 512) continue;
        if (best >= 0 && big->size >= r->factors[best].size) continue;
        int inside = 1;
        for (int i = 0; i < f->nd && inside; i++) {
            inside = 0;
            for (int d = 0; d < big->nd; d++)
                if (big->scope[d] == f->scope[i]) {
                    inside = 1;
                    break;
                }
        }
        if (inside && big->least * f->least > 1e-250 && big->most * f->most < 1e250) best = g;
    }
    return best;
}

static void absorb(Reduced *r) {
    int32_t *degree = calloc((size_t)r->n + 1, sizeof(int32_t));
    int widest = 0;
    for (int j = 0; j < r->m; j++) {
        if (!r->factors[j].alive) continue;
        if (r->factors[j].nd > widest) widest = r->factors[j].nd;
        for (int i = 0; i < r->factors[j].nd; i++) degree[r->factors[j].scope[i]]++;
    }
    for (int nd = 1; nd <= widest; nd++)
        for (int j = 0; j < r->m; j++) {
            Factor *f = &r->factors[j];
            if (!f->alive || f->nd != nd || r->impossible) continue;
            int g = absorbed_by(r, j, degree);
            if (g < 0) continue;
            multiply_into(r, &r->factors[g], f);
            rescale(r, &r->factors[g]);
            f->alive = 0;
            for (int i = 0; i < nd; i++) degree[f->scope[i]]--;
        }
    free(degree);
}

/* A variable that is neither observed nor asked for, and is a child alone, has a table that sums to one: drop it. */
static void drop_barren(Reduced *r, const int32_t *child, const uint8_t *wanted) {
    int32_t *degree = calloc((size_t)r->n + 1, sizeof(int32_t));
    int32_t *own = malloc(sizeof(int32_t) * (size_t)(r->n + 1));
    Ints stack = {0};
    for (int v = 0; v < r->n; v++) own[v] = -1;
    for (int j = 0; j < r->m; j++) {
        if (child[j] >= 0) own[child[j]] = j;
        for (int i = 0; i < r->factors[j].nd; i++) degree[r->factors[j].scope[i]]++;
    }
    for (int v = 0; v < r->n; v++)
        if (own[v] >= 0 && degree[v] == 1 && !wanted[v]) ints_push(&stack, v);
    while (stack.len) {
        int v = stack.at[--stack.len];
        Factor *f = &r->factors[own[v]];
        if (!f->alive) continue;
        f->alive = 0;
        r->sizes[v] = 1; /* its total is one, whatever its state */
        for (int i = 0; i < f->nd; i++) {
            int u = f->scope[i];
            if (--degree[u] == 1 && own[u] >= 0 && !wanted[u] && r->factors[own[u]].alive) ints_push(&stack, u);
        }
        f->nd = 0;
        f->has_zero = 0;
    }
    free(degree), free(own), free(stack.at);
}

static void load(Reduced *r, const int32_t *sizes, const int64_t *starts, const int32_t *scopes,
                 const int64_t *value_starts, const double *values, const int32_t *evidence) {
    int n = r->n, m = r->m;
    r->sizes = malloc(sizeof(int32_t) * (size_t)(n + 1));
    r->index = malloc(sizeof(int32_t) * (size_t)(n + 1));
    r->state_start = malloc(sizeof(int64_t) * (size_t)(n + 2));
    r->of_start = calloc((size_t)n + 2, sizeof(int64_t));
    r->of = malloc(sizeof(int32_t) * (size_t)(starts[m] + 1));
    r->factors = calloc((size_t)m + 1, sizeof(Factor));
    r->scope_buffer = malloc(sizeof(int32_t) * (size_t)(starts[m] + 1));
    r->value_buffer = malloc(sizeof(double) * (size_t)(value_starts[m] + 1));
    memcpy(r->scope_buffer, scopes, sizeof(int32_t) * (size_t)starts[m]);
    memcpy(r->value_buffer, values, sizeof(double) * (size_t)value_starts[m]);
    r->state_start[0] = 0;
    for (int v = 0; v < n; v++) r->state_start[v + 1] = r->state_start[v] + sizes[v];
    r->kept = malloc(sizeof(int32_t) * (size_t)(r->state_start[n] + 1));
    for (int v = 0; v < n; v++) {
        int32_t *kept = r->kept + r->state_start[v];
        r->sizes[v] = evidence[v] >= 0 ? 1 : sizes[v];
        if (evidence[v] >= 0) kept[0] = evidence[v];
        else
            for (int s = 0; s < sizes[v]; s++) kept[s] = s;
    }
    for (int j = 0; j < m; j++) {
        Factor *f = &r->factors[j];
        f->alive = 1;
        f->nd = (int)(starts[j + 1] - starts[j]);
        f->scope = r->scope_buffer + starts[j];
        f->values = r->value_buffer + value_starts[j];
        f->size = value_starts[j + 1] - value_starts[j];
        for (int64_t i = 0; i < f->size; i++) f->has_zero |= f->values[i] == 0;
        for (int i = 0; i < f->nd; i++) r->of_start[f->scope[i] + 1]++;
    }
    for (int v = 0; v < n; v++) r->of_start[v + 1] += r->of_start[v];
    int64_t *fill = malloc(sizeof(int64_t) * (size_t)(n + 1));
    memcpy(fill, r->of_start, sizeof(int64_t) * (size_t)(n + 1));
    for (int j = 0; j < m; j++)
        for (int i = 0; i < r->factors[j].nd; i++) r->of[fill[r->factors[j].scope[i]]++] = j;
    free(fill);
}

/* Copies the reduced network into the caller's buffers, laid out for the original sizes. */
static void finish(const Reduced *r, int64_t n_scope, int32_t *ints, int64_t *longs, double *doubles) {
    int n = r->n, m = r->m;
    int64_t n_states = r->state_start[n];
    int32_t *sizes = ints, *scopes = sizes + n, *index = scopes + n_scope, *kept = index + n;
    int32_t *n_kept = kept + n_states, *factor = n_kept + n;
    int64_t *starts = longs + 3, *value_starts = starts + m + 1;
    double *values = doubles + 2;
    memcpy(index, r->index, sizeof(int32_t) * (size_t)n);
    memcpy(kept, r->kept, sizeof(int32_t) * (size_t)n_states);
    memcpy(n_kept, r->sizes, sizeof(int32_t) * (size_t)n);
    for (int v = 0; v < n; v++)
        if (r->index[v] >= 0) sizes[r->index[v]] = r->sizes[v];
    int k = 0;
    starts[0] = value_starts[0] = 0;
    for (int j = 0; j < m; j++) {
        const Factor *f = &r->factors[j];
        int alive = f->alive && !r->impossible;
        factor[j] = alive ? k : -1;
        if (!alive) continue;
        for (int i = 0; i < f->nd; i++) scopes[starts[k] + i] = r->index[f->scope[i]];
        memcpy(values + value_starts[k], f->values, sizeof(double) * (size_t)f->size);
        starts[k + 1] = starts[k] + f->nd;
        value_starts[k + 1] = value_starts[k] + f->size;
        k++;
    }
    longs[0] = r->impossible, longs[1] = r->n_free, longs[2] = k;
    doubles[0] = r->constant, doubles[1] = r->exponent;
}

/* Conditions the network on evidence (state index, -1 where unobserved). `child` names the variable whose conditional
 * table factor j is (-1: none), `wanted` the variables asked for; with both NULL nothing is pruned as barren.
 *
 * longs: impossible, free variables, factors, then the starts of scopes and of values (m+1 each); doubles: constant,
 * exponent of two, then values; ints: sizes (n), scopes (as many as given), new number of each variable or -1 (n), the
 * remaining states of each variable at the front of its slice (as many as states), their numbers (n), new number of each
 * factor or -1 (m). Each part is filled from its front. */
EXPORT void reduce_network(int n, int m, const int32_t *sizes, const int64_t *starts, const int32_t *scopes,
                           const int64_t *value_starts, const double *values, const int32_t *evidence,
                           const int32_t *child, const uint8_t *wanted, int merge, int32_t *ints, int64_t *longs,
                           double *doubles) {
    Reduced reduced = {.n = n, .m = m, .constant = 1}, *r = &reduced;
    load(r, sizes, starts, scopes, value_starts, values, evidence);
    if (child && wanted) drop_barren(r, child, wanted);
    propagate(r, sizes);
    for (int j = 0; j < m && !r->impossible; j++) {
        Factor *f = &r->factors[j];
        if (!f->alive) continue;
        slice(r, f, sizes);
        rescale(r, f);
        if (f->nd == 0) {
            scale_constant(r, f->values[0]);
            f->alive = 0;
        }
    }
    if (merge && !r->impossible) absorb(r);
    for (int v = 0; v < n; v++) r->index[v] = r->sizes[v] > 1 ? r->n_free++ : -1;
    finish(r, starts[m], ints, longs, doubles);
    free(r->sizes), free(r->index), free(r->state_start), free(r->kept), free(r->of_start), free(r->of);
    free(r->factors), free(r->scope_buffer), free(r->value_buffer);
}
