/* What Python calls: a product of tables summed by search, from clauses to the answers in terms of the tables. */
#include "count_simplify.h"

enum { EVIDENCE, MARGINALS, WALK };

/* What is asked, and on what terms. */
typedef struct {
    int task, n_samples; /* a walk without samples is to the most probable state */
    uint64_t seed;
    double bytes, work, seconds; /* for cache and trace; visits of clauses; for the order */
} Asked;

/* A problem on its way: literals of the tables' variables, and what became of each. */
typedef struct {
    const Tables *t;
    int32_t *first, *image;
    Formula f;
    Search s;
} Problem;

static double of_image(const double *of_literals, int32_t image, int on) {
    if (image == IS_TRUE || image == IS_FALSE) return on == (image == IS_TRUE);
    return of_literals[image ^ !on];
}

static void answer_marginals(Problem *p, double *out) {
    const Tables *t = p->t;
    double *of_literals = grab_zeroed((size_t)(2 * p->f.n + 2), sizeof(double));
    trace_marginals(&p->s, of_literals);
    for (int v = 0; v < t->n; out += t->sizes[v++]) {
        double sum = 0;
        for (int k = 0; k < t->sizes[v]; k++) {
            int32_t l = literal_of(t->sizes[v], p->first[v], k);
            sum += out[k] = of_image(of_literals, p->image[l >> 1], !(l & 1));
        }
        for (int k = 0; k < t->sizes[v]; k++) out[k] /= sum;
    }
    drop(of_literals);
}

static void answer_state(const Problem *p, const uint8_t *is_true, int32_t *out) {
    const Tables *t = p->t;
    for (int v = 0; v < t->n; v++)
        for (int k = 0; k < t->sizes[v]; k++) {
            int32_t l = literal_of(t->sizes[v], p->first[v], k), image = p->image[l >> 1];
            int on = image == IS_TRUE || (image >= 0 && is_true[image >> 1] != (image & 1));
            if (on != (l & 1)) out[v] = k;
        }
}

static void answer_walk(Problem *p, const Asked *asked, int32_t *states, double *log_z) {
    uint8_t *is_true = grab_zeroed((size_t)p->f.n + 1, 1);
    uint64_t random = seeded(asked->seed);
    if (!asked->n_samples) {
        *log_z = trace_best(&p->s, is_true) + number_log(p->f.constant);
        answer_state(p, is_true, states);
    }
    for (int64_t i = 0; i < asked->n_samples; i++) {
        trace_sample(&p->s, &random, is_true);
        answer_state(p, is_true, states + i * p->t->n);
    }
    drop(is_true);
}

/* Halves of the memory are for the cache and for the trace, where there is one. */
static int solve(Problem *p, const Asked *asked, Number *total) {
    p->first = grab(sizeof(int32_t) * (size_t)(p->t->n + 1));
    if (!formula_of_tables(&p->f, p->t, p->first)) return UNSUITED;
    p->image = grab(sizeof(int32_t) * (size_t)(p->f.n + 1));
    int64_t work = (int64_t)fmin(asked->work, 0x1p62);
    formula_simplify(&p->f, asked->task == EVIDENCE, work, p->image);
    if (p->f.impossible) return SOLVED;
    Search *s = &p->s;
    search_open(s, &p->f);
    parts_open(s);
    s->most_work = work;
    s->trace.on = asked->task != EVIDENCE;
    s->trace.most = (int64_t)fmin(asked->bytes / 2, 0x1p62);
    cache_open(&s->cache, (int64_t)fmin(asked->bytes / (s->trace.on ? 2 : 1), 0x1p62));
    order_by_tree(s, asked->seconds);
    return search(s, total);
}

/* The logarithm of the sum (of the greatest product), marginals of all states or states, and what it took: decisions,
 * contradictions, sums found in the cache, visits of clauses, Boolean variables and clauses left, bytes of the trace. */
EXPORT int count_tables(int n, int m, const int32_t *sizes, const int64_t *starts, const int32_t *scopes,
                        const int64_t *value_starts, const double *values, int task, int n_samples, uint64_t seed,
                        const double *terms, double *log_z, double *marginals, int32_t *states, double *told,
                        Caller caller) {
    REGION(caller)
    Tables t = {n, m, sizes, starts, scopes, value_starts, values};
    Asked asked = {task, n_samples, seed, terms[0], terms[1], terms[2]};
    Problem p = {.t = &t};
    Number total = {0, 0};
    int status = solve(&p, &asked, &total);
    *log_z = total.m > 0 ? number_log(total) : -INFINITY;
    if (status == SOLVED && total.m > 0 && task == MARGINALS) answer_marginals(&p, marginals);
    if (status == SOLVED && total.m > 0 && task == WALK) answer_walk(&p, &asked, states, log_z);
    const Search *s = &p.s;
    double all[] = {(double)s->decisions, (double)s->conflicts, (double)s->cache.hits, (double)s->work,
                    (double)p.f.n,        (double)p.f.m,        (double)trace_bytes(&s->trace)};
    memcpy(told, all, sizeof all);
    region_leave();
    return status;
}
