/* Shared declarations of the kernels: plain C11, called through ctypes, no Python headers.
 *
 * A network is n variables with log2 sizes and m scopes in compressed form: scope j holds the variables
 * scopes[starts[j]] .. scopes[starts[j+1]-1]. A contraction tree is a list of m-1 pairs; node ids 0..m-1 are the
 * scopes, m+i is what pair i produces. `keep` marks variables that must survive to the root. */
#ifndef TRACTABLE_KERNELS_H
#define TRACTABLE_KERNELS_H

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
    int32_t *at;
    int len, cap;
} Ints;

static inline void ints_push(Ints *a, int32_t v) {
    if (a->len == a->cap) {
        a->cap = a->cap ? 2 * a->cap : 8;
        a->at = realloc(a->at, sizeof(int32_t) * (size_t)a->cap);
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

#endif
