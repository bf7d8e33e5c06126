/* Tests of processor.c: the level is the highest of which the processor has everything, and the system keeps the
 * registers. */
#include "check.h"

#if defined(__x86_64__)
#include <cpuid.h>

/* A processor that lacks one feature of this one's. */
static unsigned int lacks_leaf, lacks_register, lacks_bit;

static int some_cpuid(unsigned int leaf, unsigned int part, unsigned int *a, unsigned int *b, unsigned int *c,
                      unsigned int *d) {
    unsigned int *all[] = {a, b, c, d};
    int found = __get_cpuid_count(leaf, part, a, b, c, d);
    if (found && leaf == lacks_leaf) *all[lacks_register] &= ~(1u << lacks_bit);
    return found;
}

#define __get_cpuid_count some_cpuid
#include "processor.c"

enum { B = 1, C = 2, BASIC = 1, MORE = 7 };
static const unsigned int EXTENDED = 0x80000001;

/* What the manuals say each level needs: in which leaf, register and bit it is. */
typedef struct {
    int level;
    unsigned int leaf, in, bits[16];
    int n;
} Needed;

static int level_without(unsigned int leaf, unsigned int in, unsigned int bit) {
    lacks_leaf = leaf, lacks_register = in, lacks_bit = bit;
    int level = x86_64_level();
    lacks_leaf = 0;
    return level;
}

static int needed_in(const Needed *all, int n, unsigned int leaf, unsigned int in, unsigned int bit) {
    for (int i = 0; i < n; i++)
        for (int k = 0; k < all[i].n; k++)
            if (all[i].leaf == leaf && all[i].in == in && all[i].bits[k] == bit) return all[i].level;
    return 5;
}

/* What the compiler's own library says; it has no words for some features that come with these. */
static int level_at_most(void) {
    __builtin_cpu_init();
#define HAS(name) !!__builtin_cpu_supports(name)
    if (!(HAS("sse3") & HAS("ssse3") & HAS("sse4.1") & HAS("sse4.2") & HAS("popcnt"))) return 1;
    if (!(HAS("avx") & HAS("avx2") & HAS("bmi") & HAS("bmi2") & HAS("fma"))) return 2;
    return HAS("avx512f") & HAS("avx512bw") & HAS("avx512cd") & HAS("avx512dq") & HAS("avx512vl") ? 4 : 3;
}

int main(void) {
    const Needed NEEDED[] = {
        {2, BASIC, C, {0, 9, 13, 19, 20, 23}, 6}, /* SSE3, SSSE3, CMPXCHG16B, SSE4.1, SSE4.2, POPCNT */
        {2, EXTENDED, C, {0}, 1},                 /* LAHF in 64 bits */
        {3, BASIC, C, {12, 22, 27, 28, 29}, 5},   /* FMA, MOVBE, OSXSAVE, AVX, F16C */
        {3, EXTENDED, C, {5}, 1},                 /* LZCNT */
        {3, MORE, B, {3, 5, 8}, 3},               /* BMI1, AVX2, BMI2 */
        {4, MORE, B, {16, 17, 28, 30, 31}, 5},    /* AVX512F, DQ, CD, BW, VL */
    };
    const unsigned int LEAVES[] = {BASIC, MORE, EXTENDED};
    int level = x86_64_level();
    CHECK(level >= 1 && level <= level_at_most());
#if defined(__AVX512VL__)
    CHECK(level == 4); /* this very program was compiled for it */
#elif defined(__AVX2__)
    CHECK(level >= 3);
#endif
    for (int i = 0; i < LENGTH(LEAVES); i++)
        for (unsigned int in = 0; in < 4; in++)
            for (unsigned int bit = 0; bit < 32; bit++) {
                int needed = needed_in(NEEDED, LENGTH(NEEDED), LEAVES[i], in, bit);
                CHECK(level_without(LEAVES[i], in, bit) == (needed <= level ? needed - 1 : level));
            }
    return 0;
}
#else
int main(void) { return 0; }
#endif
