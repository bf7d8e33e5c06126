/* Products with matrices of zeros and ones, and Bernoulli samples, in single precision. */
#ifndef TRACTABLE_BINARY_H
#define TRACTABLE_BINARY_H

#include <stdint.h>

/* Who does the work: `each` calls run(work, item, worker) for all items, with worker < n_workers. */
typedef struct {
    int n_workers;
    void *call;
    void (*each)(void *call, int n_workers, int n_items, void (*run)(void *, int, int), void *work);
} Crew;

/* A matrix as it lies in memory, `first` rows in `x` and more in `x2`, or the transpose of that. In a product the rows in
 * `x2` of the second matrix count with the opposite sign, and each of its rows by its entry of `scale`, if there is one. */
typedef struct {
    const float *x, *x2, *scale;
    int64_t first;
    int64_t stride;
    int transposed;
} Matrix;

enum { PIECE = 32 }; /* columns that have a log-probability together */

/* Which outputs a product has; those that are null are not made. With `log_prob` [rows][pieces] come residuals, states
 * minus means: of the sample, or where none is drawn of the states in `target`, of which each row counts for `repeat`. */
typedef struct {
    float *product, *sample, *mean, *residual, *log_prob;
    const float *bias, *target;
    int64_t repeat;
    const uint32_t *seed, *rows;
} Finish;

/* out [rows, columns] = x [rows, inner] times w [inner, columns], fast where x is 0 or 1; 1 when there is no memory. */
int binary_product(const Crew *crew, int64_t rows, int64_t inner, int64_t columns, Matrix x, Matrix w, Finish out);

/* A sample [rows, columns] of units that have the given logits, and `within` [columns, columns] below its diagonal times
 * the units before them; 1 when there is no memory. */
int sample_ordered(const Crew *crew, int64_t rows, int64_t columns, const float *logits, const float *within, const uint32_t *seed,
                   const uint32_t *numbers, float *sample);

#endif
