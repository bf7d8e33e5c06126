/* Tests of table.c: axes in another order, offsets, scaling, and the memory of large tables. */
#include "tables.h"

static const int32_t SIZES[AXES] = {2, 3, 1, 4, 5, 2, 7, 17, 64, 40, 3, 1};

/* Tables of all sizes: short runs, long ones, beyond the cache; the orders the same, nearly so, and any. */
static int test_gather(int semiring) {
    REGION(NULL)
    Context c = context_of(SIZES, semiring, -1);
    for (int i = 0; i < 300; i++) {
        int32_t axes[AXES], order[AXES], state[AXES];
        int nd = random_axes(-1, i % 3 ? 5 : 8, axes);
        while (size_of(SIZES, axes, nd) > 200000) nd--;
        Table t = random_table(&c, axes, nd);
        memcpy(order, axes, sizeof axes);
        if (i % 5) shuffle(order, nd - (nd && i % 2), -1);
        double *out = TAKE(double, t.size);
        gather(&c, &t, order, out);
        for (int64_t k = 0; k < t.size; k++) {
            set_states(&c, order, nd, k, state);
            CHECK(out[k] == t.x[place(&c, axes, nd, state)]);
        }
        for (int v = 0; v < AXES; v++) CHECK(!c.mark[v]);
        table_free(&c, &t);
        release();
    }
    CHECK(c.live == 0);
    region_leave();
    return 0;
}

static int test_offsets(void) {
    REGION(NULL)
    Context c = context_of(SIZES, SUM_PRODUCT, -1);
    int32_t axes[] = {4, 1, 6, 3, 9}, some[] = {3, 4, 6}, state[AXES] = {0};
    Table t = {.nd = 5, .legs = axes};
    int64_t *all[100], size = size_of(SIZES, some, 3);
    for (int i = 0; i < LENGTH(all); i++) { /* more than there is scratch for */
        all[i] = offsets(&c, &t, some, 3, size);
        for (int64_t k = 0; k < size; k++) {
            set_states(&c, some, 3, k, state);
            CHECK(all[i][k] == place(&c, axes, 5, state));
        }
    }
    for (int i = 0; i < LENGTH(all); i++) give_back(&c, all[i]);
    int64_t *none = offsets(&c, &t, some, 0, 1);
    CHECK(none[0] == 0);
    give_back(&c, none);
    region_leave();
    return 0;
}

/* Scaling changes no number: entries times the power of two that is taken out, and the bounds hold. */
static int test_normalize(double scale, int zero) {
    REGION(NULL)
    Context c = context_of(SIZES, SUM_PRODUCT, -1);
    int32_t axes[] = {4, 1};
    Table t = random_table(&c, axes, 2);
    double before[15];
    for (int i = 0; i < 15; i++) before[i] = t.x[i] = zero == 2 || (zero && i % 2) ? 0 : t.x[i] * scale;
    t.least = 0, t.most = INFINITY;
    normalize(&c, &t);
    for (int i = 0; i < 15; i++) {
        CHECK(ldexp(t.x[i], (int)t.exponent) == before[i]);
        CHECK(t.x[i] == 0 || (t.x[i] >= t.least && t.x[i] <= t.most));
    }
    CHECK(zero == 2 ? t.exponent == 0 : t.most >= 0x1p-65 && t.most <= 0x1p65);
    region_leave();
    return 0;
}

static int test_normalize_rows(void) {
    REGION(NULL)
    Context c = context_of(SIZES, SUM_PRODUCT, 6);
    int32_t axes[] = {4, 6};
    Table t = random_table(&c, axes, 2);
    double before[35], exponent[7];
    for (int r = 0; r < 7; r++) exponent[r] = t.row_exponent[r];
    for (int i = 0; i < 35; i++) before[i] = t.x[i] = i % 7 == 3 ? 0 : ldexp(t.x[i], 140 * (i % 7 - 3));
    normalize(&c, &t);
    for (int i = 0; i < 35; i++) {
        CHECK(ldexp(t.x[i], (int)(t.row_exponent[i % 7] - exponent[i % 7])) == before[i]);
        CHECK(t.x[i] < 0x1p65 && (t.x[i] == 0 || t.x[i] >= t.least));
    }
    region_leave();
    return 0;
}

/* Large blocks are used again, and the peak is what was held at once. */
static int test_pool(void) {
    REGION(NULL)
    Context c = context_of(SIZES, SUM_PRODUCT, -1);
    enum { N = 80, ENTRIES = 600000 };
    double *x[N];
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 5; i++) {
            x[i] = table_alloc(&c, ENTRIES + 1000 * i);
            x[i][0] = x[i][ENTRIES + 1000 * i - 1] = i;
        }
        CHECK(c.live >= 8 * 5 * (int64_t)ENTRIES && c.peak >= c.live &&
              c.peak <= 8 * 5 * (int64_t)(ENTRIES + 4000) * 9 / 8);
        for (int i = 0; i < 5; i++) table_release(&c, x[i]);
        CHECK(c.live == 0 && c.pooled > 0 && c.pooled <= c.peak);
    }
    for (int i = 0; i < N; i++) x[i] = table_alloc(&c, 40000), x[i][39999] = 1; /* more than the pool keeps */
    for (int i = 0; i < N; i++) table_release(&c, x[i]);
    x[0] = table_alloc(&c, 0);
    x[0][0] = 1;
    table_release(&c, x[0]);
    CHECK(c.live == 0 && c.n_pool <= POOL);
    region_leave();
    return 0;
}

int main(void) {
    CHECK(test_gather(SUM_PRODUCT) == 0);
    CHECK(test_offsets() == 0);
    static const double SCALES[] = {1, 1e-30, 1e30, 0x1p63, 0x1p-63, 1e-300, 1e300, 0x1p-1060};
    for (int i = 0; i < LENGTH(SCALES); i++)
        for (int zero = 0; zero < 3; zero++) CHECK(test_normalize(SCALES[i], zero) == 0);
    CHECK(test_normalize_rows() == 0);
    CHECK(test_pool() == 0);
    RUNS_OUT(test_pool(), NO_MEMORY, 0);
    return 0;
}
