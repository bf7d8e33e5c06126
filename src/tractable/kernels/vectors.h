/* Short vectors in the extension that gcc and clang share, and exponentials for them. */
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

INLINE V v_larger(V a, V b) { return v_choose(a > b, a, b); }

/* The entries of a row of k from j on that v has; what lies behind the row's end is left alone. */
INLINE void row_store(double *row, V v, int64_t j, int64_t k) {
    if (j + LANES <= k) {
        v_store(row + j, v);
        return;
    }
    double x[LANES];
    v_store(x, v);
    for (int64_t l = 0; l < k - j; l++) row[j + l] = x[l];
}

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

/* log(u + lost) of normal positive u, for what is lost next to 1: 2 atanh(z) of the mantissa. */
INLINE V v_log_near(V u, V lost) {
    static const double c[] = {2.0 / 21, 2.0 / 19, 2.0 / 17, 2.0 / 15, 2.0 / 13, 2.0 / 11, 2.0 / 9, 2.0 / 7, 2.0 / 5};
    const V magic = v_all(0x1.8p52); /* as in v_exp, the other way round */
    VI bits = (VI)u, k = (bits - 0x3FE6A09E667F3BCD) >> 52; /* the mantissa from sqrt(1/2) to sqrt(2) */
    V m = (V)(bits - (k << 52)), n = (V)(k + (VI)magic) - magic, z = (m - 1.0) / (m + 1.0), q = z * z, p = v_all(c[0]);
    for (int i = 1; i < 9; i++) p = p * q + c[i];
    p = (p * q + 2.0 / 3) * q;
    V low = n * 0x1.ef35793c7673p-45 + v_choose(k == 0, lost, v_all(0.0));
    return n * 0x1.62e42fefa38p-1 + (z * 2.0 + (z * p + low));
}

/* log to about one unit in the last place, of normal positive numbers. */
INLINE V v_log(V x) { return v_log_near(x, v_all(0)); }

/* log(1 + x) for x >= -0.99, to some three units in the last place also near 0. */
INLINE V v_log1p(V x) {
    V u = x + 1.0;
    return v_log_near(u, x - (u - 1.0));
}

/* The same for single precision: V becomes F, and FI, FU are its integers. */
#define F_LANES (VECTOR_BYTES / 4)

typedef float F __attribute__((vector_size(VECTOR_BYTES)));
typedef int32_t FI __attribute__((vector_size(VECTOR_BYTES)));
typedef uint32_t FU __attribute__((vector_size(VECTOR_BYTES)));
typedef uint8_t FB __attribute__((vector_size(VECTOR_BYTES / 4))); /* a byte for each */

INLINE F f_load(const float *x) {
    F v;
    memcpy(&v, x, sizeof v);
    return v;
}

INLINE void f_store(float *x, F v) { memcpy(x, &v, sizeof v); }

INLINE F f_all(float x) { return x - (F){0}; }

INLINE F f_choose(FI mask, F yes, F no) { return (F)((mask & (FI)yes) | (~mask & (FI)no)); }

/* exp to about one unit in the last place; below e^-87 that value, above e^88 that one. */
INLINE F f_exp(F x) {
    static const float c[] = {1.0f / 5040, 1.0f / 720, 1.0f / 120, 1.0f / 24, 1.0f / 6, 0.5f, 1.0f, 1.0f};
    const F magic = f_all(0x1.8p23f);
    x = f_choose(x < -87.0f, f_all(-87.0f), x);
    x = f_choose(x > 88.0f, f_all(88.0f), x);
    F k = x * 0x1.715476p0f + magic, n = k - magic;
    F r = (x - n * 0x1.62e4p-1f) - n * 0x1.7f7d1cp-20f, p = f_all(c[0]);
    for (int i = 1; i < 8; i++) p = p * r + c[i];
    return (F)((FI)p + (((FI)k - (FI)magic) << 23));
}

/* log of x from 2^-126 on, to about one unit in the last place: 2 atanh(z) of the mantissa around one. */
INLINE F f_log(F x) {
    FI bits = (FI)x, k = (bits - 0x3F3504F3) >> 23; /* the mantissa from sqrt(1/2) to sqrt(2) */
    F m = (F)(bits - (k << 23)), z = (m - 1.0f) / (m + 1.0f), q = z * z;
    F series = ((((q * (2.0f / 9)) + 2.0f / 7) * q + 2.0f / 5) * q + 2.0f / 3) * q;
    return __builtin_convertvector(k, F) * 0x1.62e43p-1f + (z * 2.0f + z * series);
}

INLINE float f_sum(F v) {
    float s = 0;
    for (int l = 0; l < F_LANES; l++) s += v[l];
    return s;
}

/* One lane of a and one of b in turn, from the first halves or from the second. */
#if F_LANES == 16
#define FIRST 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define SECOND 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#elif F_LANES == 8
#define FIRST 0, 8, 1, 9, 2, 10, 3, 11
#define SECOND 4, 12, 5, 13, 6, 14, 7, 15
#else
#define FIRST 0, 4, 1, 5
#define SECOND 2, 6, 3, 7
#endif
#if defined(__clang__)
#define INTERLEAVE(a, b, lanes) __builtin_shufflevector(a, b, lanes)
#else
#define INTERLEAVE(a, b, lanes) __builtin_shuffle(a, b, (FI){lanes})
#endif

/* Transposes F_LANES vectors: interleaving the two halves log2(F_LANES) times is a transposition. */
INLINE void f_transpose(F *x) {
    F y[F_LANES];
    for (int step = 1; step < F_LANES; step *= 2) {
        for (int i = 0; i < F_LANES / 2; i++) {
            y[2 * i] = INTERLEAVE(x[i], x[i + F_LANES / 2], FIRST);
            y[2 * i + 1] = INTERLEAVE(x[i], x[i + F_LANES / 2], SECOND);
        }
        memcpy(x, y, sizeof y);
    }
}

#endif
