/* Tests of random_clusters.c: the same draws as two chains of plain loops, which look for connections from scratch. */
#include "check.h"

typedef struct {
    int64_t n, m;
    const int32_t *ends;
    const double *low, *high;
    uint64_t seed;
    int64_t limit;
    int8_t *spins;
    int64_t *work;
} Ferromagnet;

int random_clusters(const Ferromagnet *a, int64_t first, int64_t last, Caller caller);

static uint64_t mixed(uint64_t x) {
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return x ^ (x >> 31);
}

static uint64_t bits_of(uint64_t key, int64_t number) { return mixed(key + (uint64_t)(number + 1) * 0x9E3779B97F4A7C15u); }

/* The smallest vertex of each one's cluster, the bond `without` being left out. */
static void clusters(const Ferromagnet *a, const char *open, int64_t without, int64_t *of) {
    for (int64_t v = 0; v < a->n; v++) of[v] = v;
    for (int changed = 1; changed;) {
        changed = 0;
        for (int64_t e = 0; e < a->m; e++) {
            int64_t i = a->ends[2 * e], j = a->ends[2 * e + 1];
            if (!open[e] || e == without || of[i] == of[j]) continue;
            of[i] = of[j] = of[i] < of[j] ? of[i] : of[j], changed = 1;
        }
    }
}

static void sweep(const Ferromagnet *a, uint64_t key, char *open, int64_t *of) {
    for (int64_t e = 0; e < a->m; e++) {
        double u = (double)(bits_of(key, e) >> 11) * 0x1p-53;
        clusters(a, open, e, of);
        open[e] = u < (of[a->ends[2 * e]] == of[a->ends[2 * e + 1]] ? a->high[e] : a->low[e]);
    }
}

/* Both chains to the end, from further and further in the past. */
static void draw(const Ferromagnet *a, int64_t number, int8_t *spins) {
    uint64_t key = mixed(bits_of(a->seed, number)), coins = bits_of(key, 0);
    char *most = TAKE(char, a->m), *least = TAKE(char, a->m);
    int64_t *of = TAKE(int64_t, a->n);
    for (int64_t begun = 1;; begun *= 2) {
        memset(most, 1, (size_t)a->m), memset(least, 0, (size_t)a->m);
        for (int64_t t = begun; t > 0; t--) sweep(a, bits_of(key, t), most, of), sweep(a, bits_of(key, t), least, of);
        for (int64_t e = 0; e < a->m; e++) CHECK(most[e] >= least[e]);
        if (!memcmp(most, least, (size_t)a->m)) break;
    }
    clusters(a, most, -1, of);
    for (int64_t v = 0; v < a->n - 1; v++)
        spins[v] = of[v] == of[a->n - 1] || bits_of(coins, of[v]) >> 63 ? 1 : -1;
}

static void check(int64_t n, int64_t m, double scale) {
    int32_t *ends = TAKE(int32_t, 2 * m);
    double *low = TAKE(double, m), *high = TAKE(double, m);
    for (int64_t e = 0; e < m; e++) {
        ends[2 * e] = random_below((int)n), ends[2 * e + 1] = random_below((int)n);
        if (ends[2 * e] == ends[2 * e + 1]) ends[2 * e + 1] = (ends[2 * e] + 1) % (int)n;
        high[e] = -expm1(-2 * scale * fabs(random_normal())), low[e] = high[e] / (2 - high[e]);
    }
    enum { DRAWS = 6 };
    int8_t *spins = TAKE(int8_t, DRAWS * (n - 1)), *expected = TAKE(int8_t, n - 1);
    int64_t *work = TAKE(int64_t, DRAWS);
    Ferromagnet a = {n, m, ends, low, high, random_bits(), INT64_MAX, spins, work};
    CHECK(random_clusters(&a, 0, 2, NULL) == 0 && random_clusters(&a, 2, DRAWS, NULL) == 0);
    for (int64_t i = 0; i < DRAWS; i++) {
        draw(&a, i, expected);
        CHECK(work[i] >= m && !memcmp(spins + i * (n - 1), expected, (size_t)(n - 1)));
    }
    a.limit = work[3];
    CHECK(random_clusters(&a, 3, 4, NULL) == 0);
    a.limit--;
    CHECK(random_clusters(&a, 3, 4, NULL) == 1);
    if (n == 9) RUNS_OUT((a.limit = INT64_MAX, random_clusters(&a, 0, 1, NULL)), NO_MEMORY, 0);
    release();
}

int main(void) {
    static const double SCALES[] = {0, 0.1, 0.4, 1, 30};
    for (int64_t n = 2; n < 12; n++)
        for (int i = 0; i < LENGTH(SCALES); i++) check(n, 0, 1), check(n, n, SCALES[i]), check(n, 3 * n, SCALES[i]);
    return 0;
}
