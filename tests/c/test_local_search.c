/* Tests of local_search.c: what it finds against the best of all joint states, and the values that it claims. */
#include "models.h"

typedef struct {
    double calm, best, length, swept, hottest, owed;
} Course;

typedef struct {
    int64_t limit, room, work;
    double scale;
    uint64_t *stream;
    int32_t *state, *best;
    Course *course;
} Search;

int local_search(int n, int m, const int32_t *sizes, const int64_t *starts, const int32_t *scopes,
                 const int64_t *value_starts, const double *values, const Search *how, Caller caller);

static double value_of(const Tables *t, const int32_t *state) {
    double x = 0;
    for (int j = 0; j < t->m; j++) x += t->values[entry_of(t, j, state)];
    return x;
}

static int run(const Tables *t, Search *how) {
    return local_search(t->n, t->m, t->sizes, t->starts, t->scopes, t->value_starts, t->values, how, NULL);
}

/* How much the search is short of the best of all states: never, where all of a model is one neighbourhood. */
static double lack(int n, int m, int kind, int64_t limit, int64_t room, int64_t work) {
    Model a = random_model(n, m, 3, 4, kind, -1, 0);
    const Tables *t = &a.tables;
    double *values = (double *)(uintptr_t)t->values, most = -INFINITY;
    for (int64_t i = 0; i < a.n_values; i++) values[i] = values[i] > 0 ? log(values[i]) : -100;
    int32_t *state = ZEROS(int32_t, n), *best = ZEROS(int32_t, n), each[MOST_VARIABLES];
    for (int64_t i = 0; i < a.n_joint; i++) {
        states_of(&a, i, each);
        most = fmax(most, value_of(t, each));
    }
    Course *course = ZEROS(Course, 1);
    uint64_t *stream = TAKE(uint64_t, 1);
    course->best = -INFINITY, *stream = random_bits();
    for (int v = 0; v < n; v++) state[v] = random_below(t->sizes[v]);
    double begin = value_of(t, state);
    double scale = kind == EXTREME ? 300 : kind == WITH_ZEROS ? 50 : 1;
    Search how = {limit, room, work, scale, stream, state, best, course};
    for (int i = 0; i < 3; i++) {
        double before = course->best;
        CHECK(!run(t, &how));
        CHECK(course->best >= before && course->best >= begin && course->best <= most + 1e-9);
        CHECK_NEAR(course->best, value_of(t, best), 1e-9);
        for (int v = 0; v < n; v++) CHECK(best[v] >= 0 && best[v] < t->sizes[v] && state[v] >= 0 && state[v] < t->sizes[v]);
    }
    double short_of = most - course->best;
    if (n == 4 && m == 5) {
        course->best = -INFINITY;
        RUNS_OUT(run(t, &how), NO_MEMORY, 0);
    }
    release();
    return short_of;
}

int main(void) {
    int missed = 0, tries = 0;
    for (int kind = 0; kind < KINDS; kind++)
        for (int n = 1; n < 8; n++)
            for (int m = 0; m < 12; m++) {
                if (!chosen(4)) continue;
                CHECK(lack(n, m, kind, 1 << 16, 1 << 18, 1) < 1e-7);
                missed += lack(n, m, kind, 8, 1 << 10, 200000) > 1e-7, tries++;
                missed += lack(n, m, kind, 64, 20, 200000) > 1e-7, tries++;
                lack(n, m, kind, 4, 1, 1000);
            }
    CHECK(missed * 100 < tries);
    return 0;
}
