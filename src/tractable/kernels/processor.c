/* Which level of x86-64 the processor has and the system lets run. Compiled for the oldest, it runs on any; what it
 * returns says which of the libraries of the other files may be loaded. The levels are those of the psABI. */
#if defined(__x86_64__)
#include <cpuid.h>

typedef struct {
    unsigned int a, b, c, d;
} Registers;

static Registers ask(unsigned int leaf) {
    Registers r = {0, 0, 0, 0};
    if (!__get_cpuid_count(leaf, 0, &r.a, &r.b, &r.c, &r.d)) r = (Registers){0, 0, 0, 0};
    return r;
}

/* Which registers the system keeps when it switches between programs. */
static unsigned int kept_registers(void) {
    unsigned int low, high;
    __asm__ volatile(".byte 0x0f, 0x01, 0xd0" /* xgetbv */ : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

static int all(unsigned int found, unsigned int needed) { return (found & needed) == needed; }

enum {
    V2 = bit_SSE3 | bit_SSSE3 | bit_CMPXCHG16B | bit_SSE4_1 | bit_SSE4_2 | bit_POPCNT,
    V2_EXTENDED = bit_LAHF_LM,
    V3 = bit_FMA | bit_MOVBE | bit_OSXSAVE | bit_AVX | bit_F16C,
    V3_EXTENDED = bit_LZCNT,
    V3_MORE = bit_BMI | bit_AVX2 | bit_BMI2,
    XMM_YMM = 0x6,
    XMM_YMM_ZMM = 0xe6
};
static const unsigned int V4_MORE = bit_AVX512F | bit_AVX512DQ | bit_AVX512CD | bit_AVX512BW | bit_AVX512VL;

int x86_64_level(void) {
    unsigned int first = ask(1).c, extended = ask(0x80000001).c, more = ask(7).b;
    if (!all(first, V2) || !all(extended, V2_EXTENDED)) return 1;
    if (!all(first, V3) || !all(extended, V3_EXTENDED) || !all(more, V3_MORE)) return 2;
    unsigned int kept = kept_registers();
    if (!all(kept, XMM_YMM)) return 2;
    return all(more, V4_MORE) && all(kept, XMM_YMM_ZMM) ? 4 : 3;
}

#endif
