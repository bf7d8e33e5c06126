/* What a system gives the kernels elsewhere: memory, sorting, and the exponents of numbers. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Blocks lie behind one another; free ones are in a list, and the first that is large enough is taken. */
typedef struct Block {
    struct Block *next;
    size_t bytes;
} Block;

enum { PAGE = 1 << 16, UNIT = 64 };

static uintptr_t top; /* where what was never given out begins; at first the end of all memory */
static Block *idle;

static Block *idle_block(size_t bytes) {
    for (Block **at = &idle; *at; at = &(*at)->next) {
        Block *b = *at;
        if (b->bytes < bytes) continue;
        *at = b->next;
        if (b->bytes - bytes < UNIT) return b;
        Block *rest = (Block *)((unsigned char *)(b + 1) + bytes);
        *rest = (Block){idle, b->bytes - bytes - sizeof(Block)};
        idle = rest;
        b->bytes = bytes;
        return b;
    }
    return NULL;
}

void *malloc(size_t bytes) {
    if (bytes > SIZE_MAX / 2) return NULL;
    bytes = (bytes + UNIT - 1) / UNIT * UNIT;
    Block *b = idle_block(bytes);
    if (b) return b + 1;
    uint64_t there = (uint64_t)__builtin_wasm_memory_size(0) * PAGE;
    if (!top) top = (uintptr_t)there;
    uint64_t end = (uint64_t)top + sizeof(Block) + bytes;
    if (end > there && __builtin_wasm_memory_grow(0, (size_t)((end - there + PAGE - 1) / PAGE)) == SIZE_MAX) return NULL;
    b = (Block *)top;
    b->bytes = bytes;
    top = (uintptr_t)end;
    return b + 1;
}

void free(void *block) {
    if (!block) return;
    Block *b = (Block *)block - 1;
    b->next = idle;
    idle = b;
}

/* By insertion: what is sorted are the variables of a table. */
void qsort(void *base, size_t count, size_t size, int (*compare)(const void *, const void *)) {
    unsigned char *x = base, held[UNIT];
    for (size_t i = 1, j; i < count; i++) {
        memcpy(held, x + i * size, size);
        for (j = i; j && compare(x + (j - 1) * size, held) > 0; j--) memcpy(x + j * size, x + (j - 1) * size, size);
        memcpy(x + j * size, held, size);
    }
}

/* A number by its bits. */
static double numbered(uint64_t bits) {
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static double two_to(int exponent) { return numbered((uint64_t)(exponent + 1023) << 52); }

double frexp(double x, int *exponent) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    int e = (int)(bits >> 52 & 0x7FF);
    *exponent = 0;
    if (x == 0 || e == 0x7FF) return x;
    if (!e) {
        x = frexp(x * 0x1p64, exponent);
        *exponent -= 64;
        return x;
    }
    *exponent = e - 1022;
    return numbered((bits & ~(0x7FFull << 52)) | 1022ull << 52);
}

double ldexp(double x, int exponent) {
    int e;
    double mantissa = frexp(x, &e);
    e += exponent;
    if (x == 0 || x - x != 0) return x;
    if (e > 1024) return x > 0 ? INFINITY : -INFINITY;
    if (e > -1022) return 2 * mantissa * two_to(e - 1);
    return mantissa * two_to(e < -2000 ? -1000 : e + 1000) * 0x1p-1000; /* rounded once */
}
