/* Who does the work of a kernel over binary rows: one thread, or several; and the random numbers of such rows, one by one. */
#ifndef TRACTABLE_TEST_CREWS_H
#define TRACTABLE_TEST_CREWS_H

#include "binary.h"
#include "check.h"

#include <pthread.h>
#include <stdatomic.h>

typedef struct {
    atomic_int next, worker;
    int n_items;
    void (*run)(void *, int, int);
    void *work;
} Shift;

static void *work_on(void *data) {
    Shift *s = data;
    int item, worker = atomic_fetch_add(&s->worker, 1);
    while ((item = atomic_fetch_add(&s->next, 1)) < s->n_items) s->run(s->work, item, worker);
    return NULL;
}

static void each_shared(void *call, int n_workers, int n_items, void (*run)(void *, int, int), void *work) {
    Shift s = {0, 0, n_items, run, work};
    pthread_t threads[8];
    (void)call;
    for (int i = 1; i < n_workers; i++) CHECK(!pthread_create(threads + i, NULL, work_on, &s));
    work_on(&s);
    for (int i = 1; i < n_workers; i++) pthread_join(threads[i], NULL);
}

static const Crew ALONE = {1, NULL, each_shared}, SHARED = {3, NULL, each_shared};

static inline uint32_t mixed(uint32_t x) {
    x = (x ^ (x >> 16)) * 0x21F0AAADu;
    x = (x ^ (x >> 15)) * 0xD35A2D97u;
    return x ^ (x >> 15);
}

static inline uint32_t bits_of(const uint32_t *seed, uint32_t number, int64_t column) {
    uint32_t a = mixed(mixed(number * 0x9E3779B9u + seed[0] + 0x6A09E667u) ^ seed[1]);
    uint32_t b = mixed(mixed(number * 0x85EBCA6Bu + seed[1] + 0xBB67AE85u) ^ seed[0] ^ a);
    return mixed(mixed((uint32_t)column * 0x9E3779B9u + a) ^ b);
}

static inline double uniform_of(const uint32_t *seed, uint32_t number, int64_t column) {
    float u = (float)(int32_t)(bits_of(seed, number, column) >> 1) * 0x1p-31f + 0x1p-32f;
    return u < 0x1.fffffep-1f ? u : 0x1.fffffep-1f;
}

static inline double sigmoid(double x) { return 1 / (1 + exp(-x)); }
static inline double softplus(double x) { return fmax(x, 0) + log1p(exp(-fabs(x))); }

static inline float *floats(int64_t n, double scale) {
    float *x = TAKE(float, n);
    for (int64_t i = 0; i < n; i++) x[i] = (float)(scale * random_normal());
    return x;
}

static inline float *coins(int64_t n) {
    float *x = TAKE(float, n);
    for (int64_t i = 0; i < n; i++) x[i] = (float)random_below(2);
    return x;
}

static inline uint32_t *words(int64_t n) {
    uint32_t *x = TAKE(uint32_t, n);
    for (int64_t i = 0; i < n; i++) x[i] = (uint32_t)random_bits();
    return x;
}

#endif
