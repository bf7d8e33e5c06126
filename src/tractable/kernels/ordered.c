/* Bernoulli units that depend on those before them in their own layer. */
#include "binary.h"
#include "kernels.h"
#include "words.h"

enum { CHAINS = 16 }; /* that are drawn by one worker at a time */

typedef struct {
    int64_t rows, columns;
    const float *logits, *pushes;
    const uint32_t *seed, *numbers;
    float *sample, *scratch;
} Ordered;

static int64_t padded(int64_t columns) { return (columns + F_LANES - 1) / F_LANES * F_LANES; }

/* A unit is on where logit(u) is below its own logit, so what is carried along is the logit less logit(u); a unit that
 * is on pushes those after it: a row of `pushes`, from its own vector on, where what is not after it is zero. */
static void draw_chain(const Ordered *o, int64_t r, float *margin) {
    int64_t n = o->columns, width = padded(n);
    const float *logits = o->logits + r * n;
    float *sample = o->sample + r * n;
    Keys keys = row_keys(o->seed, o->numbers[r]);
    memcpy(margin, logits, sizeof(float) * (size_t)n);
    for (int64_t j = 0; j < width; j += F_LANES) {
        F u = uniform_at(keys, j);
        f_store(margin + j, f_load(margin + j) - (f_log(u) - f_log(1.0f - u)));
    }
    for (int64_t i = 0; i < n; i++) {
        sample[i] = margin[i] > 0;
        if (!(margin[i] > 0)) continue;
        const float *push = o->pushes + i * width;
        for (int64_t j = i / F_LANES * F_LANES; j < width; j += F_LANES) f_store(margin + j, f_load(margin + j) + f_load(push + j));
    }
}

static void draw_some(void *work, int item, int worker) {
    const Ordered *o = work;
    int64_t from = item * (int64_t)CHAINS, to = from + CHAINS < o->rows ? from + CHAINS : o->rows;
    for (int64_t r = from; r < to; r++) draw_chain(o, r, o->scratch + worker * padded(o->columns));
}

int sample_ordered(const Crew *crew, int64_t rows, int64_t columns, const float *logits, const float *within, const uint32_t *seed,
                   const uint32_t *numbers, float *sample) {
    int64_t width = padded(columns);
    float *pushes = calloc((size_t)((columns + crew->n_workers) * width) + 1, sizeof(float));
    if (!pushes) return 1;
    for (int64_t i = 0; i < columns; i++)
        for (int64_t j = 0; j < i; j++) pushes[j * width + i] = within[i * columns + j];
    Ordered o = {rows, columns, logits, pushes, seed, numbers, sample, pushes + columns * width};
    crew->each(crew->call, crew->n_workers, (int)((rows + CHAINS - 1) / CHAINS), draw_some, &o);
    free(pushes);
    return 0;
}
