/* Conditioning: what is left of a network of tables when some variables are observed.
 *
 * States that no nonzero entry supports are removed until nothing changes (generalized arc consistency: Mackworth 1977,
 * here on the supports of the tables), variables with one remaining state leave the scopes, tables whose scope lies
 * within another's are multiplied into it. Tables are scaled by powers of two, so nothing is rounded away. */
#include "reduce.h"

static void scale_constant(Reduced *r, double x) {
    int e;
    r->constant = frexp(r->constant * x, &e);
    r->exponent += e;
    if (r->constant == 0) r->impossible = 1;
}

/* Walks the entries of factor f whose states all remain; returns whether a state lost its support. */
static int revise(Reduced *r, Factor *f, uint8_t *supported) {
    int nd = f->nd, changed = 0, missing = 0;
    int64_t stride[512], base = 0;
    int32_t at[512];
    const int32_t *dom[512];
    int32_t len[512];
    int64_t visited = 0;
    if (nd > 512) return 0; /* wider scopes are only ever made of one-state variables: nothing to learn from them */
    int64_t s = 1;
    for (int i = nd - 1; i >= 0; i--) {
        int v = f->scope[i];
        stride[i] = s;
        s *= r->old_sizes[v];
        at[i] = 0;
        dom[i] = r->kept + r->state_start[v];
        len[i] = r->sizes[v];
        missing += len[i];
        memset(supported + r->state_start[v], 0, (size_t)r->old_sizes[v]);
        base += stride[i] * dom[i][0];
    }
    for (;;) {
        if (f->values[base] != 0)
            for (int i = 0; i < nd; i++) {
                uint8_t *mark = supported + r->state_start[f->scope[i]] + dom[i][at[i]];
                missing -= !*mark;
                *mark = 1;
            }
        if (!missing) return 0;
        if (!(++visited & 0xFFF)) region_worked(0x4000);
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

static void propagate(Reduced *r) {
    size_t states = (size_t)r->state_start[r->n] + 1;
    uint8_t *supported = grab(states);
    int32_t *queue = grab(sizeof(int32_t) * (size_t)(r->m + 1));
    int head = 0, count = 0;
    for (int j = 0; j < r->m; j++)
        if (r->factors[j].has_zero && r->factors[j].nd) queue[count++] = j, r->factors[j].queued = 1;
    while (count && !r->impossible) {
        Factor *f = &r->factors[queue[head]];
        head = (head + 1) % (r->m + 1);
        count--;
        f->queued = 0;
        if (!revise(r, f, supported)) continue;
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
    drop(supported), drop(queue);
}

/* Keeps the entries of the remaining states, drops axes of one state, scales the maximum to [1/2, 1). */
static void slice(Reduced *r, Factor *f) {
    int nd = f->nd, k = 0;
    int64_t *stride = grab(sizeof(int64_t) * (size_t)(nd + 1)), base = 0, s = 1, out = 0;
    int32_t *at = grab_zeroed((size_t)nd + 1, sizeof(int32_t));
    int whole = 1;
    for (int i = nd - 1; i >= 0; i--) {
        int v = f->scope[i];
        stride[i] = s;
        s *= r->old_sizes[v];
        base += stride[i] * r->kept[r->state_start[v]];
        if (r->sizes[v] != r->old_sizes[v]) whole = 0;
    }
    if (!whole) {
        int64_t size = 1;
        for (int i = 0; i < nd; i++) size *= r->sizes[f->scope[i]];
        f->own = grab(sizeof(double) * (size_t)size);
        for (;;) {
            f->own[out++] = f->values[base];
            if (!(out & 0xFFF)) region_worked(0x4000);
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
        f->values = f->own;
        f->size = out;
    }
    for (int i = 0; i < nd; i++)
        if (r->sizes[f->scope[i]] > 1) f->scope[k++] = f->scope[i];
    f->nd = k;
    drop(stride), drop(at);
}

/* The entries of f, to be changed. */
static double *writable(Factor *f) {
    if (!f->own) f->own = memcpy(grab(sizeof(double) * (size_t)f->size), f->values, sizeof(double) * (size_t)f->size);
    f->values = f->own;
    return f->own;
}

static void rescale(Reduced *r, Factor *f) {
    double top, least;
    extent(f->values, f->size, &least, &top);
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
        double *x = writable(f);
        IN_PIECES(i, f->size, 8) x[i] = ldexp(x[i], -e);
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
    double *x = writable(big);
    IN_PIECES(i, big->size, 4) {
        x[i] *= small->values[off];
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
    int32_t *degree = grab_zeroed((size_t)r->n + 1, sizeof(int32_t));
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
    drop(degree);
}

/* A variable that is neither observed nor asked for, and is a child alone, has a table that sums to one: drop it. */
static void drop_barren(Reduced *r, const int32_t *child, const uint8_t *wanted) {
    int32_t *degree = grab_zeroed((size_t)r->n + 1, sizeof(int32_t));
    int32_t *own = grab(sizeof(int32_t) * (size_t)(r->n + 1));
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
    drop(degree), drop(own), drop(stack.at);
}

static void load(Reduced *r, const Tables *given, const int32_t *evidence) {
    int n = r->n = given->n, m = r->m = given->m;
    const int32_t *sizes = r->old_sizes = given->sizes;
    const int64_t *starts = given->starts, *value_starts = given->value_starts;
    r->constant = 1;
    r->sizes = grab(sizeof(int32_t) * (size_t)(n + 1));
    r->index = grab(sizeof(int32_t) * (size_t)(n + 1));
    r->state_start = grab(sizeof(int64_t) * (size_t)(n + 2));
    r->of_start = grab_zeroed((size_t)n + 2, sizeof(int64_t));
    r->of = grab(sizeof(int32_t) * (size_t)(starts[m] + 1));
    r->factors = grab_zeroed((size_t)m + 1, sizeof(Factor));
    r->scope_buffer = grab(sizeof(int32_t) * (size_t)(starts[m] + 1));
    memcpy(r->scope_buffer, given->scopes, sizeof(int32_t) * (size_t)starts[m]);
    r->state_start[0] = 0;
    for (int v = 0; v < n; v++) r->state_start[v + 1] = r->state_start[v] + sizes[v];
    r->kept = grab(sizeof(int32_t) * (size_t)(r->state_start[n] + 1));
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
        f->values = given->values + value_starts[j];
        f->size = value_starts[j + 1] - value_starts[j];
        region_worked(f->size);
        for (int64_t i = 0; i < f->size && !f->has_zero; i++) f->has_zero = f->values[i] == 0;
        for (int i = 0; i < f->nd; i++) r->of_start[f->scope[i] + 1]++;
    }
    for (int v = 0; v < n; v++) r->of_start[v + 1] += r->of_start[v];
    int64_t *fill = grab(sizeof(int64_t) * (size_t)(n + 1));
    memcpy(fill, r->of_start, sizeof(int64_t) * (size_t)(n + 1));
    for (int j = 0; j < m; j++)
        for (int i = 0; i < r->factors[j].nd; i++) r->of[fill[r->factors[j].scope[i]]++] = j;
    drop(fill);
}

void reduce_tables(Reduced *r, const Tables *given, const int32_t *evidence, const int32_t *child,
                   const uint8_t *wanted, int merge) {
    load(r, given, evidence);
    if (child && wanted) drop_barren(r, child, wanted);
    propagate(r);
    for (int j = 0; j < r->m && !r->impossible; j++) {
        Factor *f = &r->factors[j];
        if (!f->alive) continue;
        slice(r, f);
        rescale(r, f);
        if (f->nd == 0) {
            scale_constant(r, f->values[0]);
            f->alive = 0;
        }
    }
    if (merge && !r->impossible) absorb(r);
    for (int v = 0; v < r->n; v++) r->index[v] = r->sizes[v] > 1 ? r->n_free++ : -1;
}
