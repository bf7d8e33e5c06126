/* The host's clock. */
#ifndef TRACTABLE_WASM_TIME_H
#define TRACTABLE_WASM_TIME_H

enum { CLOCK_MONOTONIC };

struct timespec {
    long tv_sec, tv_nsec;
};

__attribute__((import_module("host"), import_name("now"))) double host_now(void);

static inline void clock_gettime(int clock, struct timespec *t) {
    double now = host_now();
    t->tv_sec = (long)now;
    t->tv_nsec = (long)(1e9 * (now - (double)t->tv_sec));
}

#endif
