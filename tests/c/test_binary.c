/* Tests of binary.c: products with rows of zeros, ones and other numbers, what is drawn and made of them, and steps. */
#include "crews.h"

static void check_bits(int64_t rows, int64_t columns) {
    uint32_t *seed = words(2), *numbers = words(rows), *out = TAKE(uint32_t, rows * columns);
    counter_bits(seed, numbers, rows, columns, out);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t j = 0; j < columns; j++) CHECK(out[r * columns + j] == bits_of(seed, numbers[r], j));
    release();
}

/* x [rows, inner] as the product sees it, and w [inner, columns], beside the ways in which they may lie in memory. */
typedef struct {
    int64_t rows, inner, columns;
    float *x, *w;
    Matrix x_at, w_at;
    double *product;
} Drawn;

enum { PLAIN, W_TRANSPOSED, OUTER, OUTER_OF_TWO, OUTER_SCALED, WAYS };

static float *transposed(const float *x, int64_t rows, int64_t columns) {
    float *out = TAKE(float, rows * columns);
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++) out[j * rows + i] = x[i * columns + j];
    return out;
}

static Drawn draw(int64_t rows, int64_t inner, int64_t columns, int way) {
    Drawn d = {
        .rows = rows, .inner = inner, .columns = columns, .x = coins(rows * inner), .w = floats(inner * columns, 1)};
    for (int64_t r = 0; r < rows; r++)
        if (random_below(3) == 0)
            for (int64_t k = 0; k < inner; k += 1 + random_below(4)) d.x[r * inner + k] = (float)random_normal();
    const float *x = way >= OUTER ? transposed(d.x, rows, inner) : d.x,
                *w = way == W_TRANSPOSED ? transposed(d.w, inner, columns) : d.w;
    int64_t first = way == OUTER_OF_TWO ? random_below((int)inner + 1) : inner;
    double sign = -1;
    float *scale = way == OUTER_SCALED ? floats(inner, 1) : NULL;
    d.x_at = (Matrix){.x = x,
                      .first = way >= OUTER ? first : rows,
                      .stride = way >= OUTER ? rows : inner,
                      .transposed = way >= OUTER};
    d.w_at = (Matrix){.x = w,
                      .scale = scale,
                      .first = way == W_TRANSPOSED ? columns : first,
                      .stride = way == W_TRANSPOSED ? inner : columns,
                      .transposed = way == W_TRANSPOSED};
    if (way == OUTER_OF_TWO) { /* in two arrays each, with nothing around them */
        float *one = memcpy(TAKE(float, first * rows), x, sizeof(float) * (size_t)(first * rows));
        float *two = memcpy(TAKE(float, (inner - first) * rows), x + first * rows,
                            sizeof(float) * (size_t)((inner - first) * rows));
        d.x_at.x = one, d.x_at.x2 = two;
        one = memcpy(TAKE(float, first * columns), w, sizeof(float) * (size_t)(first * columns));
        two = memcpy(TAKE(float, (inner - first) * columns), w + first * columns,
                     sizeof(float) * (size_t)((inner - first) * columns));
        d.w_at.x = one, d.w_at.x2 = two;
    }
    d.product = ZEROS(double, rows * columns);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t k = 0; k < inner; k++)
            for (int64_t j = 0; j < columns; j++)
                d.product[r * columns + j] += (double)d.x[r * inner + k] * d.w[k * columns + j] *
                                              (scale ? scale[k] : 1) * (k >= first && way != W_TRANSPOSED ? sign : 1);
    return d;
}

static double tolerance(int64_t inner) { return 2e-6 * (4 + (double)inner); }

static void check_product(const Crew *crew, const Drawn *d) {
    float *product = TAKE(float, d->rows * d->columns), *bias = floats(d->columns, 1);
    for (int biased = 0; biased < 2; biased++) {
        CHECK(!binary_product(crew, d->rows, d->inner, d->columns, d->x_at, d->w_at,
                              (Finish){.product = product, .bias = biased ? bias : NULL}));
        for (int64_t i = 0; i < d->rows * d->columns; i++)
            CHECK_NEAR(product[i], d->product[i] + (biased ? bias[i % d->columns] : 0), tolerance(d->inner));
    }
}

/* A unit is on where its uniform number is below its mean, unless the two are too near for single precision to say. */
static void check_sample(double u, double logit, float sample, double slack) {
    double p = sigmoid(logit);
    if (u < p - slack)
        CHECK(sample == 1);
    else if (u > p + slack)
        CHECK(sample == 0);
    else
        CHECK(sample == 0 || sample == 1);
}

static void check_units(const Crew *crew, const Drawn *d) {
    int64_t n = d->rows * d->columns;
    float *sample = TAKE(float, n), *mean = TAKE(float, n), *bias = floats(d->columns, 2);
    uint32_t *seed = words(2), *rows = words(d->rows);
    Finish out = {.sample = sample, .mean = mean, .bias = bias, .seed = seed, .rows = rows};
    CHECK(!binary_product(crew, d->rows, d->inner, d->columns, d->x_at, d->w_at, out));
    for (int64_t i = 0; i < n; i++) {
        double logit = d->product[i] + bias[i % d->columns];
        CHECK_NEAR(mean[i], sigmoid(logit), 1e-6 + tolerance(d->inner));
        check_sample(uniform_of(seed, rows[i / d->columns], i % d->columns), logit, sample[i],
                     1e-6 + tolerance(d->inner));
    }
}

/* The pieces of a row's log-probability, or of its squares, add up to the whole. */
static double total(const float *pieces, int64_t row, int64_t columns) {
    int64_t n = (columns + PIECE - 1) / PIECE;
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += pieces[row * n + i];
    return sum;
}

static void check_score(const Crew *crew, const Drawn *d, int drawn) {
    int64_t n = d->rows * d->columns, pieces = (d->columns + PIECE - 1) / PIECE, repeat = d->rows % 3 ? 1 : 3;
    float *sample = TAKE(float, n), *residual = TAKE(float, n), *log_prob = TAKE(float, d->rows * pieces),
          *bias = floats(d->columns, 2), *target = coins(d->rows / repeat * d->columns);
    uint32_t *seed = words(2), *rows = words(d->rows);
    Finish out = {.residual = residual, .log_prob = log_prob, .bias = bias};
    if (drawn)
        out.sample = sample, out.seed = seed, out.rows = rows;
    else
        out.target = target, out.repeat = repeat;
    CHECK(!binary_product(crew, d->rows, d->inner, d->columns, d->x_at, d->w_at, out));
    for (int64_t r = 0; r < d->rows; r++) {
        double sum = 0;
        for (int64_t j = 0; j < d->columns; j++) {
            double logit = d->product[r * d->columns + j] + bias[j],
                   x = drawn ? sample[r * d->columns + j] : target[r / repeat * d->columns + j];
            sum += x * logit - softplus(logit);
            if (drawn) check_sample(uniform_of(seed, rows[r], j), logit, (float)x, 1e-6 + tolerance(d->inner));
            CHECK_NEAR(residual[r * d->columns + j], x - sigmoid(logit), 1e-6 + tolerance(d->inner));
        }
        CHECK_NEAR(total(log_prob, r, d->columns), sum, (1 + (double)d->columns) * tolerance(d->inner));
    }
}

static void check_step(const Crew *crew, const Drawn *d, int traced) {
    int64_t n = d->rows * d->columns, pieces = (d->columns + PIECE - 1) / PIECE;
    float *left = floats(2 * d->rows, 1), *right = floats(2 * d->columns, 1), *given = floats(n, 1),
          *trace = floats(n, 1), *squares = TAKE(float, d->rows * pieces);
    float *before = memcpy(TAKE(float, n), given, sizeof(float) * (size_t)n),
          *last = memcpy(TAKE(float, n), trace, sizeof(float) * (size_t)n);
    Step step = {left, right, given, traced ? trace : NULL, given, traced ? trace : NULL, squares,
                 0.1f, 0.01f, 0.5f}; /* in place */
    CHECK(!binary_product(crew, d->rows, d->inner, d->columns, d->x_at, d->w_at, (Finish){.step = &step}));
    for (int64_t r = 0; r < d->rows; r++) {
        double sum = 0;
        for (int64_t j = 0; j < d->columns; j++) {
            int64_t i = r * d->columns + j;
            double g =
                d->product[i] - 0.01 * before[i] - left[r] * right[j] - left[d->rows + r] * right[d->columns + j];
            sum += g * g;
            if (traced) g -= 0.5 * last[i];
            CHECK_NEAR(trace[i], traced ? -g : last[i], 1e-5 + tolerance(d->inner));
            CHECK_NEAR(given[i], before[i] + 0.1 * g, 1e-5 + tolerance(d->inner));
        }
        CHECK_NEAR(total(squares, r, d->columns), sum, 1e-4 * (1 + sum) + (double)d->columns * tolerance(d->inner));
    }
}

static void check_logits(const Crew *crew, int64_t rows, int64_t columns) {
    float *logits = floats(rows * columns, 3), *sample = TAKE(float, rows * columns);
    uint32_t *seed = words(2), *numbers = words(rows);
    for (int64_t i = 0; i < rows * columns; i++)
        if (random_below(9) == 0) logits[i] = (float)(random_below(2) ? 1e30 : -1e30);
    sample_logits(crew, rows, columns, logits, (Finish){.sample = sample, .seed = seed, .rows = numbers});
    for (int64_t i = 0; i < rows * columns; i++)
        check_sample(uniform_of(seed, numbers[i / columns], i % columns), logits[i], sample[i], 1e-6);
    release();
}

int main(void) {
    static const int64_t SIZES[] = {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 130, 520};
    int n = LENGTH(SIZES), step = 1;
#ifdef __SANITIZE_THREAD__
    step = 6; /* the same threads meet, whatever the lengths */
#endif
    for (int i = 0; i < n; i += step) {
        check_bits(SIZES[i % 5], SIZES[i]);
        check_logits(i % 2 ? &ALONE : &SHARED, SIZES[(7 * i) % n], SIZES[i % 17]);
        for (int way = 0; way < WAYS; way++)
            for (int k = 0; k < 6; k++) {
                const Crew *crew = k % 2 ? &ALONE : &SHARED;
                int64_t rows = SIZES[random_below(n - 1)], columns = SIZES[random_below(n - 1)];
                Drawn d = draw(rows, k == 5 ? 0 : SIZES[i], columns, way);
                check_product(crew, &d);
                check_units(crew, &d);
                check_score(crew, &d, k % 3 == 0);
                check_step(crew, &d, k % 4 == 0);
                release();
            }
    }
    Drawn d = draw(40, 20, 70, PLAIN);
    float *product = TAKE(float, 40 * 70);
    RUNS_OUT(binary_product(&ALONE, 40, 20, 70, d.x_at, d.w_at, (Finish){.product = product}), 1, 0);
    CHECK(!binary_product(&ALONE, 0, 20, 70, d.x_at, d.w_at, (Finish){.product = product}));
    CHECK(!binary_product(&ALONE, 40, 20, 0, d.x_at, d.w_at, (Finish){.product = product}));
    d.x[7] = NAN; /* comes out in its row and in no other */
    d.x[8] = INFINITY;
    CHECK(!binary_product(&ALONE, 40, 20, 70, d.x_at, d.w_at, (Finish){.product = product}));
    for (int64_t i = 0; i < 40 * 70; i++) CHECK(isnan(product[i]) == (i < 70));
    release();
    return 0;
}
