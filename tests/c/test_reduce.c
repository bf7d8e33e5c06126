/* Tests of reduce.c: what is left of a network says the same of every joint state, and what is gone has no weight. */
#include "models.h"
#include "reduce.h"

/* The weight of a joint state by the tables that are left. */
static long double weight_left(const Reduced *r, const int32_t *state) {
    long double w = r->constant;
    for (int j = 0; j < r->m; j++) {
        const Factor *f = &r->factors[j];
        int64_t at = 0;
        if (!f->alive) continue;
        for (int i = 0; i < f->nd; i++) {
            int v = f->scope[i], s = 0;
            const int32_t *kept = r->kept + r->state_start[v];
            while (s < r->sizes[v] && kept[s] != state[v]) s++;
            CHECK(r->index[v] >= 0 && s < r->sizes[v]);
            at = at * r->sizes[v] + s;
        }
        CHECK(at < f->size);
        w *= f->values[at];
    }
    return ldexpl(w, (int)r->exponent);
}

static int remains(const Reduced *r, const int32_t *state) {
    for (int v = 0; v < r->n; v++) {
        int found = 0;
        for (int s = 0; s < r->sizes[v]; s++) found |= r->kept[r->state_start[v] + s] == state[v];
        if (!found) return 0;
    }
    return 1;
}

static void check_left(const Model *model, const Reduced *r, const int32_t *evidence) {
    int32_t state[MOST_VARIABLES];
    int n_free = 0;
    if (r->impossible) CHECK(sum_over(model, evidence, NULL) == 0);
    for (int v = 0; v < r->n && !r->impossible; v++) {
        CHECK(r->sizes[v] >= 1 && (r->index[v] >= 0) == (r->sizes[v] > 1));
        if (r->index[v] >= 0) CHECK(r->index[v] == n_free++);
        for (int s = 1; s < r->sizes[v]; s++)
            CHECK(r->kept[r->state_start[v] + s] > r->kept[r->state_start[v] + s - 1]);
    }
    CHECK(r->n_free == n_free || r->impossible);
    for (int64_t i = 0; i < model->n_joint && !r->impossible; i++) {
        states_of(model, i, state);
        if (!agrees(model, state, evidence)) continue;
        long double w = weight_of(&model->tables, state);
        if (remains(r, state))
            CHECK_NEAR(weight_left(r, state) / (w > 0 ? w : 1), w > 0, 1e-13);
        else
            CHECK(w == 0);
    }
}

/* Every state that is left has an entry that is not zero in each table that is. */
static void check_supported(const Reduced *r) {
    for (int j = 0; j < r->m && !r->impossible; j++) {
        const Factor *f = &r->factors[j];
        for (int i = 0, inner = 1; f->alive && i < f->nd; i++) {
            int size = r->sizes[f->scope[f->nd - 1 - i]];
            for (int s = 0; s < size; s++) {
                int found = 0;
                for (int64_t at = 0; at < f->size; at++) found |= at / inner % size == s && f->values[at] != 0;
                CHECK(found);
            }
            inner *= size;
        }
    }
}

static int test_random(int i, int kind) {
    REGION(NULL)
    Model model = random_model(1 + random_below(6), random_below(9), 4, 4, kind, -1, 0);
    int32_t *evidence = TAKE(int32_t, model.tables.n);
    for (int v = 0; v < model.tables.n; v++) evidence[v] = random_below(3) ? -1 : random_below(model.tables.sizes[v]);
    Reduced r = {0};
    reduce_tables(&r, &model.tables, evidence, NULL, NULL, i % 2);
    check_left(&model, &r, evidence);
    if (i % 2 == 0) check_supported(&r); /* a product of two may have fewer */
    release();
    region_leave();
    return r.impossible;
}

/* A Bayesian network: what is neither asked for nor observed, nor an ancestor of what is, may go, and no sum changes. */
static int test_barren(void) {
    REGION(NULL)
    Model model = random_model(6, 6, 3, 3, POSITIVE, -1, 0);
    Tables *t = &model.tables;
    int32_t scopes[18], child[6], evidence[6], *own;
    int64_t starts[7] = {0}, value_starts[7] = {0};
    uint8_t wanted[6];
    for (int v = 0; v < 6; v++) { /* the table of v: some before it, then v itself */
        int64_t k = starts[v], size = t->sizes[v];
        for (int u = v - 1; u >= 0 && k < starts[v] + 2; u--)
            if (random_below(2)) scopes[k++] = u, size *= t->sizes[u];
        scopes[k++] = v;
        starts[v + 1] = k, value_starts[v + 1] = value_starts[v] + size;
        child[v] = random_below(8) ? v : -1, wanted[v] = random_below(3) == 0;
        evidence[v] = random_below(3) ? -1 : random_below(t->sizes[v]);
    }
    double *values = TAKE(double, value_starts[6]);
    for (int v = 0; v < 6; v++)
        for (int64_t at = value_starts[v]; at < value_starts[v + 1]; at += t->sizes[v]) {
            double sum = 0;
            for (int s = 0; s < t->sizes[v]; s++) sum += values[at + s] = random_unit() + 0.1;
            for (int s = 0; s < t->sizes[v]; s++) values[at + s] /= sum;
        }
    own = memcpy(TAKE(int32_t, starts[6]), scopes, sizeof(int32_t) * (size_t)starts[6]);
    t->starts = starts, t->scopes = own, t->value_starts = value_starts, t->values = values;
    for (int v = 0; v < 6; v++) wanted[v] |= evidence[v] >= 0;
    Reduced r = {0};
    reduce_tables(&r, t, evidence, child, wanted, random_below(2));
    long double *marginals = TAKE(long double, model.n_states), z = sum_over(&model, evidence, marginals), left = 0;
    long double *found = ZEROS(long double, model.n_states);
    int32_t state[MOST_VARIABLES];
    for (int64_t i = 0; i < model.n_joint; i++) {
        states_of(&model, i, state);
        if (!agrees(&model, state, evidence) || !remains(&r, state)) continue;
        long double w = weight_left(&r, state);
        left += w;
        for (int v = 0, at = 0; v < 6; at += t->sizes[v++]) found[at + state[v]] += w;
    }
    CHECK_NEAR(left, z, 1e-12 * z);
    for (int v = 0, at = 0; v < 6; at += t->sizes[v++])
        for (int s = 0; s < t->sizes[v]; s++)
            if (wanted[v]) CHECK_NEAR(found[at + s], marginals[at + s], 1e-12 * z);
    release();
    region_leave();
    return 0;
}

/* Scopes of hundreds of variables of one state, and of two that matter. */
static int test_wide(int n) {
    REGION(NULL)
    int64_t starts[] = {0, n, n + 1}, value_starts[] = {0, 4, 6};
    int32_t *sizes = TAKE(int32_t, n), *scopes = TAKE(int32_t, n + 1), *evidence = TAKE(int32_t, n);
    double *values = TAKE(double, 6);
    for (int v = 0; v < n; v++) sizes[v] = v < 2 ? 2 : 1, scopes[v] = v, evidence[v] = -1;
    scopes[n] = 1;
    for (int i = 0; i < 6; i++) values[i] = i == 4 ? 0 : i + 1;
    Tables t = {n, 2, sizes, starts, scopes, value_starts, values};
    Reduced r = {0};
    reduce_tables(&r, &t, evidence, NULL, NULL, 1);
    double sum = 0;
    for (int j = 0; j < 2; j++)
        for (int64_t i = 0; i < r.factors[j].size && r.factors[j].alive; i++) sum += r.factors[j].values[i];
    CHECK(r.n_free == 1);
    CHECK_NEAR(ldexp(sum * r.constant, (int)r.exponent), (2 + 4) * 6, 1e-12);
    release();
    region_leave();
    return 0;
}

int main(void) {
    int n_impossible = 0;
    for (int i = 0; i < 600; i++) {
        CHECK(test_random(i, POSITIVE) == 0);
        CHECK(test_random(i, EXTREME) == 0);
        n_impossible += test_random(i, WITH_ZEROS);
        CHECK(test_barren() == 0);
    }
    CHECK(n_impossible > 20);
    for (int n = 2; n < 700; n += n < 510 ? 127 : 1 + n / 100) CHECK(test_wide(n) == 0);
    CHECK(test_wide(512) == 0 && test_wide(513) == 0);
    RUNS_OUT(test_wide(100), NO_MEMORY, 0);
    release();
    return 0;
}
