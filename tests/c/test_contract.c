/* Tests of contract.c: two tables over random axes, by every way that a product may take, against a sum over all states. */
#include "tables.h"

static const int32_t SMALL[AXES] = {2, 3, 1, 4, 5, 2, 7, 3, 9, 2, 1, 8},
                     LARGE[AXES] = {128, 128, 130, 2, 3, 2, 2, 2, 2, 2, 2, 2};

/* c's entry at the states that are set: the sum over those of the dropped axes. */
static double entry(const Context *c, const Table *a, const Table *b, const int32_t *dropped, int n, int32_t *state) {
    int64_t size = size_of(c->sizes, dropped, n);
    double most = -INFINITY, sum = 0;
    for (int pass = 0; pass < 2; pass++)
        for (int64_t k = 0; k < size; k++) {
            set_states(c, dropped, n, k, state);
            double x = a->x[place(c, a->legs, a->nd, state)], y = b->x[place(c, b->legs, b->nd, state)];
            if (!pass)
                most = fmax(most, x + y);
            else
                sum += c->semiring == SUM_PRODUCT ? x * y : exp(x + y - most);
        }
    return c->semiring == SUM_PRODUCT ? sum
           : c->semiring == MAX_PLUS  ? most
           : most > -INFINITY         ? most + log(sum)
                                      : most;
}

static void check_entry(const Context *c, const Table *a, const Table *b, const Table *out, const int32_t *dropped,
                        int n, int64_t k) {
    int32_t state[AXES] = {0};
    set_states(c, out->legs, out->nd, k, state);
    double expected = entry(c, a, b, dropped, n, state), found = out->x[k];
    if (c->semiring == SUM_PRODUCT && out->row_exponent) {
        double e = out->row_exponent[k % c->n_rows];
        if (a->row_exponent) e -= a->row_exponent[k % c->n_rows];
        if (b->row_exponent) e -= b->row_exponent[k % c->n_rows];
        found = ldexp(found, (int)e);
    }
    CHECK_NEAR(ldexp(found, (int)(out->exponent - a->exponent - b->exponent)), expected, 1e-12 * (1 + fabs(expected)));
}

/* The axes that both have are dropped at random; all others and the row stay. */
static int test_random(int semiring, int row) {
    REGION(NULL)
    Context c = context_of(SMALL, semiring, row);
    uint8_t drops[AXES];
    for (int i = 0; i < 250; i++) {
        int32_t axes[AXES], dropped[AXES];
        Table a = random_table(&c, axes, random_axes(row, 5, axes)), b, out;
        if (i % 3)
            b = random_table(&c, axes, random_axes(row, 5, axes));
        else { /* the same axes in another order: long shared ones */
            shuffle(axes, a.nd, row);
            b = random_table(&c, axes, a.nd);
        }
        if (i % 4 == 0 && semiring != SUM_PRODUCT)
            for (int64_t k = 0; k < a.size; k += 2) a.x[k] = -INFINITY;
        int n = 0;
        for (int v = 0; v < AXES; v++) {
            int both = 0;
            for (int k = 0; k < a.nd; k++) both |= a.legs[k] == v;
            for (int k = 0, in = both; k < b.nd; k++) both = in && b.legs[k] == v ? 2 : both;
            drops[v] = both == 2 && v != row && random_below(2);
            if (drops[v]) dropped[n++] = v;
        }
        contract(&c, &a, &b, drops, &out);
        CHECK(out.size == size_of(SMALL, out.legs, out.nd));
        int rows = a.row_exponent || b.row_exponent; /* the axis of the rows stays the last */
        CHECK(rows == (out.nd && out.legs[out.nd - 1] == row) && rows == (out.row_exponent != NULL));
        for (int64_t k = 0; k < out.size; k++) check_entry(&c, &a, &b, &out, dropped, n, k);
        table_free(&c, &a), table_free(&c, &b), table_free(&c, &out);
    }
    CHECK(c.live == 0);
    region_leave();
    return 0;
}

static int n_products;

static void multiply(void *given) {
    Question *p = given;
    for (int64_t i = 0; i < p->batch; i++)
        for (int64_t m = 0; m < p->m; m++)
            for (int64_t n = 0; n < p->n; n++) {
                double sum = 0;
                for (int64_t k = 0; k < p->k; k++)
                    sum += p->a[(i * p->m + m) * p->k + k] * p->b[(i * p->k + k) * p->n + n];
                p->c[(i * p->m + m) * p->n + n] = sum;
            }
    p->made = 1;
    n_products += p->batch > 0; /* else it is whether to go on */
}

static void make_nothing(void *given) { (void)given; }

static int test_blas(Caller caller, const int32_t *of_a, const int32_t *of_b) {
    REGION(caller)
    Context c = context_of(LARGE, SUM_PRODUCT, -1);
    c.blas = caller != NULL;
    uint8_t drops[AXES] = {0, 1};
    int32_t dropped[] = {1};
    Table a = random_table(&c, of_a, 3), b = random_table(&c, of_b, 3), out;
    contract(&c, &a, &b, drops, &out);
    for (int64_t k = 0; k < out.size; k += 997) check_entry(&c, &a, &b, &out, dropped, 1, k);
    table_free(&c, &a), table_free(&c, &b), table_free(&c, &out);
    CHECK(c.live == 0);
    region_leave();
    return 0;
}

/* A product that may have underflowed says so. */
static int test_underflow(void) {
    REGION(NULL)
    Context c = context_of(SMALL, SUM_PRODUCT, -1);
    uint8_t drops[AXES] = {0};
    int32_t axes[] = {1};
    Table a = random_table(&c, axes, 1), b = random_table(&c, axes, 1), out;
    a.x[0] = b.x[0] = 1e-200;
    extent(a.x, a.size, &a.least, &a.most), extent(b.x, b.size, &b.least, &b.most);
    contract(&c, &a, &b, drops, &out);
    CHECK(c.risky && out.slip > 0 && out.x[0] == 0);
    region_leave();
    return 0;
}

int main(void) {
    static const int SEMIRINGS[] = {SUM_PRODUCT, MAX_PLUS, LOG_SUM_EXP};
    for (int i = 0; i < LENGTH(SEMIRINGS); i++) CHECK(test_random(SEMIRINGS[i], -1) == 0);
    CHECK(test_random(SUM_PRODUCT, 6) == 0 && test_random(SUM_PRODUCT, 2) == 0);
    static const int32_t AS[][3] = {{3, 0, 1}, {0, 1, 3}, {1, 3, 0}}, BS[][3] = {{3, 1, 2}, {2, 3, 1}, {1, 2, 3}};
    for (int i = 0; i < LENGTH(AS); i++)
        for (int j = 0; j < LENGTH(BS); j++) {
            CHECK(test_blas(multiply, AS[i], BS[j]) == 0);
            CHECK(test_blas(make_nothing, AS[i], BS[j]) == GIVEN_UP);
        }
    CHECK(n_products == 9);
    CHECK(test_blas(NULL, AS[0], BS[0]) == 0); /* without one it does the product itself */
    RUNS_OUT(test_blas(multiply, AS[1], BS[1]), NO_MEMORY, 0);
    CHECK(test_underflow() == 0);
    return 0;
}
