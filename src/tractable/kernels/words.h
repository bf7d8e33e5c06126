/* Random numbers: a row has two keys, and two rounds of a mixing function with full avalanche spread what the column
 * number adds. */
#ifndef TRACTABLE_WORDS_H
#define TRACTABLE_WORDS_H

#include "vectors.h"

INLINE uint32_t mix(uint32_t x) {
    x = (x ^ (x >> 16)) * 0x21F0AAADu;
    x = (x ^ (x >> 15)) * 0xD35A2D97u;
    return x ^ (x >> 15);
}

INLINE FU f_mix(FU x) {
    x = (x ^ (x >> 16)) * 0x21F0AAADu;
    x = (x ^ (x >> 15)) * 0xD35A2D97u;
    return x ^ (x >> 15);
}

typedef struct {
    uint32_t a, b;
} Keys;

INLINE Keys row_keys(const uint32_t *seed, uint32_t number) {
    uint32_t a = mix(mix(number * 0x9E3779B9u + (seed[0] + 0x6A09E667u)) ^ seed[1]);
    return (Keys){a, mix(mix(number * 0x85EBCA6Bu + (seed[1] + 0xBB67AE85u)) ^ seed[0] ^ a)};
}

INLINE FU bits_at(Keys keys, int64_t column) {
    FU lanes;
    for (int l = 0; l < F_LANES; l++) lanes[l] = (uint32_t)l * 0x9E3779B9u;
    return f_mix(f_mix(lanes + ((uint32_t)column * 0x9E3779B9u + keys.a)) ^ keys.b);
}

/* The numbers between 0 and 1 that these bits stand for. */
INLINE F uniform_at(Keys keys, int64_t column) {
    F u = __builtin_convertvector((FI)(bits_at(keys, column) >> 1), F) * 0x1p-31f + 0x1p-32f;
    return f_choose(u < 0x1.fffffep-1f, u, f_all(0x1.fffffep-1f)); /* rounding must not make it one */
}

#endif
