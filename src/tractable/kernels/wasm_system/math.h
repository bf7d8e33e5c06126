/* Of the mathematics of C what the kernels use: the host's, and what changes exponents. */
#ifndef TRACTABLE_WASM_MATH_H
#define TRACTABLE_WASM_MATH_H

#define INFINITY __builtin_inff()
#define HOST(name) __attribute__((import_module("host"), import_name(name)))

HOST("exp") double exp(double x);
HOST("exp2") double exp2(double x);
HOST("log") double log(double x);
HOST("log2") double log2(double x);

static inline double fabs(double x) { return __builtin_fabs(x); }
static inline double fmin(double x, double y) { return y < x ? y : x; }
static inline double fmax(double x, double y) { return y > x ? y : x; }
double frexp(double x, int *exponent);
double ldexp(double x, int exponent);

#endif
