/* Paths through hidden Markov chains: the most probable one (Viterbi), and samples of the posterior. */
#include "chain.h"

enum { SIDE = 4, STEPS = 16 /* between two looks at the caller, */, WIDE = 512 /* unless there are so many states */ };

typedef struct {
    int64_t k, kp;
    double *log_a, *log_start; /* padded with -infinity */
} Logs;

/* One sequence: the best log-probabilities of paths to each state, and where they came from. */
typedef struct {
    const double *rows;
    double *now, *next;
    uint16_t *back; /* [length, kp] */
    int64_t length;
} Walk;

/* next_j = max_i now_i + log A_ij, the lowest i of those equal. */
INLINE void best_step(const int n, const Logs *m, Walk *const *walks, int64_t t) {
    for (int64_t j = 0; j < m->kp; j += LANES) {
        V best[SIDE];
        VI from[SIDE];
        for (int g = 0; g < n; g++) best[g] = v_all(-INFINITY), from[g] = (VI){0};
        for (int64_t i = 0; i < m->k; i++) {
            V a = v_load(m->log_a + i * m->kp + j);
            for (int g = 0; g < n; g++) {
                V x = a + walks[g]->now[i];
                VI better = x > best[g];
                best[g] = v_choose(better, x, best[g]);
                from[g] = (VI)v_choose(better, (V)((VI){0} + i), (V)from[g]);
            }
        }
        for (int g = 0; g < n; g++) {
            v_store(walks[g]->next + j, best[g]);
            for (int l = 0; l < LANES; l++) walks[g]->back[t * m->kp + j + l] = (uint16_t)from[g][l];
        }
    }
}

static void viterbi_forward(const Logs *m, Walk *walks, int n) {
    for (int64_t t = 0;; t++) {
        Walk *live[SIDE];
        int found = 0;
        for (int g = 0; g < n; g++)
            if (walks[g].length > t) live[found++] = walks + g;
        if (!found) return;
        if (t % STEPS == 0 || m->kp > WIDE) region_worked((m->kp > WIDE ? 1 : STEPS) * SIDE * (m->k * m->kp + 16));
        if (t && found == SIDE) best_step(SIDE, m, live, t);
        for (int g = 0; g < found; g++) {
            Walk *a = live[g];
            if (!t) memcpy(a->next, m->log_start, sizeof(double) * (size_t)m->kp);
            else if (found < SIDE) best_step(1, m, live + g, t);
            for (int64_t j = 0; j < m->k; j++) a->now[j] = a->next[j] + a->rows[t * m->k + j];
        }
    }
}

static void trace(const Logs *m, const Walk *a, double *log_p, int32_t *path) {
    int32_t at = 0;
    for (int64_t j = 1; j < m->k; j++)
        if (a->now[j] > a->now[at]) at = (int32_t)j;
    *log_p = a->now[at];
    for (int64_t t = a->length - 1; t >= 0; t--) {
        path[t] = at;
        at = a->back[t * m->kp + at];
    }
}

static void open_logs(Logs *m, const Chain *c) {
    m->k = c->k, m->kp = (c->k + LANES - 1) / LANES * LANES;
    m->log_a = grab(sizeof(double) * (size_t)((m->k + 1) * m->kp));
    m->log_start = m->log_a + m->k * m->kp;
    for (int64_t i = 0; i < m->k; i++)
        for (int64_t j = 0; j < m->kp; j++) m->log_a[i * m->kp + j] = j < m->k ? log(c->transition[i * m->k + j]) : -INFINITY;
    for (int64_t j = 0; j < m->kp; j++) m->log_start[j] = j < m->k ? log(c->start[j]) : -INFINITY;
}

static void open_walks(const Logs *m, Walk *walks, int64_t longest) {
    size_t states = sizeof(double) * (size_t)(2 * m->kp), backs = sizeof(uint16_t) * (size_t)(longest * m->kp);
    size_t one = (states + backs + 63) / 64 * 64;
    char *at = grab(one * SIDE);
    for (int g = 0; g < SIDE; g++) {
        walks[g].now = (double *)(at + one * (size_t)g), walks[g].next = walks[g].now + m->kp;
        walks[g].back = (uint16_t *)(walks[g].next + m->kp);
    }
}

/* The most probable path of each of the sequences order[first..last), and the log of its probability with the data:
 * -infinity, with a path that means nothing, where there is none. */
EXPORT int chain_viterbi(const Chain *c, int64_t first, int64_t last, double *log_p, int32_t *paths, Caller caller) {
    if (first >= last) return 0;
    REGION(caller)
    Logs m;
    Walk walks[SIDE];
    int64_t longest = c->offsets[c->order[first] + 1] - c->offsets[c->order[first]];
    open_logs(&m, c);
    open_walks(&m, walks, longest);
    for (int64_t at = first; at < last; at += SIDE) {
        int n = last - at < SIDE ? (int)(last - at) : SIDE;
        for (int g = 0; g < n; g++) {
            const int64_t *ends = c->offsets + c->order[at + g];
            walks[g].rows = c->log_likelihood + ends[0] * c->k, walks[g].length = ends[1] - ends[0];
        }
        viterbi_forward(&m, walks, n);
        for (int g = 0; g < n; g++) {
            int64_t s = c->order[at + g];
            trace(&m, walks + g, log_p + s, paths + c->offsets[s]);
        }
    }
    region_leave();
    return 0;
}

/* ---------------------------------------------------------------- samples */

/* Draws from `n` weights of which running sums are given. */
static int32_t drawn(const double *sums, int64_t n, uint64_t *state) {
    double x = next_uniform(state) * sums[n - 1];
    int64_t low = 0, high = n - 1;
    while (low < high) {
        int64_t middle = (low + high) / 2;
        if (sums[middle] > x) high = middle;
        else low = middle + 1;
    }
    return (int32_t)low;
}

/* Running sums of the filtered probabilities times the ways into the next state, where there is one; with logarithms
 * both are given as such. */
static void running(const double *alpha, const double *into, int64_t k, int logs, double *sums) {
    double most = -INFINITY, sum = 0;
    for (int64_t i = 0; i < k; i++) {
        sums[i] = logs ? alpha[i] + (into ? into[i] : 0) : alpha[i] * (into ? into[i] : 1);
        most = sums[i] > most ? sums[i] : most;
    }
    for (int64_t i = 0; i < k; i++) sums[i] = sum += logs ? exp(sums[i] - most) : sums[i];
}

/* The transposed transitions: row j holds the ways into state j. */
static void transpose(const Chain *c, int logs, double *into) {
    for (int64_t i = 0; i < c->k; i++)
        for (int64_t j = 0; j < c->k; j++) {
            double p = c->transition[i * c->k + j];
            into[j * c->k + i] = logs ? log(p) : p;
        }
}

static void sample_path(const Chain *c, const double *alpha, int64_t length, int logs, double *into, uint64_t state,
                        int32_t *path) {
    double *sums = into + c->k * c->k;
    for (int64_t t = length - 1; t >= 0; t--) {
        if (t % STEPS == 0) region_worked(STEPS * c->k * (logs ? 8 : 2));
        running(alpha + t * c->k, t + 1 < length ? into + path[t + 1] * c->k : NULL, c->k, logs, sums);
        path[t] = drawn(sums, c->k, &state);
    }
}

/* A stream of random numbers for each sample of each sequence. */
static uint64_t stream(uint64_t seed, int64_t sequence, int64_t sample) {
    uint64_t x = seed;
    for (int step = 0; step < 2; step++) {
        x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ull + (uint64_t)(step ? sample : sequence) * 0x9E3779B97F4A7C15ull;
        x = (x ^ (x >> 27)) * 0x94D049BB133111EBull;
        x ^= x >> 31;
    }
    return seeded(x);
}

/* `n` samples of p(z | x) of each of the sequences order[first..last) to paths [n, rows]; `alpha` [rows, k] is room for
 * the filtered probabilities. */
EXPORT int chain_sample(const Chain *c, int64_t first, int64_t last, double *log_p, double *alpha, int64_t n,
                        uint64_t seed, int32_t *paths, Caller caller) {
    REGION(caller)
    int32_t *status = grab(sizeof(int32_t) * (size_t)(c->n + 1));
    double *into = grab(sizeof(double) * (size_t)(c->k * c->k + c->k));
    Arrows arrows;
    arrows_open(&arrows, c, 1);
    chain_forward(c, first, last, log_p, alpha, status);
    for (int64_t i = first; i < last; i++) {
        int64_t s = c->order[i], begin = c->offsets[s], length = c->offsets[s + 1] - begin;
        int logs = status[s] == CHAIN_UNSAFE;
        if (logs) log_p[s] = chain_log_forward(c, s, &arrows, alpha + begin * c->k);
        if (log_p[s] == -INFINITY) continue;
        transpose(c, logs, into);
        for (int64_t q = 0; q < n; q++)
            sample_path(c, alpha + begin * c->k, length, logs, into, stream(seed, s, q), paths + q * c->n_rows + begin);
    }
    region_leave();
    return 0;
}
