/* Contraction trees: built from an elimination order, and priced. */
#define _POSIX_C_SOURCE 199309L
#include "kernels.h"
#include <time.h>

double now_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

enum { CACHE = 1 << 17 };

typedef struct {
    const Network *net;
    Ints *legs;        /* sorted, per node */
    Ints *holders;     /* per variable: nodes that held it, dead ones included */
    int32_t *count;    /* per variable: live nodes that hold it */
    uint8_t *alive;
    int32_t *pairs;
    int n_pairs;
} Builder;

static double legs_log_size(const Network *net, const Ints *legs) {
    double s = 0;
    for (int i = 0; i < legs->len; i++) s += net->log_size[legs->at[i]];
    return s;
}

static double union_log_size(const Network *net, const Ints *a, const Ints *b) {
    double s = 0;
    int i = 0, j = 0;
    while (i < a->len || j < b->len) {
        if (j == b->len || (i < a->len && a->at[i] < b->at[j])) s += net->log_size[a->at[i++]];
        else if (i == a->len || b->at[j] < a->at[i]) s += net->log_size[b->at[j++]];
        else s += net->log_size[a->at[i++]], j++;
    }
    return s;
}

static int compare_ints(const void *a, const void *b) {
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

/* A leaf sums out at once what no other scope holds. */
static void leaf_legs(Builder *b, int j) {
    const Network *net = b->net;
    for (int64_t i = net->starts[j]; i < net->starts[j + 1]; i++) {
        int v = net->scopes[i];
        if (b->count[v] > 1 || net->keep[v]) ints_push(&b->legs[j], v);
    }
    if (b->legs[j].len > 1) qsort(b->legs[j].at, (size_t)b->legs[j].len, sizeof(int32_t), compare_ints);
}

static void merge_pair(Builder *b, int x, int y) {
    int id = b->net->m + b->n_pairs;
    b->pairs[2 * b->n_pairs] = x;
    b->pairs[2 * b->n_pairs + 1] = y;
    b->n_pairs++;
    Ints *p = &b->legs[x], *q = &b->legs[y], *out = &b->legs[id];
    int i = 0, j = 0;
    while (i < p->len || j < q->len) {
        int v, both = 0;
        if (j == q->len || (i < p->len && p->at[i] < q->at[j])) v = p->at[i++];
        else if (i == p->len || q->at[j] < p->at[i]) v = q->at[j++];
        else v = p->at[i++], j++, both = 1;
        if (both && --b->count[v] == 1 && !b->net->keep[v]) continue;
        ints_push(out, v);
        if (b->holders) ints_push(&b->holders[v], id);
    }
    region_worked(4 * (i + j));
    b->alive[x] = b->alive[y] = 0;
    b->alive[id] = 1;
}

static void builder_init(Builder *b, const Network *net, int32_t *pairs, int with_holders) {
    size_t nodes = 2 * (size_t)net->m + 1;
    b->net = net;
    b->pairs = pairs;
    b->n_pairs = 0;
    b->legs = grab_zeroed(nodes, sizeof(Ints));
    b->alive = grab_zeroed(nodes, 1);
    b->count = grab_zeroed((size_t)net->n + 1, sizeof(int32_t));
    b->holders = with_holders ? grab_zeroed((size_t)net->n + 1, sizeof(Ints)) : NULL;
    for (int64_t i = 0; i < net->starts[net->m]; i++) b->count[net->scopes[i]]++;
    for (int j = 0; j < net->m; j++) {
        leaf_legs(b, j);
        b->alive[j] = 1;
        if (with_holders)
            for (int i = 0; i < b->legs[j].len; i++) ints_push(&b->holders[b->legs[j].at[i]], j);
    }
}

static void builder_free(Builder *b) {
    for (int i = 0; i < 2 * b->net->m; i++) drop(b->legs[i].at);
    if (b->holders)
        for (int v = 0; v < b->net->n; v++) drop(b->holders[v].at);
    drop(b->legs), drop(b->alive), drop(b->count), drop(b->holders);
}

/* Merges a bucket: always the pair with the smallest union, or, in a large bucket, the two smallest. */
static void merge_bucket(Builder *b, Ints *bucket) {
    const Network *net = b->net;
    while (bucket->len > 1) {
        int bi = 0, bj = 1;
        if (bucket->len == 2) {
        } else if (bucket->len <= 24) {
            double best = INFINITY;
            for (int i = 0; i < bucket->len; i++)
                for (int j = i + 1; j < bucket->len; j++) {
                    double s = union_log_size(net, &b->legs[bucket->at[i]], &b->legs[bucket->at[j]]);
                    if (s < best) best = s, bi = i, bj = j;
                }
        } else {
            double s0 = INFINITY, s1 = INFINITY;
            for (int i = 0; i < bucket->len; i++) {
                double s = legs_log_size(net, &b->legs[bucket->at[i]]);
                if (s < s0) s1 = s0, bj = bi, s0 = s, bi = i;
                else if (s < s1) s1 = s, bj = i;
            }
        }
        if (bi > bj) {
            int t = bi;
            bi = bj, bj = t;
        }
        region_worked(bucket->len);
        merge_pair(b, bucket->at[bi], bucket->at[bj]);
        bucket->at[bi] = net->m + b->n_pairs - 1;
        bucket->at[bj] = bucket->at[--bucket->len];
    }
}

void tree_of_order(const Network *net, const int32_t *order, int order_len, int32_t *pairs) {
    Builder b;
    builder_init(&b, net, pairs, 1);
    Ints bucket = {0};
    for (int i = 0; i < order_len; i++) {
        Ints *h = &b.holders[order[i]];
        bucket.len = 0;
        for (int j = 0; j < h->len; j++)
            if (b.alive[h->at[j]]) ints_push(&bucket, h->at[j]);
        merge_bucket(&b, &bucket);
    }
    bucket.len = 0;
    for (int i = 0; i < net->m + b.n_pairs; i++)
        if (b.alive[i]) ints_push(&bucket, i);
    merge_bucket(&b, &bucket);
    drop(bucket.at);
    builder_free(&b);
}

/* out[0] multiply-adds of the forward pass, [1] log2 of the largest table made, [2] entries of all tables made,
 * [3] the most entries alive at once when each table is freed after use, [4] entries read and written,
 * [5] multiply-adds in steps big enough for a matrix product, [6] the most entries alive at once in both sweeps,
 * [7] entries of tables made that are larger than a cache, [8] entries of the given tables. */
void price_tree(const Network *net, const int32_t *pairs, double *out) {
    int m = net->m;
    const int64_t *starts = net->starts;
    Builder b;
    int32_t *copy = grab(sizeof(int32_t) * 2 * (size_t)(m + 1));
    builder_init(&b, net, copy, 0);
    double *size = grab_zeroed(2 * (size_t)m + 1, sizeof(double));
    double flops = 0, width = 0, total = 0, live = 0, peak = 0, traffic = 0, dense = 0, reverse = 0, cold = 0;
    double given = 0, summed = 0;
    for (int j = 0; j < m; j++) {
        double full = 0;
        for (int64_t i = starts[j]; i < starts[j + 1]; i++) full += net->log_size[net->scopes[i]];
        given += exp2(full);
        size[j] = exp2(legs_log_size(net, &b.legs[j]));
        if (b.legs[j].len == (int)(starts[j + 1] - starts[j])) continue;
        total += size[j], live += size[j];
        if (exp2(full) > summed) summed = exp2(full);
    }
    peak = live + summed;
    for (int i = 0; i < m - 1; i++) {
        int x = pairs[2 * i], y = pairs[2 * i + 1];
        double f = exp2(union_log_size(net, &b.legs[x], &b.legs[y]));
        merge_pair(&b, x, y);
        double s = legs_log_size(net, &b.legs[m + i]);
        size[m + i] = exp2(s);
        if (s > width) width = s;
        flops += f;
        total += size[m + i];
        if (size[m + i] > CACHE) cold += size[m + i];
        traffic += size[x] + size[y] + size[m + i];
        if (f > 8 * (size[x] + size[y] + size[m + i])) dense += f;
        double packed = size[x] + size[y]; /* operands may be copied into matrix order */
        live += size[m + i];
        if (live + packed > peak) peak = live + packed;
        if (x >= m) live -= size[x];
        if (y >= m) live -= size[y];
    }
    /* the reverse sweep keeps every table, and one adjoint for each node on the way down */
    double adjoint = m > 1 ? size[2 * m - 2] : 0, most = adjoint;
    for (int i = m - 2; i >= 0; i--) {
        int x = pairs[2 * i], y = pairs[2 * i + 1];
        double packed = size[m + i] + (size[x] > size[y] ? size[x] : size[y]);
        adjoint += size[x] + size[y];
        if (adjoint + packed > most) most = adjoint + packed;
        adjoint -= size[m + i] + (x < m ? size[x] : 0) + (y < m ? size[y] : 0);
    }
    reverse = total + most + 2 * summed;
    double found[N_PRICES] = {flops, width, total, peak, traffic, dense, reverse, cold, given};
    memcpy(out, found, sizeof found);
    builder_free(&b);
    drop(size), drop(copy);
}

/* weight[v]: entries of all tables of at least 2^threshold entries that hold v. legs: the variables of the largest table
 * made; returns how many. */
int widest_table(const Network *net, const int32_t *pairs, double threshold, double *weight, int32_t *legs) {
    int m = net->m;
    Builder b;
    int32_t *copy = grab(sizeof(int32_t) * 2 * (size_t)(m + 1));
    builder_init(&b, net, copy, 0);
    int widest = 0;
    double best = -1;
    for (int i = 0; i < 2 * m - 1; i++) {
        if (i >= m) merge_pair(&b, pairs[2 * (i - m)], pairs[2 * (i - m) + 1]);
        double s = legs_log_size(net, &b.legs[i]);
        if (s > best) best = s, widest = i;
        if (s >= threshold)
            for (int k = 0; k < b.legs[i].len; k++) weight[b.legs[i].at[k]] += exp2(s);
    }
    int len = b.legs[widest].len;
    if (len) memcpy(legs, b.legs[widest].at, sizeof(int32_t) * (size_t)len);
    builder_free(&b);
    drop(copy);
    return len;
}

/* The tree of a greedy order and its price; infinite where the order was given up. */
double tree_greedily(const Network *net, const Greediness *how, int32_t *pairs, double *price) {
    int32_t *order = grab(sizeof(int32_t) * (size_t)(net->n + 1)), len;
    double sum = order_greedily(net, how, order, &len);
    if (sum < INFINITY) {
        tree_of_order(net, order, len, pairs);
        price_tree(net, pairs, price);
    }
    drop(order);
    return sum;
}
