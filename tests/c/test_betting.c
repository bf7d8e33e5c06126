/* Tests of betting.c: cells, masses and ends of the capital, for all numbers of draws, labels and points; and log1p. */
#include "check.h"
#include "vectors.h"

int betting_cells(int64_t n, int k, const double *points, const double *x, uint8_t *cells, double *shares,
                  Caller caller);
int betting_tally(int64_t n, int k, const uint8_t *cells, const double *shares, int64_t zeros, int64_t n_questions,
                  const int64_t *starts, const void *labels, int wide, int64_t n_values, int levels,
                  const double *values, double *mass, double *value_mass, int64_t *drawn, Caller caller);
int betting_edges(int64_t n, const int64_t *sizes, const double *moving, const double *still, const double *slope,
                  const double *offset, const double *still_offset, const double *stakes, const double *rungs,
                  const double *log_parts, const double *search, double target, double tolerance, double *edges,
                  Caller caller);

static double values[LANES], logs[LANES]; /* not on the stack: a sanitizer's frames are not aligned for vectors */

static void log1p_of_values(double tolerance) {
    v_store(logs, v_log1p(v_load(values)));
    for (int l = 0; l < LANES; l++) CHECK_NEAR(logs[l], log1p(values[l]), tolerance * fabs(log1p(values[l])));
}

static void check_log1p(void) {
    for (int i = 0; i < 200000; i++) {
        double size = pow(10, 60 * random_unit() - 40);
        for (int l = 0; l < LANES; l++)
            values[l] = size < 0.98 && random_below(2) ? -size : size * (1 + random_unit());
        log1p_of_values(7e-16);
    }
    for (int l = 0; l < LANES; l++) values[l] = l % 2 ? 1e300 : 0;
    log1p_of_values(1e-15);
}

typedef struct {
    int64_t n;
    int k;
    double *points, *x, *shares;
    uint8_t *cells;
} Placed;

/* Draws all over the grid, some on its points, some of weight zero. */
static Placed place(int64_t n, int k) {
    Placed p = {n, k, TAKE(double, k), TAKE(double, n), TAKE(double, n), TAKE(uint8_t, n)};
    for (int i = 1; i < k; i++) p.points[i] = -0.3 * (k - 1 - i) * (1 + 0.1 * random_unit());
    p.points[0] = -INFINITY;
    for (int64_t i = 0; i < n; i++) {
        int kind = random_below(8);
        p.x[i] = kind == 0 ? -INFINITY : kind == 1 ? p.points[random_below(k)] : -0.33 * k * random_unit();
    }
    CHECK(betting_cells(n, k, p.points, p.x, p.cells, p.shares, NULL) == 0);
    for (int64_t i = 0; i < n; i++) {
        CHECK(p.cells[i] < k - 1 && p.shares[i] >= 0 && p.shares[i] <= 1);
        double left = p.points[p.cells[i]], right = p.points[p.cells[i] + 1];
        CHECK(left <= p.x[i] && p.x[i] <= right);
        CHECK_NEAR((1 - p.shares[i]) * exp(left) + p.shares[i] * exp(right), exp(p.x[i]), 1e-15 * exp(right));
    }
    return p;
}

static void check_tally(int64_t n, int k, const int *sizes, int n_questions) {
    Placed p = place(n, k);
    int64_t *starts = TAKE(int64_t, n_questions + 1);
    starts[0] = 0;
    for (int q = 0; q < n_questions; q++) starts[q + 1] = starts[q] + sizes[q];
    int64_t size = (1 + starts[n_questions]) * k;
    uint8_t *bytes = TAKE(uint8_t, n_questions * n);
    int32_t *words = TAKE(int32_t, n_questions * n);
    double *expected = ZEROS(double, size), *mass[2] = {ZEROS(double, size), ZEROS(double, size)};
    for (int q = -1; q < n_questions; q++)
        for (int64_t i = 0; i < n; i++) {
            int label = q < 0 ? 0 : random_below(sizes[q]);
            if (q >= 0) bytes[q * n + i] = (uint8_t)label, words[q * n + i] = label;
            double *at = expected + (q < 0 ? 0 : 1 + starts[q] + label) * k + p.cells[i];
            at[0] += 1 - p.shares[i], at[1] += p.shares[i];
        }
    for (int wide = 0; wide < 2; wide++) {
        mass[wide][0] = 5; /* is added to */
        const void *labels = wide ? (const void *)words : bytes;
        int64_t drawn = 7;
        CHECK(betting_tally(n, k, p.cells, p.shares, 3, n_questions, starts, labels, wide, 0, 2, NULL, mass[wide], NULL,
                            &drawn, NULL) == 0);
        CHECK(drawn == 10 + n);
        for (int64_t i = 0; i < size; i++) CHECK_NEAR(mass[wide][i], expected[i] + (i ? 0 : 8), 1e-12 * (1 + (double)n));
    }
}

static void check_values(int64_t n, int k, int m, int levels) {
    Placed p = place(n, k);
    double *values = TAKE(double, m * n), *mass = ZEROS(double, m * levels * k);
    for (int64_t i = 0; i < m * n; i++) values[i] = random_below(4) ? random_unit() : random_below(2);
    double *whole = ZEROS(double, k);
    int64_t start = 0, drawn = 0;
    CHECK(betting_tally(n, k, p.cells, p.shares, 0, 0, &start, NULL, 0, m, levels, values, whole, mass, &drawn, NULL) ==
          0);
    for (int v = 0; v < m; v++) {
        double all = 0, value = 0, both = 0, expected = 0, expected_both = 0;
        for (int64_t i = 0; i < n; i++) {
            expected += values[v * n + i];
            expected_both += values[v * n + i] * exp(p.x[i]);
        }
        for (int l = 0; l < levels; l++)
            for (int c = 0; c < k; c++) {
                double here = mass[(v * levels + l) * k + c], h = (double)l / (levels - 1);
                CHECK(here >= 0);
                all += here, value += h * here, both += h * exp(p.points[c]) * here;
            }
        CHECK_NEAR(all, (double)n, 1e-12 * (1 + (double)n));
        CHECK_NEAR(value, expected, 1e-12 * (1 + (double)n));
        CHECK_NEAR(both, expected_both, 1e-12 * (1 + (double)n));
    }
}

enum { RUNGS = 3 };
static const double LADDER[RUNGS] = {0.9, 0.3, 0.01}, PARTS[1 + RUNGS] = {-0.7, -1.5, -2.0, -2.5};

typedef struct {
    int64_t n, blocks, moving, still;
    double *mass, *beside, *slope, *offset, *still_offset, *stakes, *search, *edges;
} Bets;

static Bets bets(int64_t n, int64_t blocks, int64_t moving, int64_t still) {
    Bets b = {n,
              blocks,
              moving,
              still,
              TAKE(double, n * blocks * moving),
              TAKE(double, n * blocks * still),
              TAKE(double, moving),
              TAKE(double, moving),
              TAKE(double, still),
              TAKE(double, n * blocks),
              TAKE(double, 4 * n),
              TAKE(double, n)};
    for (int64_t i = 0; i < n * blocks * moving; i++) b.mass[i] = random_below(3) ? 20 * random_unit() : 0;
    for (int64_t i = 0; i < n * blocks * still; i++) b.beside[i] = 20 * random_unit();
    for (int64_t i = 0; i < moving; i++) b.slope[i] = random_unit(), b.offset[i] = -b.slope[i] * random_below(2);
    for (int64_t i = 0; i < still; i++) b.still_offset[i] = -random_unit();
    for (int64_t i = 0; i < n * blocks; i++) b.stakes[i] = i % blocks ? 0.9 * random_unit() : 0;
    for (int64_t i = 0; i < n; i++) b.search[4 * i] = 5 * random_unit(), b.search[4 * i + 1] = 0;
    for (int64_t i = 0; i < n; i++) b.search[4 * i + 2] = pow(10, 4 * random_unit() - 3), b.search[4 * i + 3] = 1e9;
    return b;
}

static int run(const Bets *b, double target, double tolerance) {
    int64_t sizes[] = {b->blocks, b->moving, b->still, RUNGS};
    return betting_edges(b->n, sizes, b->mass, b->beside, b->slope, b->offset, b->still_offset, b->stakes, LADDER,
                         PARTS, b->search, target, tolerance, b->edges, NULL);
}

static double log_capital(const Bets *b, int64_t i, double u) {
    double sum = 0;
    for (int part = 0; part <= RUNGS; part++) {
        double log_part = PARTS[part];
        for (int64_t t = 0; t < b->blocks; t++) {
            double stake = part ? LADDER[part - 1] : b->stakes[i * b->blocks + t];
            for (int64_t c = 0; c < b->moving; c++)
                log_part += b->mass[(i * b->blocks + t) * b->moving + c] * log1p(stake * (b->slope[c] * u + b->offset[c]));
            for (int64_t c = 0; c < b->still; c++)
                log_part += b->beside[(i * b->blocks + t) * b->still + c] * log1p(stake * b->still_offset[c]);
        }
        sum += exp(log_part - 300);
    }
    return log(sum) + 300;
}

/* The end that comes back is rejected, and a little before it is not. */
static void check_edges(int64_t n, int64_t blocks, int64_t moving, int64_t still) {
    static const double TARGETS[] = {0.5, 3.7, 12}, TOLERANCES[] = {1e-2, 1e-3, 1e-9};
    for (int t = 0; t < LENGTH(TARGETS); t++)
        for (int s = 0; s < LENGTH(TOLERANCES); s++) {
            Bets b = bets(n, blocks, moving, still);
            CHECK(run(&b, TARGETS[t], TOLERANCES[s]) == 0);
            for (int64_t i = 0; i < n; i++) {
                double end = b.edges[i], away = fmax(fabs(end - b.search[4 * i]), b.search[4 * i]);
                CHECK(log_capital(&b, i, end) >= TARGETS[t] - 1e-9);
                CHECK(log_capital(&b, i, end - 1.01 * TOLERANCES[s] * away - 1e-12) < TARGETS[t] + 1e-9);
            }
        }
    Bets none = bets(n, blocks, moving, still);
    memset(none.mass, 0, sizeof(double) * (size_t)(n * blocks * moving));
    CHECK(run(&none, 3.7, 1e-3) == 0);
    for (int64_t i = 0; i < n; i++) CHECK(none.edges[i] == INFINITY);
}

int main(void) {
    static const int SIZES[] = {2, 1, 16, 17, 3, 200};
    static const int64_t DRAWS[] = {0, 1, 2, 3, 4, 5, 63, 1000};
    static const int POINTS[] = {2, 3, 8, 64, 256};
    check_log1p();
    for (int i = 0; i < LENGTH(DRAWS); i++)
        for (int j = 0; j < LENGTH(POINTS); j++) {
            check_tally(DRAWS[i], POINTS[j], SIZES, LENGTH(SIZES));
            check_tally(DRAWS[i], POINTS[j], SIZES, 0);
            check_values(DRAWS[i], POINTS[j], 2, 2 + 3 * j);
            release();
        }
    for (int64_t n = 0; n < 4; n++)
        for (int64_t blocks = 1; blocks < 4; blocks++)
            for (int still = 0; still < 3; still++) {
                check_edges(n, blocks, 8 + 16 * (n % 2), 8 * still);
                release();
            }
    Bets b = bets(2, 2, 8, 8);
    RUNS_OUT(run(&b, 3.7, 1e-3), NO_MEMORY, 0);
    Placed p = place(9, 8);
    double *mass = ZEROS(double, 24);
    static const uint8_t LABELS[9] = {0, 1, 1};
    static const int64_t STARTS[] = {0, 2};
    int64_t drawn = 0;
    RUNS_OUT(betting_tally(9, 8, p.cells, p.shares, 0, 1, STARTS, LABELS, 0, 0, 2, NULL, mass, NULL, &drawn, NULL),
             NO_MEMORY, 0);
    double all = 0;
    for (int i = 0; i < 24; i++) all += mass[i];
    CHECK_NEAR(all, 18, 1e-12); /* nothing of the calls that failed */
    release();
    return 0;
}
