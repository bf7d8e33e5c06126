/* Tests of system.c: exponents as the C library has them, sorting, and blocks of memory that do not overlap. */
#include "check.h"

enum { PAGES = 64, PAGE_BYTES = 1 << 16 };
static unsigned char *memory;
static size_t n_pages;

static size_t grown(size_t by) {
    if (n_pages + by > PAGES) return SIZE_MAX;
    n_pages += by;
    return n_pages - by;
}

#define __builtin_wasm_memory_size(which) ((uintptr_t)memory / PAGE_BYTES + n_pages)
#define __builtin_wasm_memory_grow(which, by) grown(by)
#define malloc own_malloc
#define free own_free
#define qsort own_qsort
#define frexp own_frexp
#define ldexp own_ldexp
void *own_malloc(size_t bytes);
void own_free(void *block);
void own_qsort(void *base, size_t count, size_t size, int (*compare)(const void *, const void *));
double own_frexp(double x, int *exponent);
double own_ldexp(double x, int exponent);
#include "wasm_system/system.c"
#undef malloc
#undef free
#undef qsort
#undef frexp
#undef ldexp

static int same(double a, double b) { return !memcmp(&a, &b, sizeof a) || (isnan(a) && isnan(b)); }

static void test_exponents(void) {
    static const double special[] = {0, -0.0, INFINITY, -INFINITY, NAN, 1, -1, 0x1p-1074, 0x1p-1022, 0x1.8p-1073, 0x1.fffffffffffffp1023};
    for (int i = 0; i < 100000; i++) {
        uint64_t bits = random_bits();
        double x = i < LENGTH(special) ? special[i] : numbered(random_below(8) ? bits : bits & ~(0x7FFull << 52));
        int own, theirs, by = random_below(5000) - 2500;
        double mantissa = own_frexp(x, &own), expected = frexp(x, &theirs);
        CHECK(same(mantissa, expected) && (x - x != 0 || own == theirs));
        CHECK(same(own_ldexp(x, by), ldexp(x, by)));
        by = -1022 - own + random_below(120) - 60; /* where numbers become subnormal and end */
        CHECK(same(own_ldexp(x, by), ldexp(x, by)));
        by = 1024 - own + random_below(4) - 2;
        CHECK(same(own_ldexp(x, by), ldexp(x, by)));
    }
}

static int compare(const void *a, const void *b) {
    int x = *(const int *)a, y = *(const int *)b;
    return (x > y) - (x < y);
}

static void test_sorting(void) {
    for (int n = 0; n < 40; n++) {
        int *own = TAKE(int, n), *theirs = TAKE(int, n);
        for (int i = 0; i < n; i++) own[i] = theirs[i] = random_below(n);
        own_qsort(own, (size_t)n, sizeof *own, compare);
        qsort(theirs, (size_t)n, sizeof *theirs, compare);
        CHECK(!n || !memcmp(own, theirs, sizeof *own * (size_t)n));
    }
    release();
}

/* Blocks keep what was written into them until they are freed, are aligned, and end where memory does. */
static void test_memory(void) {
    enum { BLOCKS = 64 };
    unsigned char *block[BLOCKS] = {0};
    size_t bytes[BLOCKS] = {0};
    int refused = 0;
    memory = (unsigned char *)(((uintptr_t)take((PAGES + 1) * PAGE_BYTES) + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES);
    for (int i = 0; i < 20000; i++) {
        int k = random_below(BLOCKS);
        for (size_t j = 0; block[k] && j < bytes[k]; j += 1 + bytes[k] / 8) CHECK(block[k][j] == (unsigned char)k);
        own_free(block[k]);
        bytes[k] = (size_t)random_below(1 << random_below(18));
        block[k] = own_malloc(bytes[k]);
        refused += !block[k];
        if (!block[k]) continue;
        CHECK((uintptr_t)block[k] % 8 == 0 && block[k] + bytes[k] <= memory + n_pages * PAGE_BYTES);
        memset(block[k], k, bytes[k]);
    }
    CHECK(n_pages > 1 && refused > 0 && refused < 20000);
    CHECK(!own_malloc(SIZE_MAX) && !own_malloc(SIZE_MAX / 2));
    own_free(NULL);
    release();
}

int main(void) {
    test_exponents();
    test_sorting();
    test_memory();
    return 0;
}
