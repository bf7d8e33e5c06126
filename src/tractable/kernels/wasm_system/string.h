#ifndef TRACTABLE_WASM_STRING_H
#define TRACTABLE_WASM_STRING_H

#define memcpy __builtin_memcpy
#define memset __builtin_memset
#define memmove __builtin_memmove

#endif
