/* Tests of xla_handlers.c: what the handlers make of a call as XLA makes it, with threads that come or do not, and how
 * they refuse one that does not fit. */
#include "crews.h"
#include "narrow.h"
#include "units.h"
#include "xla_ffi.h"

typedef FfiError *Handler(FfiCall *);
Handler xla_binary_dot, xla_conditional_mean, xla_gibbs_half, xla_bernoulli_score, xla_bernoulli_layer,
    xla_scaled_outer, xla_binary_outer;
Handler xla_sample_ordered, xla_gibbs_units, xla_narrow_anneal;

/* ---------------------------------------------------------------- the other side of the interface */

struct FfiError {
    int code;
};

static atomic_int errors_made, errors_destroyed;

static FfiError *new_error(int code) {
    FfiError *error = __real_malloc(sizeof *error);
    CHECK(error);
    error->code = code;
    atomic_fetch_add(&errors_made, 1);
    return error;
}

static FfiError *error_create(FfiErrorCreate *given) {
    CHECK(given->struct_size == sizeof *given && given->message);
    return new_error(given->code);
}

static void error_destroy(FfiErrorDestroy *given) {
    atomic_fetch_add(&errors_destroyed, 1);
    free(given->error);
}

/* How the pool of threads behaves: helpers start at once, or when the call is over, or are refused, or there are none. */
enum { AT_ONCE, LATE, REFUSED, NO_POOL, POOLS };
static int pool;
static pthread_t started[256];
static FfiSchedule waiting[256];
static int n_started, n_waiting;

static void *start(void *data) {
    FfiSchedule *s = data;
    void (*task)(void *) = s->task;
    void *argument = s->data;
    free(s);
    task(argument);
    return NULL;
}

static FfiError *schedule(FfiSchedule *given) {
    CHECK(given->struct_size == sizeof *given && n_started < LENGTH(started) && n_waiting < LENGTH(waiting));
    if (pool == REFUSED) return new_error(FFI_EXHAUSTED);
    if (pool == LATE) {
        waiting[n_waiting++] = *given;
        return NULL;
    }
    FfiSchedule *copy = memcpy(__real_malloc(sizeof *copy), given, sizeof *given);
    CHECK(!pthread_create(started + n_started++, NULL, start, copy));
    return NULL;
}

static FfiError *threads(FfiThreads *given) {
    if (pool == NO_POOL) return new_error(FFI_INVALID_ARGUMENT);
    *given->n_threads = 3;
    return NULL;
}

static void settle(void) {
    while (n_started) pthread_join(started[--n_started], NULL);
    while (n_waiting) n_waiting--, waiting[n_waiting].task(waiting[n_waiting].data);
}

static FfiApi api = {.struct_size = sizeof api,
                     .error_create = error_create,
                     .error_destroy = error_destroy,
                     .schedule = schedule,
                     .threads = threads};

enum { MOST_BUFFERS = 12 };

/* A call that is being put together. */
typedef struct {
    FfiCall call;
    FfiBuffer buffers[2][MOST_BUFFERS];
    FfiBuffer *pointers[2][MOST_BUFFERS];
    int64_t dims[2][MOST_BUFFERS][3], flag;
    FfiScalar scalar;
    void *values[1];
} Made;

static Made *made(void) {
    Made *m = zeros(sizeof *m);
    m->call = (FfiCall){.struct_size = sizeof m->call, .api = &api, .stage = 3};
    m->call.arguments.buffers = m->pointers[0], m->call.results.buffers = m->pointers[1];
    m->scalar = (FfiScalar){FFI_S64, &m->flag}, m->values[0] = &m->scalar;
    m->call.attributes.size = 1, m->call.attributes.values = m->values;
    return m;
}

static void buffer(Made *m, int side, int dtype, void *data, int64_t rank, int64_t d0, int64_t d1, int64_t d2) {
    FfiBuffers *all = side ? &m->call.results : &m->call.arguments;
    int i = (int)all->size++;
    int64_t *dims = m->dims[side][i];
    dims[0] = d0, dims[1] = d1, dims[2] = d2;
    m->buffers[side][i] = (FfiBuffer){sizeof(FfiBuffer), NULL, dtype, data, rank, dims};
    m->pointers[side][i] = m->buffers[side] + i;
}

static const float *f1(Made *m, float *x, int64_t n) { return buffer(m, 0, FFI_F32, x, 1, n, 0, 0), x; }
static const float *f2(Made *m, float *x, int64_t n, int64_t k) { return buffer(m, 0, FFI_F32, x, 2, n, k, 0), x; }
static const uint32_t *u1(Made *m, int64_t n) {
    uint32_t *x = words(n);
    return buffer(m, 0, FFI_U32, x, 1, n, 0, 0), x;
}
static float *out2(Made *m, int64_t n, int64_t k) {
    float *x = TAKE(float, n * k);
    return buffer(m, 1, FFI_F32, x, 2, n, k, 0), x;
}

static void succeeds(Handler *handler, Made *m) {
    CHECK(handler(&m->call) == NULL);
    settle();
}

/* No handler takes a call that lacks an argument, or has one of another type, rank or length; but the arguments in `free`
 * (a bit for each) may have any length. */
static void refuses(Handler *handler, Made *m, unsigned free) {
    int64_t n = m->call.arguments.size;
    for (int64_t i = 0; i < n; i++)
        for (int what = 0; what < (free >> i & 1 ? 3 : 4); what++) {
            FfiBuffer *b = m->pointers[0][i], before = *b;
            int64_t dims[3];
            memcpy(dims, b->dims, sizeof dims);
            if (what == 0) m->call.arguments.size = i;
            if (what == 1) b->dtype = FFI_S64;
            if (what == 2) b->rank++;
            if (what == 3) b->dims[0] += 1000;
            FfiError *error = handler(&m->call);
            CHECK(error && error->code == FFI_INVALID_ARGUMENT);
            error_destroy(&(FfiErrorDestroy){sizeof(FfiErrorDestroy), NULL, error});
            m->call.arguments.size = n, *b = before;
            memcpy(b->dims, dims, sizeof dims);
        }
}

static long answers(Handler *handler, Made *m) {
    FfiError *error = handler(&m->call);
    settle();
    long code = error ? error->code : 0;
    if (error) error_destroy(&(FfiErrorDestroy){sizeof(FfiErrorDestroy), NULL, error});
    return code;
}

/* It says the version of the interface to whoever asks, and does nothing else. */
static void answers_query(Handler *handler) {
    Made *m = made();
    FfiMetadata metadata = {.struct_size = sizeof metadata, .traits = 7};
    FfiMetadataQuery query = {{sizeof query, FFI_METADATA, NULL}, &metadata};
    m->call.extension = &query.base;
    CHECK(handler(&m->call) == NULL);
    CHECK(metadata.version.major == FFI_MAJOR && metadata.version.minor == FFI_MINOR && metadata.traits == 0);
}

/* ---------------------------------------------------------------- the handlers */

enum { ROWS = 70, INNER = 21, COLUMNS = 83 };

static void same(const float *found, const float *expected, int64_t n) {
    for (int64_t i = 0; i < n; i++) CHECK(found[i] == expected[i]);
}

static Matrix matrix(const float *x, int64_t rows, int64_t columns, int transposed) {
    return (Matrix){.x = x, .first = rows, .stride = columns, .transposed = transposed};
}

static void test_products(void) {
    for (int64_t flip = 0; flip < 2; flip++) {
        Made *m = made(), *mean = made(), *half = made();
        m->flag = mean->flag = half->flag = flip;
        int64_t a = flip ? COLUMNS : INNER, b = flip ? INNER : COLUMNS;
        float *x_ = coins(ROWS * INNER), *w_ = floats(INNER * COLUMNS, 1), *bias_ = floats(COLUMNS, 1),
              *expected = TAKE(float, ROWS * COLUMNS), *means = TAKE(float, ROWS * COLUMNS);
        Matrix x = matrix(x_, ROWS, INNER, 0), w = matrix(w_, a, b, (int)flip);
        f2(m, x_, ROWS, INNER), f2(m, w_, a, b);
        float *product = out2(m, ROWS, COLUMNS);
        succeeds(xla_binary_dot, m);
        CHECK(!binary_product(&ALONE, ROWS, INNER, COLUMNS, x, w, (Finish){.product = expected}));
        same(product, expected, ROWS * COLUMNS);
        refuses(xla_binary_dot, m, flip ? 3 : 1);
        f2(mean, x_, ROWS, INNER), f2(mean, w_, a, b), f1(mean, bias_, COLUMNS);
        float *found = out2(mean, ROWS, COLUMNS);
        succeeds(xla_conditional_mean, mean);
        CHECK(!binary_product(&ALONE, ROWS, INNER, COLUMNS, x, w, (Finish){.mean = means, .bias = bias_}));
        same(found, means, ROWS * COLUMNS);
        refuses(xla_conditional_mean, mean, 1);
        const uint32_t *seed = u1(half, 2), *numbers = u1(half, ROWS);
        f2(half, x_, ROWS, INNER), f2(half, w_, a, b), f1(half, bias_, COLUMNS);
        float *sample = out2(half, ROWS, COLUMNS);
        found = out2(half, ROWS, COLUMNS);
        succeeds(xla_gibbs_half, half);
        CHECK(
            !binary_product(&ALONE, ROWS, INNER, COLUMNS, x, w,
                            (Finish){.sample = expected, .mean = means, .bias = bias_, .seed = seed, .rows = numbers}));
        same(sample, expected, ROWS * COLUMNS);
        same(found, means, ROWS * COLUMNS);
        refuses(xla_gibbs_half, half, 0);
        RUNS_OUT(answers(xla_gibbs_half, half), FFI_EXHAUSTED, 0);
        release();
    }
}

static void test_scores(void) {
    Made *m = made(), *drawn = made();
    int64_t pieces = (COLUMNS + PIECE - 1) / PIECE;
    float *x = coins(ROWS * INNER), *w = floats(INNER * COLUMNS, 1), *bias = floats(COLUMNS, 1),
          *target = coins(ROWS / 2 * COLUMNS);
    float *residual = TAKE(float, ROWS * COLUMNS), *log_prob = TAKE(float, ROWS * pieces),
          *sample = TAKE(float, ROWS * COLUMNS);
    f2(m, x, ROWS, INNER), f2(m, w, INNER, COLUMNS), f1(m, bias, COLUMNS), f2(m, target, ROWS / 2, COLUMNS);
    float *found = out2(m, ROWS, COLUMNS), *said = out2(m, ROWS, pieces);
    succeeds(xla_bernoulli_score, m);
    Finish out = {.residual = residual, .log_prob = log_prob, .bias = bias, .target = target, .repeat = 2};
    CHECK(!binary_product(&ALONE, ROWS, INNER, COLUMNS, matrix(x, ROWS, INNER, 0), matrix(w, INNER, COLUMNS, 0), out));
    same(found, residual, ROWS * COLUMNS);
    same(said, log_prob, ROWS * pieces);
    refuses(xla_bernoulli_score, m, 0);
    const uint32_t *seed = u1(drawn, 2), *numbers = u1(drawn, ROWS);
    f2(drawn, x, ROWS, INNER), f2(drawn, w, INNER, COLUMNS), f1(drawn, bias, COLUMNS);
    float *states = out2(drawn, ROWS, COLUMNS);
    found = out2(drawn, ROWS, COLUMNS), said = out2(drawn, ROWS, pieces);
    succeeds(xla_bernoulli_layer, drawn);
    out = (Finish){
        .sample = sample, .residual = residual, .log_prob = log_prob, .bias = bias, .seed = seed, .rows = numbers};
    CHECK(!binary_product(&ALONE, ROWS, INNER, COLUMNS, matrix(x, ROWS, INNER, 0), matrix(w, INNER, COLUMNS, 0), out));
    same(states, sample, ROWS * COLUMNS);
    same(found, residual, ROWS * COLUMNS);
    same(said, log_prob, ROWS * pieces);
    refuses(xla_bernoulli_layer, drawn, 0);
    release();
}

static void test_outer(void) {
    enum { N = 37, MORE = 11 };
    Made *scaled = made(), *one = made(), *two = made();
    float *x = coins(N * ROWS), *y = floats(N * COLUMNS, 1), *x2 = coins(MORE * ROWS), *y2 = floats(MORE * COLUMNS, 1),
          *scale = floats(N, 1), *expected = TAKE(float, ROWS * COLUMNS);
    Matrix X = matrix(x, N, ROWS, 1), Y = matrix(y, N, COLUMNS, 0);
    f2(one, x, N, ROWS), f2(one, y, N, COLUMNS);
    float *found = out2(one, ROWS, COLUMNS);
    succeeds(xla_binary_outer, one);
    CHECK(!binary_product(&ALONE, ROWS, N, COLUMNS, X, Y, (Finish){.product = expected}));
    same(found, expected, ROWS * COLUMNS);
    refuses(xla_binary_outer, one, 0);
    f2(scaled, x, N, ROWS), f2(scaled, y, N, COLUMNS), f1(scaled, scale, N);
    found = out2(scaled, ROWS, COLUMNS);
    succeeds(xla_scaled_outer, scaled);
    Y.scale = scale;
    CHECK(!binary_product(&ALONE, ROWS, N, COLUMNS, X, Y, (Finish){.product = expected}));
    same(found, expected, ROWS * COLUMNS);
    refuses(xla_scaled_outer, scaled, 0);
    f2(two, x, N, ROWS), f2(two, y, N, COLUMNS), f2(two, x2, MORE, ROWS), f2(two, y2, MORE, COLUMNS);
    found = out2(two, ROWS, COLUMNS);
    succeeds(xla_binary_outer, two);
    X.x2 = x2, Y.x2 = y2, Y.scale = NULL;
    CHECK(!binary_product(&ALONE, ROWS, N + MORE, COLUMNS, X, Y, (Finish){.product = expected}));
    same(found, expected, ROWS * COLUMNS);
    release();
}

static void test_draws(void) {
    Made *ordered = made();
    float *logits = floats(ROWS * INNER, 1), *within = floats(INNER * INNER, 1), *expected = TAKE(float, ROWS * INNER);
    const uint32_t *seed = u1(ordered, 2), *numbers = u1(ordered, ROWS);
    f2(ordered, logits, ROWS, INNER), f2(ordered, within, INNER, INNER);
    float *found = out2(ordered, ROWS, INNER);
    succeeds(xla_sample_ordered, ordered);
    CHECK(!sample_ordered(&ALONE, ROWS, INNER, logits, within, seed, numbers, expected));
    same(found, expected, ROWS * INNER);
    refuses(xla_sample_ordered, ordered, 0);
    RUNS_OUT(answers(xla_sample_ordered, ordered), FFI_EXHAUSTED, 0);
    release();
}

static void test_chains(void) {
    enum { N = 9, CHILDREN = 14, VISITS = 20, STEPS = 4 };
    Made *m = made(), *narrow = made();
    float beta = 0.8f, *expected = TAKE(float, ROWS * N);
    Units u = {ROWS, N, CHILDREN, VISITS, u1(m, 2), u1(m, ROWS), u1(m, VISITS), .beta = beta, .out = expected};
    for (int i = 0; i < VISITS; i++) ((uint32_t *)(uintptr_t)u.order)[i] %= N;
    u.own = f2(m, floats(ROWS * N, 1), ROWS, N), u.h = f2(m, coins(ROWS * N), ROWS, N),
    u.free = f2(m, coins(ROWS * N), ROWS, N);
    u.x = f2(m, coins(ROWS * CHILDREN), ROWS, CHILDREN), u.logits = f2(m, floats(ROWS * CHILDREN, 1), ROWS, CHILDREN);
    u.counts = f2(m, coins(ROWS * CHILDREN), ROWS, CHILDREN), u.weights = f2(m, floats(CHILDREN * N, 1), CHILDREN, N);
    f1(m, &beta, 1);
    float *found = out2(m, ROWS, N);
    succeeds(xla_gibbs_units, m);
    CHECK(!sweep_units(&ALONE, &u));
    same(found, expected, ROWS * N);
    refuses(xla_gibbs_units, m, 4);
    RUNS_OUT(answers(xla_gibbs_units, m), FFI_EXHAUSTED, 0);
    uint32_t *seeds = words(STEPS * N * 2);
    float *betas = TAKE(float, STEPS + 1), *change = TAKE(float, STEPS * ROWS);
    for (int t = 0; t <= STEPS; t++) betas[t] = (float)t / STEPS;
    narrow->flag = 1;
    buffer(narrow, 0, FFI_U32, seeds, 3, STEPS, N, 2);
    Narrow a = {ROWS,
                STEPS,
                N,
                CHILDREN,
                1,
                seeds,
                u1(narrow, ROWS),
                f1(narrow, betas, STEPS + 1),
                f2(narrow, coins(ROWS * N), ROWS, N),
                f2(narrow, floats(N * CHILDREN, 1), N, CHILDREN),
                f2(narrow, floats(2 * N, 1), 2, N),
                f2(narrow, floats(2 * CHILDREN, 1), 2, CHILDREN),
                1,
                expected,
                change};
    found = out2(narrow, ROWS, N);
    float *changed = out2(narrow, STEPS, ROWS);
    succeeds(xla_narrow_anneal, narrow);
    CHECK(!narrow_anneal(&ALONE, &a));
    same(found, expected, ROWS * N);
    same(changed, change, STEPS * ROWS);
    refuses(xla_narrow_anneal, narrow, 0);
    RUNS_OUT(answers(xla_narrow_anneal, narrow), FFI_EXHAUSTED, 0);
    release();
}

int main(void) {
    Handler *all[] = {xla_binary_dot,   xla_conditional_mean, xla_gibbs_half,  xla_bernoulli_score, xla_bernoulli_layer, xla_scaled_outer,
                      xla_binary_outer, xla_sample_ordered,   xla_gibbs_units, xla_narrow_anneal};
    for (int i = 0; i < LENGTH(all); i++) answers_query(all[i]);
    for (pool = 0; pool < POOLS; pool++)
        for (int i = 0; i < 3; i++) {
            test_products();
            test_scores();
            test_outer();
            test_draws();
            test_chains();
        }
    pool = AT_ONCE, api.struct_size = offsetof(FfiApi, threads); /* an older table, without the pool of threads */
    test_products();
    CHECK(errors_made == errors_destroyed);
    release();
    return 0;
}
