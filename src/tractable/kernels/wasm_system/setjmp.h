/* A call that fails ends in a trap: the host makes a new instance of the kernels. */
#ifndef TRACTABLE_WASM_SETJMP_H
#define TRACTABLE_WASM_SETJMP_H

typedef int jmp_buf[1];

static inline int setjmp(jmp_buf buffer) { return buffer[0] = 0; }
_Noreturn static inline void longjmp(jmp_buf buffer, int value) { __builtin_trap(); }

#endif
