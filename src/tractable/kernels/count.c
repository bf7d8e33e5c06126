/* What Python calls: a product of tables summed by search, from clauses to the answers in terms of the tables.
 *
 * Marginals come from the trace, which knows nothing of variables that were summed out beforehand. Those are kept in
 * further passes: all at once if that takes not much longer, else some at a time. */
#include "count_simplify.h"

enum { EVIDENCE, MARGINALS, WALK, ANY = 4 };
enum { PATIENCE = 6, LEAST_WORK = 1 << 20 }; /* a further pass may take so many times the first */

/* What is asked, and on what terms. */
typedef struct {
    int task, n_samples; /* a walk without samples is to the most probable state, one to ANY is over when it is there */
    uint64_t seed;
    double bytes, work, order, end; /* for cache and trace; visits of clauses; seconds for the order; when to end */
    double *shown;                  /* while it runs */
} Asked;

/* A sum of what a formula says, less variables that are summed out. */
typedef struct {
    Formula f;
    int32_t *image; /* of the variables before: see `count_simplify.h` */
    Summed summed;
    Search s;
    Number total;
} Pass;

/* The tables, the literals of their variables, and the clauses with nothing summed out. */
typedef struct {
    const Tables *t;
    const Asked *asked;
    int32_t *first, *image;
    Formula f;
    int64_t left; /* visits */
    double told[8];
} Problem;

static int64_t whole(double x) { return (int64_t)fmin(x, 0x1p62); }

/* Half of the memory is for the trace, where there is one. */
static int pass_run(Pass *p, const Problem *of, const Effort *effort) {
    const Asked *asked = of->asked;
    *p = (Pass){.f = formula_copy(&of->f), .image = grab(sizeof(int32_t) * (size_t)(of->f.n + 1))};
    formula_simplify(&p->f, effort, p->image, &p->summed);
    Search *s = &p->s;
    search_open(s, &p->f);
    if (p->f.extreme) return UNSUITED;
    if (p->f.impossible) return SOLVED;
    parts_open(s);
    s->most_work = effort->work, s->end = asked->end, s->shown = asked->shown;
    s->trace.on = asked->task != EVIDENCE, s->any = asked->task == ANY;
    s->trace.most = whole(asked->bytes / 2);
    cache_open(&s->cache, whole(asked->bytes / (s->trace.on ? 2 : 1)));
    order_by_tree(s, asked->order);
    return search(s, &p->total);
}

static void pass_close(Pass *p) {
    search_close(&p->s);
    formula_close(&p->f);
    drop(p->image), drop(p->summed.at.at), drop(p->summed.text.at);
}

static void tell(Problem *of, const Pass *p) {
    const Search *s = &p->s;
    double all[] = {(double)s->decisions, (double)s->conflicts, (double)s->cache.hits, (double)s->work,
                    (double)p->f.n,       (double)p->f.m,       (double)trace_bytes(&s->trace)};
    for (int i = 0; i < 4; i++) of->told[i] += all[i];
    for (int i = 4; i < 7; i++) of->told[i] = fmax(of->told[i], all[i]);
    if (of->told[7] == 0)
        for (int v = 0; v < of->f.n; v++) of->told[7] += p->image[v] == SUMMED_OUT;
    of->left -= s->work;
}

static double of_image(const double *of_literals, int32_t image, int on) {
    if (image == IS_TRUE || image == IS_FALSE) return on == (image == IS_TRUE);
    return of_literals[image ^ !on];
}

/* The marginals of all literals that the pass kept; returns how many variables are still unknown. */
static int keep_marginals(Pass *p, int n, double *marginal, uint8_t *known) {
    double *of_literals = grab_zeroed((size_t)(2 * p->f.n + 2), sizeof(double));
    int unknown = 0;
    trace_marginals(&p->s, of_literals);
    for (int v = 0; v < n; v++) {
        if (known[v] || p->image[v] == SUMMED_OUT) continue;
        known[v] = 1;
        for (int off = 0; off < 2; off++) marginal[2 * v + off] = of_image(of_literals, p->image[v], !off);
    }
    for (int v = 0; v < n; v++) unknown += !known[v];
    drop(of_literals);
    return unknown;
}

static void answer_marginals(const Problem *of, const double *marginal, double *out) {
    const Tables *t = of->t;
    for (int v = 0; v < t->n; out += t->sizes[v++]) {
        double sum = 0;
        for (int k = 0; k < t->sizes[v]; k++) {
            int32_t l = literal_of(t->sizes[v], of->first[v], k);
            sum += out[k] = of_image(marginal, of->image[l >> 1], !(l & 1));
        }
        for (int k = 0; k < t->sizes[v]; k++) out[k] /= sum;
    }
}

/* Further passes, in which some of the variables are kept that are still unknown. */
static int pass_on(Problem *of, int unknown, int64_t first, double *marginal, uint8_t *known) {
    uint8_t *kept = grab((size_t)of->f.n + 1);
    int at_once = unknown, status = SOLVED;
    while (unknown && status == SOLVED) {
        Pass p;
        memset(kept, 0, (size_t)of->f.n + 1);
        for (int v = 0, n = 0; v < of->f.n && n < at_once; v++)
            if (!known[v]) kept[v] = 1, n++;
        int64_t work = at_once == 1 ? of->left : PATIENCE * first + LEAST_WORK;
        status = pass_run(&p, of, &(Effort){ALL, kept, work < of->left ? work : of->left});
        tell(of, &p);
        if (status == SOLVED) unknown = keep_marginals(&p, of->f.n, marginal, known);
        else if (at_once > 1 && of->left > 0 && now_seconds() < of->asked->end)
            status = SOLVED, at_once = (at_once + 3) / 4;
        pass_close(&p);
    }
    drop(kept);
    return status;
}

static int all_marginals(Problem *of, Pass *p, double *out) {
    double *marginal = grab(sizeof(double) * (size_t)(2 * of->f.n + 2));
    uint8_t *known = grab_zeroed((size_t)of->f.n + 1, 1);
    int unknown = keep_marginals(p, of->f.n, marginal, known), status = SOLVED;
    int64_t first = p->s.work;
    pass_close(p);
    if (unknown) status = pass_on(of, unknown, first, marginal, known);
    if (status == SOLVED) answer_marginals(of, marginal, out);
    drop(marginal), drop(known);
    return status;
}

static int is_on(int32_t image, const uint8_t *is_true) {
    return image == IS_TRUE || (image >= 0 && is_true[image >> 1] != (image & 1));
}

/* From the variables of the pass to those that were summed out, to those of the tables. */
static void answer_state(const Problem *of, const Pass *p, const uint8_t *is_true, uint64_t *random, int32_t *out) {
    const Tables *t = of->t;
    uint8_t *before = grab((size_t)of->f.n + 1);
    for (int v = 0; v < of->f.n; v++) before[v] = (uint8_t)is_on(p->image[v], is_true);
    summed_states(&p->summed, before, random);
    for (int v = 0; v < of->f.n; v++)
        if (p->image[v] != SUMMED_OUT) before[v] = (uint8_t)is_on(p->image[v], is_true);
    for (int v = 0; v < t->n; v++)
        for (int k = 0; k < t->sizes[v]; k++) {
            int32_t l = literal_of(t->sizes[v], of->first[v], k);
            if (is_on(of->image[l >> 1], before) != (l & 1)) out[v] = k;
        }
    drop(before);
}

static void answer_walk(const Problem *of, Pass *p, int32_t *states, double *log_z) {
    uint8_t *is_true = grab_zeroed((size_t)p->f.n + 1, 1);
    uint64_t random = seeded(of->asked->seed);
    if (!of->asked->n_samples) {
        *log_z = trace_best(&p->s, is_true) + number_log(p->f.constant);
        answer_state(of, p, is_true, NULL, states);
    }
    for (int64_t i = 0; i < of->asked->n_samples; i++) {
        trace_sample(&p->s, &random, is_true);
        answer_state(of, p, is_true, &random, states + i * of->t->n);
    }
    drop(is_true);
}

static int solve(Problem *of, double *log_z, double *marginals, int32_t *states) {
    Pass p;
    of->first = grab(sizeof(int32_t) * (size_t)(of->t->n + 1));
    if (!formula_of_tables(&of->f, of->t, of->first)) return UNSUITED;
    of->image = grab(sizeof(int32_t) * (size_t)(of->f.n + 1));
    formula_simplify(&of->f, &(Effort){NONE, NULL, of->left}, of->image, NULL);
    if (of->f.extreme) return UNSUITED;
    if (of->f.impossible) return SOLVED;
    int best = of->asked->task == WALK && !of->asked->n_samples; /* a sum is no maximum */
    int status = pass_run(&p, of, &(Effort){best ? DEFINED : ALL, NULL, of->left});
    tell(of, &p);
    if (p.total.m > 0) *log_z = number_log(p.total);
    if (status != SOLVED || !(p.total.m > 0) || of->asked->task == EVIDENCE) return status;
    if (of->asked->task == MARGINALS) return all_marginals(of, &p, marginals);
    answer_walk(of, &p, states, log_z);
    return status;
}

/* The logarithm of the sum (of the greatest product), marginals of all states or states, and what it took: decisions,
 * contradictions, sums found in the cache, visits of clauses, variables and clauses left, bytes of the trace, variables
 * that were summed out. While it runs, decisions of the present pass, and the share of it that is done. */
EXPORT int count_tables(int n, int m, const int32_t *sizes, const int64_t *starts, const int32_t *scopes,
                        const int64_t *value_starts, const double *values, int task, int n_samples, uint64_t seed,
                        const double *terms, double *log_z, double *marginals, int32_t *states, double *told,
                        Caller caller) {
    REGION(caller)
    Tables t = {n, m, sizes, starts, scopes, value_starts, values};
    Asked asked = {task, n_samples, seed, terms[0], terms[1], terms[2], now_seconds() + terms[3], told};
    Problem of = {.t = &t, .asked = &asked, .left = whole(asked.work)};
    *log_z = -INFINITY;
    int status = solve(&of, log_z, marginals, states);
    memcpy(told, of.told, sizeof of.told);
    region_leave();
    return status;
}
