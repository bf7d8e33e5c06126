/* What the tests in C share: checks, random numbers, arrays of exactly the size asked for, and memory that runs out. */
#ifndef TRACTABLE_CHECK_H
#define TRACTABLE_CHECK_H

#include "memory.h"

#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                            \
    do {                                                                            \
        if (!(condition)) {                                                         \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
            exit(1);                                                                \
        }                                                                           \
    } while (0)

/* The two are within `tolerance` of one another, or the same infinity, or both not a number. */
#define CHECK_NEAR(found, expected, tolerance)                                                                      \
    do {                                                                                                            \
        double found_ = (double)(found), expected_ = (double)(expected);                                            \
        if (!(fabs(found_ - expected_) <= (tolerance)) && found_ != expected_ &&                                    \
            !(isnan(found_) && isnan(expected_))) {                                                                 \
            fprintf(stderr, "%s:%d: %s is %.17g, expected %.17g\n", __FILE__, __LINE__, #found, found_, expected_); \
            exit(1);                                                                                                \
        }                                                                                                           \
    } while (0)

#define LENGTH(array) ((int)(sizeof(array) / sizeof *(array)))

/* xorshift64, apart from the generator of the kernels. */
static _Thread_local uint64_t random_state = 0x9E3779B97F4A7C15u;

static inline uint64_t random_bits(void) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    return random_state ^= random_state << 17;
}

static inline double random_unit(void) { return (double)(random_bits() >> 11) * 0x1p-53; }
static inline int random_below(int n) { return (int)(random_bits() >> 33) % n; }
static inline double random_normal(void) {
    return sqrt(-2 * log(1 - random_unit())) * cos(6.283185307179586 * random_unit());
}

/* Whether a case of many runs: one of `n` in `make test`, all in `make sanitize`. */
static inline int chosen(int n) { return getenv("TRACTABLE_ALL_VECTORS") || !random_below(n); }

#ifdef WRAPPED_MALLOC                   /* the linker sends the kernels' requests here */
static _Atomic long requests_left = -1; /* so many are still granted; all, where negative */

static inline int granted(void) { return requests_left < 0 || (requests_left > 0 && requests_left--); }

void *__real_malloc(size_t);
void *__real_calloc(size_t, size_t);
int __real_posix_memalign(void **, size_t, size_t);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
int __wrap_posix_memalign(void **x, size_t alignment, size_t n);
void *__wrap_malloc(size_t n) { return granted() ? __real_malloc(n) : NULL; }
void *__wrap_calloc(size_t n, size_t size) { return granted() ? __real_calloc(n, size) : NULL; }
int __wrap_posix_memalign(void **x, size_t alignment, size_t n) {
    return granted() ? __real_posix_memalign(x, alignment, n) : ENOMEM;
}
#else
#define __real_malloc malloc
#endif

/* Blocks of exactly so many bytes, each one of the system's: what is read or written beyond them an address sanitizer
 * sees. `release` gives back all that were taken. */
static void **taken;
static size_t n_taken, room_taken;

static inline void *take(size_t bytes) {
    if (n_taken == room_taken) {
        room_taken = room_taken ? 2 * room_taken : 64;
        taken = realloc(taken, sizeof(void *) * room_taken);
        CHECK(taken);
    }
    void *block = __real_malloc(bytes ? bytes : 1);
    CHECK(block);
    memset(block, 0xA5, bytes);
    return taken[n_taken++] = block;
}

#define TAKE(type, n) ((type *)take(sizeof(type) * (size_t)(n)))

static inline void release(void) {
    while (n_taken) free(taken[--n_taken]);
    free(taken);
    taken = NULL, room_taken = 0;
}

static inline void *zeros(size_t bytes) { return memset(take(bytes), 0, bytes); }
#define ZEROS(type, n) ((type *)zeros(sizeof(type) * (size_t)(n)))

static inline double *normals(int64_t n, double scale) {
    double *x = TAKE(double, n);
    for (int64_t i = 0; i < n; i++) x[i] = scale * random_normal();
    return x;
}

#ifdef WRAPPED_MALLOC
/* Makes the call with no request granted, then one, two and so on: it has to answer `failure` until there are enough, and
 * then `success`. What it had taken is given back, or the leak is seen at the end of the test. */
#define RUNS_OUT(call, failure, success)     \
    do {                                     \
        long status_, n_ = 0;                \
        for (;; n_++) {                      \
            requests_left = n_;              \
            status_ = (long)(call);          \
            requests_left = -1;              \
            if (status_ != (failure)) break; \
        }                                    \
        CHECK(status_ == (success));         \
        CHECK(n_ > 0 || !EACH_ALONE);        \
    } while (0)
#else
#define RUNS_OUT(call, failure, success) CHECK((long)(call) == (success))
#endif

#endif
