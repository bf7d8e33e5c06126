#ifndef TRACTABLE_WASM_STDLIB_H
#define TRACTABLE_WASM_STDLIB_H

#include <stddef.h>

void *malloc(size_t bytes);
void free(void *block);
void qsort(void *base, size_t count, size_t size, int (*compare)(const void *, const void *));

#endif
