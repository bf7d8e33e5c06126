/* Shared declarations of the kernels: plain C11, called through ctypes, no Python headers.
 *
 * A network is n variables with log2 sizes and m scopes in compressed form: scope j holds the variables
 * scopes[starts[j]] .. scopes[starts[j+1]-1]. A contraction tree is a list of m-1 pairs; node ids 0..m-1 are the
 * scopes, m+i is what pair i produces. `keep` marks variables that must survive to the root. */
#ifndef TRACTABLE_KERNELS_H
#define TRACTABLE_KERNELS_H

#include "memory.h"
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(_WIN32)
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

typedef struct {
    int n, m;
    const int64_t *starts;
    const int32_t *scopes;
    const double *log_size;
    const uint8_t *keep;
} Network;

typedef struct {
    int n, m;
    const int32_t *sizes;
    const int64_t *starts;
    const int32_t *scopes;
    const int64_t *value_starts;
    const double *values;
} Tables;

typedef struct {
    int32_t *at;
    int len, cap;
} Ints;

static inline void ints_push(Ints *a, int32_t v) {
    if (a->len == a->cap) {
        int32_t *old = a->at;
        a->cap = a->cap ? 2 * a->cap : 8;
        a->at = grab(sizeof(int32_t) * (size_t)a->cap);
        if (old) memcpy(a->at, old, sizeof(int32_t) * (size_t)a->len);
        drop(old);
    }
    a->at[a->len++] = v;
}

/* xorshift64*: ample for randomized tie-breaking and annealing. */
static inline uint64_t next_random(uint64_t *s) {
    *s ^= *s >> 12;
    *s ^= *s << 25;
    *s ^= *s >> 27;
    return *s * 2685821657736338717ull;
}

static inline double next_uniform(uint64_t *s) { return (double)(next_random(s) >> 11) * 0x1p-53; }

static inline uint64_t seeded(uint64_t seed) {
    uint64_t s = (seed + 1) * 0x9E3779B97F4A7C15ull;
    s ^= s >> 31;
    return s ? s : 1;
}

double now_seconds(void);
/* The smallest positive and the largest entry; infinity and zero where there is none. */
void extent(const double *x, int64_t size, double *least, double *most);

typedef struct {
    int heuristic;
    double noise; /* in the scores */
    uint64_t seed;
    double limit, seconds; /* log2 of the summed clique sizes, and time, after which an order is given up */
} Greediness;

typedef struct {
    double beta0, beta1;
    int n_betas, sweeps;
    double traffic, seconds;
    uint64_t seed;
} Annealing;

enum { N_PRICES = 9 };

double order_greedily(const Network *net, const Greediness *how, int32_t *order, int32_t *order_len);
double tree_greedily(const Network *net, const Greediness *how, int32_t *pairs, double *price);
void tree_of_order(const Network *net, const int32_t *order, int order_len, int32_t *pairs);
void price_tree(const Network *net, const int32_t *pairs, double *price);
int widest_table(const Network *net, const int32_t *pairs, double threshold, double *weight, int32_t *legs);
double anneal(const Network *net, const Annealing *how, int32_t *pairs);

#endif
