/* Short vectors of doubles, in the extension that gcc and clang share, and an exponential for them. */
#ifndef TRACTABLE_VECTORS_H
#define TRACTABLE_VECTORS_H

#include <stdint.h>
#include <string.h>

/* a*b+c may become one instruction: ISO mode forbids it by default, and it is half of the arithmetic here. */
#if defined(__clang__)
#pragma clang fp contract(fast)
#elif defined(__GNUC__)
#pragma GCC optimize("fp-contract=fast")
#pragma GCC diagnostic ignored "-Wpsabi" /* every function that takes a vector is inlined */
#endif

#if defined(__AVX512F__) && defined(__AVX512DQ__)
#define VECTOR_BYTES 64
#elif defined(__AVX2__)
#define VECTOR_BYTES 32
#else
#define VECTOR_BYTES 16
#endif

#define LANES (VECTOR_BYTES / 8)
#define INLINE static inline __attribute__((always_inline))

typedef double V __attribute__((vector_size(VECTOR_BYTES)));
typedef int64_t VI __attribute__((vector_size(VECTOR_BYTES)));

INLINE V v_load(const double *x) {
    V v;
    memcpy(&v, x, sizeof v);
    return v;
}

INLINE void v_store(double *x, V v) { memcpy(x, &v, sizeof v); }

INLINE V v_all(double x) { return x - (V){0}; }

INLINE V v_choose(VI mask, V yes, V no) { return (V)((mask & (VI)yes) | (~mask & (VI)no)); }

INLINE double v_sum(V v) {
    double s = 0;
    for (int l = 0; l < LANES; l++) s += v[l];
    return s;
}

/* exp to about one unit in the last place; below e^-708 that value, above e^709 that one. */
INLINE V v_exp(V x) {
    static const double c[] = {1.0 / 6227020800, 1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880,
                               1.0 / 40320,      1.0 / 5040,      1.0 / 720,      1.0 / 120,     1.0 / 24,
                               1.0 / 6,          0.5,             1.0,            1.0};
    const V magic = v_all(0x1.8p52); /* adding it rounds to an integer, which is then in the lowest bits */
    x = v_choose(x < -708.0, v_all(-708.0), x);
    x = v_choose(x > 709.0, v_all(709.0), x);
    V k = x * 0x1.71547652b82fep0 + magic, n = k - magic;
    V r = (x - n * 0x1.62e42fefa38p-1) - n * 0x1.ef35793c7673p-45, p = v_all(c[0]);
    for (int i = 1; i < 14; i++) p = p * r + c[i];
    return (V)((VI)p + (((VI)k - (VI)magic) << 52));
}

#endif
