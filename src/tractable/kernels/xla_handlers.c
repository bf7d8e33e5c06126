/* The handlers that XLA calls on a CPU, and the sharing of their work among XLA's own threads. */
#include <stdatomic.h>

#include "binary.h"
#include "kernels.h"
#include "narrow.h"
#include "units.h"
#include "xla_ffi.h"

#if defined(__unix__) || defined(__APPLE__)
#include <sched.h>
#define GIVE_WAY() sched_yield()
#else
#define GIVE_WAY() ((void)0)
#endif

/* Work that is claimed item by item. Whoever calls does as much as it can itself and waits only for items that others
 * have begun, never for a thread to become free: two programs that run at the same time cannot block one another. A
 * helper that comes too late finds nothing to do; the last to leave frees the record. */
typedef struct {
    atomic_int next, busy, holders, workers;
    int n_items;
    void (*run)(void *, int, int);
    void *work;
} Job;

static void leave(Job *job) {
    if (atomic_fetch_sub(&job->holders, 1) == 1) free(job);
}

static void claim_items(Job *job, int worker) {
    int item;
    while ((item = atomic_fetch_add(&job->next, 1)) < job->n_items) job->run(job->work, item, worker);
}

static void help(void *data) {
    Job *job = data;
    atomic_fetch_add(&job->busy, 1); /* before claiming: who sees all items claimed also sees who still works */
    claim_items(job, atomic_fetch_add(&job->workers, 1));
    atomic_fetch_sub(&job->busy, 1);
    leave(job);
}

static void drop_error(const FfiApi *api, FfiError *error) {
    if (error) api->error_destroy(&(FfiErrorDestroy){sizeof(FfiErrorDestroy), NULL, error});
}

static void each_in_parallel(void *data, int n_workers, int n_items, void (*run)(void *, int, int), void *work) {
    FfiCall *call = data;
    int n_helpers = (n_workers < n_items ? n_workers : n_items) - 1;
    Job *job = n_helpers > 0 ? malloc(sizeof *job) : NULL;
    if (!job) {
        for (int i = 0; i < n_items; i++) run(work, i, 0);
        return;
    }
    job->n_items = n_items, job->run = run, job->work = work;
    atomic_init(&job->next, 0);
    atomic_init(&job->busy, 0);
    atomic_init(&job->workers, 1);
    atomic_init(&job->holders, n_helpers + 1);
    for (int i = 0; i < n_helpers; i++) {
        FfiError *error = call->api->schedule(&(FfiSchedule){sizeof(FfiSchedule), NULL, call->context, help, job});
        if (error) leave(job);
        drop_error(call->api, error);
    }
    claim_items(job, 0);
    for (int spins = 0; atomic_load(&job->busy); spins++)
        if (spins > 4096) GIVE_WAY();
    leave(job);
}

static Crew crew_of(FfiCall *call) {
    Crew crew = {1, call, each_in_parallel};
    int64_t n = 0;
    if (call->api->struct_size < offsetof(FfiApi, threads) + sizeof(void *)) return crew;
    FfiError *error = call->api->threads(&(FfiThreads){sizeof(FfiThreads), NULL, call->context, &n});
    if (!error && n > 1) crew.n_workers = n < 64 ? (int)n : 64;
    drop_error(call->api, error);
    return crew;
}

/* XLA asks once, when a handler is registered, for which version of the interface it was written. */
static int answers_query(const FfiCall *call) {
    FfiMetadataQuery *query = (FfiMetadataQuery *)call->extension;
    if (!query || query->base.type != FFI_METADATA) return 0;
    query->metadata->version.major = FFI_MAJOR;
    query->metadata->version.minor = FFI_MINOR;
    query->metadata->traits = 0;
    return 1;
}

static FfiError *fail(const FfiCall *call, int code, const char *message) {
    return call->api->error_create(&(FfiErrorCreate){sizeof(FfiErrorCreate), NULL, message, code});
}

static const FfiBuffer *argument(const FfiCall *call, int i) { return call->arguments.buffers[i]; }

static const void *input(const FfiCall *call, int i) { return argument(call, i)->data; }

static void *output(const FfiCall *call, int i) { return call->results.buffers[i]->data; }

static int64_t dim(const FfiCall *call, int i, int axis) { return argument(call, i)->dims[axis]; }

/* Whether the arguments are as many, and have the types and ranks, as the text says: u1 is a vector of uint32. */
static int fits(const FfiCall *call, const char *text) {
    int n = 0;
    for (; text[2 * n]; n++) {
        if (n >= call->arguments.size) return 0;
        const FfiBuffer *buffer = argument(call, n);
        if (buffer->dtype != (text[2 * n] == 'u' ? FFI_U32 : FFI_F32) || buffer->rank != text[2 * n + 1] - '0') return 0;
    }
    return n == call->arguments.size;
}

static int64_t attribute(const FfiCall *call, int i) { return *(int64_t *)((FfiScalar *)call->attributes.values[i])->value; }

/* Whether arguments 0 and 1 are a seed and a number for each of so many rows. */
static int numbered(const FfiCall *call, int64_t rows) { return dim(call, 0, 0) == 2 && dim(call, 1, 0) == rows; }

/* The product, and what is made of it, of x [rows, inner] and w [inner, columns], or [columns, inner] if the attribute
 * says that it is transposed; x is argument i. */
static FfiError *product(FfiCall *call, int i, Finish out) {
    int transposed = attribute(call, 0) != 0;
    int64_t rows = dim(call, i, 0), inner = dim(call, i, 1), columns = dim(call, i + 1, !transposed);
    int64_t length = dim(call, i + 1, 0), stride = dim(call, i + 1, 1);
    int fit = inner == (transposed ? stride : length) && (!out.bias || dim(call, i + 2, 0) == columns);
    if (!fit || (out.sample && !numbered(call, rows))) return fail(call, FFI_INVALID_ARGUMENT, "the arrays do not fit together");
    Matrix x = {.x = input(call, i), .first = rows, .stride = inner};
    Matrix w = {.x = input(call, i + 1), .first = length, .stride = stride, .transposed = transposed};
    Crew crew = crew_of(call);
    if (!binary_product(&crew, rows, inner, columns, x, w, out)) return NULL;
    return fail(call, FFI_EXHAUSTED, "no memory for the tables of a binary product");
}

EXPORT FfiError *xla_binary_dot(FfiCall *call) {
    if (answers_query(call)) return NULL;
    if (!fits(call, "f2f2")) return fail(call, FFI_INVALID_ARGUMENT, "binary_dot takes two float32 matrices");
    return product(call, 0, (Finish){.product = output(call, 0)});
}

EXPORT FfiError *xla_conditional_mean(FfiCall *call) {
    if (answers_query(call)) return NULL;
    if (!fits(call, "f2f2f1")) return fail(call, FFI_INVALID_ARGUMENT, "conditional_mean takes float32 arrays");
    return product(call, 0, (Finish){.mean = output(call, 0), .bias = input(call, 2)});
}

EXPORT FfiError *xla_gibbs_half(FfiCall *call) {
    if (answers_query(call)) return NULL;
    if (!fits(call, "u1u1f2f2f1")) return fail(call, FFI_INVALID_ARGUMENT, "gibbs_half takes float32 arrays");
    Finish out = {.sample = output(call, 0), .mean = output(call, 1), .bias = input(call, 4)};
    out.seed = input(call, 0), out.rows = input(call, 1);
    return product(call, 2, out);
}

/* States of a layer [rows / repeat, columns]: what is left of them when their means are taken off, and their log p. */
EXPORT FfiError *xla_bernoulli_score(FfiCall *call) {
    if (answers_query(call)) return NULL;
    if (!fits(call, "f2f2f1f2")) return fail(call, FFI_INVALID_ARGUMENT, "bernoulli_score takes float32 arrays");
    Finish out = {.residual = output(call, 0), .log_prob = output(call, 1), .bias = input(call, 2)};
    int64_t rows = dim(call, 0, 0), n = dim(call, 3, 0);
    if ((n ? rows % n : rows) || dim(call, 3, 1) != dim(call, 2, 0)) return fail(call, FFI_INVALID_ARGUMENT, "the states do not fit");
    out.target = input(call, 3), out.repeat = n ? rows / n : 1;
    return product(call, 0, out);
}

/* The same of a sample of the layer. */
EXPORT FfiError *xla_bernoulli_layer(FfiCall *call) {
    if (answers_query(call)) return NULL;
    if (!fits(call, "u1u1f2f2f1")) return fail(call, FFI_INVALID_ARGUMENT, "bernoulli_layer takes float32 arrays");
    Finish out = {.sample = output(call, 0), .residual = output(call, 1), .log_prob = output(call, 2)};
    out.bias = input(call, 4), out.seed = input(call, 0), out.rows = input(call, 1);
    return product(call, 2, out);
}

/* x [n, rows] transposed times y [n, columns], each row of y by its entry of `scale`. */
EXPORT FfiError *xla_scaled_outer(FfiCall *call) {
    if (answers_query(call)) return NULL;
    if (!fits(call, "f2f2f1")) return fail(call, FFI_INVALID_ARGUMENT, "scaled_outer takes float32 arrays");
    int64_t n = dim(call, 0, 0), rows = dim(call, 0, 1), columns = dim(call, 1, 1);
    if (dim(call, 1, 0) != n || dim(call, 2, 0) != n) return fail(call, FFI_INVALID_ARGUMENT, "the arrays do not fit together");
    Matrix x = {.x = input(call, 0), .first = n, .stride = rows, .transposed = 1};
    Matrix y = {.x = input(call, 1), .scale = input(call, 2), .first = n, .stride = columns};
    Crew crew = crew_of(call);
    if (!binary_product(&crew, rows, n, columns, x, y, (Finish){.product = output(call, 0)})) return NULL;
    return fail(call, FFI_EXHAUSTED, "no memory for the tables of a binary product");
}

/* x [n, rows] transposed times y [n, columns]; less the same of x2, y2 if they are given. */
EXPORT FfiError *xla_binary_outer(FfiCall *call) {
    if (answers_query(call)) return NULL;
    int two = fits(call, "f2f2f2f2");
    if (!two && !fits(call, "f2f2")) return fail(call, FFI_INVALID_ARGUMENT, "binary_outer takes float32 matrices");
    int64_t n = dim(call, 0, 0), rows = dim(call, 0, 1), columns = dim(call, 1, 1), more = two ? dim(call, 2, 0) : 0;
    int fit = dim(call, 1, 0) == n;
    if (two) fit = fit && dim(call, 3, 0) == more && dim(call, 2, 1) == rows && dim(call, 3, 1) == columns;
    if (!fit) return fail(call, FFI_INVALID_ARGUMENT, "the arrays do not fit together");
    Matrix x = {.x = input(call, 0), .x2 = two ? input(call, 2) : NULL, .first = n, .stride = rows, .transposed = 1};
    Matrix y = {.x = input(call, 1), .x2 = two ? input(call, 3) : NULL, .first = n, .stride = columns};
    Crew crew = crew_of(call);
    if (!binary_product(&crew, rows, n + more, columns, x, y, (Finish){.product = output(call, 0)})) return NULL;
    return fail(call, FFI_EXHAUSTED, "no memory for the tables of a binary product");
}

/* Seed and row numbers, logits, and what each unit takes from those before it. */
EXPORT FfiError *xla_sample_ordered(FfiCall *call) {
    if (answers_query(call)) return NULL;
    if (!fits(call, "u1u1f2f2")) return fail(call, FFI_INVALID_ARGUMENT, "sample_ordered takes float32 matrices and row numbers");
    int64_t rows = dim(call, 2, 0), n = dim(call, 2, 1);
    if (!numbered(call, rows) || dim(call, 3, 0) != n || dim(call, 3, 1) != n) return fail(call, FFI_INVALID_ARGUMENT, "the arrays do not fit together");
    Crew crew = crew_of(call);
    if (!sample_ordered(&crew, rows, n, input(call, 2), input(call, 3), input(call, 0), input(call, 1), output(call, 0))) return NULL;
    return fail(call, FFI_EXHAUSTED, "no memory for the units of a layer");
}

/* Seed, numbers of the chains, order of the visits; of the units logits, states, and whether they are free; of their
 * children states, logits, whether they count; the weights, and what the children count. */
EXPORT FfiError *xla_gibbs_units(FfiCall *call) {
    if (answers_query(call)) return NULL;
    if (!fits(call, "u1u1u1f2f2f2f2f2f2f2f1")) return fail(call, FFI_INVALID_ARGUMENT, "gibbs_units takes float32 arrays");
    Units u = {dim(call, 3, 0), dim(call, 9, 1), dim(call, 9, 0), dim(call, 2, 0), input(call, 0), input(call, 1), input(call, 2)};
    int fit = numbered(call, u.n_chains) && dim(call, 10, 0) == 1;
    for (int i = 3; i < 9; i++) fit = fit && dim(call, i, 0) == u.n_chains && dim(call, i, 1) == (i < 6 ? u.n : u.m);
    if (!fit) return fail(call, FFI_INVALID_ARGUMENT, "the arrays do not fit together");
    u.own = input(call, 3), u.h = input(call, 4), u.free = input(call, 5), u.x = input(call, 6), u.logits = input(call, 7);
    u.counts = input(call, 8), u.weights = input(call, 9), u.beta = *(const float *)input(call, 10), u.out = output(call, 0);
    Crew crew = crew_of(call);
    if (!sweep_units(&crew, &u)) return NULL;
    return fail(call, FFI_EXHAUSTED, "no memory for the units of a layer");
}

/* Seeds, numbers of the chains, temperatures, states, couplings, and the fields of the two sides at both ends. */
EXPORT FfiError *xla_narrow_anneal(FfiCall *call) {
    if (answers_query(call)) return NULL;
    if (!fits(call, "u3u1f1f2f2f2f2")) return fail(call, FFI_INVALID_ARGUMENT, "narrow_anneal takes float32 arrays");
    Narrow a = {dim(call, 3, 0), dim(call, 0, 0), dim(call, 4, 0), dim(call, 4, 1), dim(call, 5, 0) - 1};
    a.seeds = input(call, 0), a.rows = input(call, 1);
    int fit = (a.n_bases == 1 || a.n_bases == a.n_chains) && dim(call, 0, 1) == a.k && dim(call, 0, 2) == 2 && dim(call, 1, 0) == a.n_chains;
    fit = fit && dim(call, 2, 0) == a.n_steps + 1 && dim(call, 3, 1) == a.k;
    fit = fit && dim(call, 5, 1) == a.k && dim(call, 6, 0) == a.n_bases + 1 && dim(call, 6, 1) == a.m;
    if (!fit) return fail(call, FFI_INVALID_ARGUMENT, "the arrays do not fit together");
    a.betas = input(call, 2), a.x = input(call, 3), a.w = input(call, 4), a.c = input(call, 5), a.b = input(call, 6);
    a.backward = attribute(call, 0) != 0, a.out = output(call, 0), a.change = output(call, 1);
    Crew crew = crew_of(call);
    if (!narrow_anneal(&crew, &a)) return NULL;
    return fail(call, FFI_EXHAUSTED, "no memory for the chains of a narrow machine");
}
