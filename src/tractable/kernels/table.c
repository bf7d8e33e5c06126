/* Tables: their memory, their axes in another order, and their scale. */
#include "tensor.h"

enum { HEADER = 64, POOL_FROM = 1 << 18 };

/* The block in the pool that fits best, or -1. */
static int fitting(const Context *c, int64_t bytes) {
    int best = -1;
    for (int i = 0; i < c->n_pool; i++) {
        int64_t size = *(int64_t *)c->pool[i];
        if (size >= bytes && size <= bytes + bytes / 8 && (best < 0 || size < *(int64_t *)c->pool[best])) best = i;
    }
    return best;
}

static char *pool_take(Context *c, int i) {
    char *block = c->pool[i];
    c->pooled -= *(int64_t *)block;
    c->pool[i] = c->pool[--c->n_pool];
    return block;
}

/* The first touch of a page costs more than the arithmetic on it. The memory of large tables is therefore used again
 * within a run, as long as that does not raise the peak. */
double *table_alloc(Context *c, int64_t entries) {
    int64_t bytes = 8 * (entries ? entries : 1);
    int i = bytes >= POOL_FROM ? fitting(c, bytes) : -1;
    char *block = i >= 0 ? pool_take(c, i) : NULL;
    if (block) bytes = *(int64_t *)block;
    else {
        while (c->n_pool && c->live + c->pooled + bytes > c->peak) drop(pool_take(c, c->n_pool - 1));
        block = grab((size_t)bytes + HEADER);
    }
    *(int64_t *)block = bytes;
    c->live += bytes;
    if (c->live + c->pooled > c->peak) c->peak = c->live + c->pooled;
    return (double *)(block + HEADER);
}

void table_release(Context *c, double *x) {
    char *block = (char *)x - HEADER;
    int64_t bytes = *(int64_t *)block;
    c->live -= bytes;
    if (bytes < POOL_FROM || c->n_pool == POOL || in_arena(block)) {
        drop(block);
    } else {
        c->pool[c->n_pool++] = block;
        c->pooled += bytes;
    }
}

void table_free(Context *c, Table *t) {
    if (t->owned && t->x) table_release(c, t->x);
    drop(t->row_exponent);
    drop(t->legs);
    memset(t, 0, sizeof *t);
}

/* Offsets of all joint states of some axes of t, the last axis fastest; `give_back` them. */
int64_t *offsets(Context *c, const Table *t, const int32_t *axes, int n, int64_t size) {
    int64_t *out, len = 1;
    if (c->n_scratch + size <= SCRATCH) out = c->scratch + c->n_scratch, c->n_scratch += size;
    else out = grab(sizeof(int64_t) * (size_t)size);
    out[0] = 0;
    for (int i = n - 1; i >= 0; i--) {
        int64_t stride = 1, states = c->sizes[axes[i]];
        for (int j = t->nd - 1; t->legs[j] != axes[i]; j--) stride *= c->sizes[t->legs[j]];
        for (int64_t s = states - 1; s >= 0; s--)
            for (int64_t k = 0; k < len; k++) out[s * len + k] = out[k] + s * stride;
        len *= states;
    }
    return out;
}

void give_back(Context *c, int64_t *x) {
    if (x < c->scratch || x >= c->scratch + SCRATCH) drop(x);
}

enum { TILE = 64, RUN = 16, IN_CACHE = 1 << 15 };

/* A large table: the copy runs over tiles spanned by the axes that are fastest in the source
 * and those that are fastest in the result, so that both use whole cache lines. */
static void gather_tiles(Context *c, const Table *t, const int32_t *order, double *dst) {
    int64_t used = c->n_scratch;
    int nd = t->nd, n_fast = 0, n_slow = 0;
    int32_t fast[1024], slow[1024];
    fast[0] = 0;
    int64_t inner = 1, outer = 1, span = 1;
    Table d = {.nd = nd, .legs = (int32_t *)(uintptr_t)order};
    for (int i = nd - 1; i >= 0 && span < TILE; i--) span *= c->sizes[order[i]], c->mark[order[i]] = 1;
    span = 1;
    for (int i = nd - 1; i >= 0 && span < TILE; i--) span *= c->sizes[t->legs[i]], c->mark[t->legs[i]] = 1;
    for (int i = 0; i < nd; i++) {
        if (c->mark[order[i]]) fast[n_fast++] = order[i], inner *= c->sizes[order[i]];
        else slow[n_slow++] = order[i], outer *= c->sizes[order[i]];
        c->mark[order[i]] = 0;
    }
    int64_t *from = offsets(c, t, fast, n_fast, inner), *to = offsets(c, &d, fast, n_fast, inner);
    int64_t at[1024], src_stride[1024], dst_stride[1024], src = 0, out = 0;
    for (int i = 0; i < n_slow; i++) {
        at[i] = 0, src_stride[i] = 1, dst_stride[i] = 1;
        for (int j = nd - 1; t->legs[j] != slow[i]; j--) src_stride[i] *= c->sizes[t->legs[j]];
        for (int j = nd - 1; order[j] != slow[i]; j--) dst_stride[i] *= c->sizes[order[j]];
    }
    int straight = 1;
    for (int64_t i = 0; i < inner && straight; i++) straight = from[i] == i && to[i] == i;
    IN_PIECES(o, outer, 2 * inner) {
        const double *x = t->x + src;
        double *y = dst + out;
        if (straight) memcpy(y, x, sizeof(double) * (size_t)inner);
        else
            for (int64_t i = 0; i < inner; i++) y[to[i]] = x[from[i]];
        for (int i = n_slow - 1; i >= 0; i--) {
            src += src_stride[i], out += dst_stride[i];
            if (++at[i] < c->sizes[slow[i]]) break;
            src -= src_stride[i] * at[i], out -= dst_stride[i] * at[i];
            at[i] = 0;
        }
    }
    give_back(c, from), give_back(c, to);
    c->n_scratch = used;
}

/* A table that stays in cache, its result written from front to back: `fast` of its last axes in one loop. */
static void gather_small(Context *c, const Table *t, const int32_t *order, int fast, double *restrict dst) {
    int64_t used = c->n_scratch, inner = 1;
    for (int i = fast; i < t->nd; i++) inner *= c->sizes[order[i]];
    int64_t outer = t->size / inner;
    const int64_t *restrict base = offsets(c, t, order, fast, outer);
    const int64_t *restrict from = offsets(c, t, order + fast, t->nd - fast, inner);
    for (int64_t o = 0; o < outer; o++) {
        const double *restrict x = t->x + base[o];
        for (int64_t i = 0; i < inner; i++) dst[o * inner + i] = x[from[i]];
    }
    give_back(c, (int64_t *)base), give_back(c, (int64_t *)from);
    c->n_scratch = used;
}

/* Copies t into dst with its axes in `order`. */
void gather(Context *c, const Table *t, const int32_t *order, double *dst) {
    int same = t->nd, fast = t->nd;
    int64_t run = 1, span = 1;
    while (same && t->legs[same - 1] == order[same - 1]) run *= c->sizes[order[--same]];
    if (run >= RUN || !same) {
        int64_t used = c->n_scratch, *from = offsets(c, t, order, same, t->size / run);
        IN_PIECES(i, t->size / run, run) memcpy(dst + i * run, t->x + from[i], sizeof(double) * (size_t)run);
        give_back(c, from);
        c->n_scratch = used;
        return;
    }
    if (t->size > IN_CACHE) {
        gather_tiles(c, t, order, dst);
        return;
    }
    while (fast && span < TILE) span *= c->sizes[order[--fast]];
    gather_small(c, t, order, fast, dst);
}

/* Scales by powers of two so that the largest entry (of each evidence row) stays near one; a table whose bounds say that
 * it needs no scaling yet is not looked at. */
void normalize(Context *c, Table *t) {
    if (c->semiring != SUM_PRODUCT) return;
    double least = INFINITY;
    if (t->nd && t->legs[t->nd - 1] == c->row) {
        int64_t R = c->n_rows, lead = t->size / R;
        double *top = grab_zeroed((size_t)R, sizeof(double));
        IN_PIECES(i, lead, R) {
            const double *x = t->x + i * R;
            for (int64_t r = 0; r < R; r++) top[r] = x[r] > top[r] ? x[r] : top[r];
        }
        int any = 0;
        for (int64_t r = 0; r < R; r++) {
            int e = 0;
            if (top[r] > 0) frexp(top[r], &e);
            if (e > -64 && e < 64) e = 0;
            any |= e;
            t->row_exponent[r] += e;
            top[r] = ldexp(1.0, -e);
        }
        IN_PIECES(i, lead, R) {
            double *x = t->x + i * R;
            if (any)
                for (int64_t r = 0; r < R; r++) x[r] *= top[r];
            for (int64_t r = 0; r < R; r++) {
                double y = x[r] > 0 ? x[r] : INFINITY;
                least = y < least ? y : least;
            }
        }
        drop(top);
        t->least = least;
        t->most = 1 / SAFE;
        return;
    }
    if (t->least > SAFE && t->most < 1 / SAFE) return;
    double top;
    extent(t->x, t->size, &least, &top);
    t->least = least;
    t->most = top;
    if (top <= 0) return;
    int e;
    frexp(top, &e);
    if (e > -64 && e < 64) return;
    if (e < -1000) { /* 2^-e itself would overflow */
        IN_PIECES(i, t->size, 8) t->x[i] = ldexp(t->x[i], -e);
    } else {
        double s = ldexp(1.0, -e);
        IN_PIECES(i, t->size, 1) t->x[i] *= s;
    }
    t->exponent += e;
    t->least = ldexp(least, -e);
    t->most = ldexp(top, -e);
    t->slip = ldexp(t->slip, -e);
    if (t->least < TINY) c->risky = 1, t->slip += SUBNORMAL;
}
