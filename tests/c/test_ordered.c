/* Tests of ordered.c: each unit hears of those before it, and of no other. */
#include "crews.h"

static void check(const Crew *crew, int64_t rows, int64_t columns) {
    float *logits = floats(rows * columns, 1), *within = floats(columns * columns, 1),
          *sample = TAKE(float, rows * columns);
    uint32_t *seed = words(2), *numbers = words(rows);
    for (int64_t i = 0; i < columns; i++) /* what is not below the diagonal is not looked at */
        for (int64_t j = i; j < columns; j++) within[i * columns + j] = NAN;
    CHECK(sample_ordered(crew, rows, columns, logits, within, seed, numbers, sample) == 0);
    for (int64_t r = 0; r < rows; r++) {
        const float *x = sample + r * columns;
        for (int64_t i = 0; i < columns; i++) {
            double logit = logits[r * columns + i], u = uniform_of(seed, numbers[r], i);
            for (int64_t j = 0; j < i; j++) logit += x[j] * within[i * columns + j];
            CHECK(x[i] == 0 || x[i] == 1);
            if (fabs(u - sigmoid(logit)) > 1e-4) CHECK(x[i] == (u < sigmoid(logit)));
        }
    }
    if (rows == 17) RUNS_OUT(sample_ordered(crew, rows, columns, logits, within, seed, numbers, sample), 1, 0);
    release();
}

int main(void) {
    static const int64_t ROWS[] = {0, 1, 15, 16, 17, 50}, COLUMNS[] = {0, 1, 3, 7, 8, 9, 15, 16, 17, 33};
    for (int i = 0; i < LENGTH(ROWS); i++)
        for (int j = 0; j < LENGTH(COLUMNS); j++) check((i + j) % 2 ? &ALONE : &SHARED, ROWS[i], COLUMNS[j]);
    return 0;
}
