/* Loopy belief propagation on tables (Pearl 1988; Kschischang, Frey & Loeliger 2001): each table in turn tells its
 * variables what it has heard from their other tables; one sweep takes the tables in the order given, the next back.
 *
 * Messages are kept as logarithms, the largest of each zero, and their sums at each variable. A table works on what it
 * hears in linear space: it is summed over its last axis again and again, each time with what the variable of that axis
 * says, and each of these shrinking tables is projected onto its own last axis by the product of what the variables
 * before it say. That takes four times the entries, whatever the number of variables, and divides by nothing. Where
 * a number comes out so small that others may have been lost beside it, the table is done again in logarithms: a zero
 * that is left in a message is one of the model's, and a variable that has nothing else proves that all is impossible.
 *
 * What comes of it is the logarithm of Bethe's partition function (Yedidia, Freeman & Weiss 2005), in messages: the
 * sums over tables and over variables, less those over the pairs of both. */
#include "kernels.h"

/* SAFE: numbers from here on are not touched by what underflows beside them, where the largest entries of tables are
 * between 1 / SCALED and SCALED. */
#define SAFE 1e-270
#define SCALED 1e20

typedef struct {
    double sweeps, tolerance; /* at most; the change that is none, of messages whose largest entry is one */
    double damping, undamped; /* the share of the old logarithms that stays after so many sweeps */
} Patience;

typedef struct {
    Tables t;
    int64_t *message;  /* [edges] where the message from a table to the variable at this place of its scope begins */
    int64_t *state;    /* [n + 1] where the states of a variable begin */
    double *logs, *linear; /* messages, as logarithms and not */
    double *total;     /* [states] the sum of those logarithms that are finite */
    int32_t *zeros;    /* [states] how many are not */
    double *heard, *sent, *partial, *before; /* of one table: what goes in, what comes out, sums, products */
    uint8_t *tame;     /* [m] whether the largest entry of a table is near enough to one */
    int impossible;
} Beliefs;

static int64_t size_of(const Tables *t, int j) { return t->value_starts[j + 1] - t->value_starts[j]; }

static void begin(Beliefs *b, const Tables *t, double *messages) {
    int64_t edges = t->starts[t->m], n_messages = 0, widest = 0, deepest = 1;
    *b = (Beliefs){.t = *t, .logs = messages};
    b->message = grab(sizeof(int64_t) * (size_t)(edges + 1));
    b->state = grab_zeroed((size_t)t->n + 1, sizeof(int64_t));
    for (int v = 0; v < t->n; v++) b->state[v + 1] = b->state[v] + t->sizes[v];
    for (int64_t e = 0; e < edges; e++) b->message[e] = n_messages, n_messages += t->sizes[t->scopes[e]];
    b->message[edges] = n_messages;
    b->tame = grab((size_t)t->m + 1);
    for (int j = 0; j < t->m; j++) {
        double least, most;
        extent(t->values + t->value_starts[j], size_of(t, j), &least, &most);
        b->tame[j] = most < SCALED && most > 1 / SCALED;
        int64_t states = b->message[t->starts[j + 1]] - b->message[t->starts[j]], size = size_of(t, j), room = size;
        for (int64_t e = t->starts[j + 1]; e-- > t->starts[j];) room += size /= t->sizes[t->scopes[e]];
        widest = states > widest ? states : widest, deepest = room > deepest ? room : deepest;
    }
    b->linear = grab(sizeof(double) * (size_t)(n_messages + 1));
    for (int64_t i = 0; i < n_messages; i++) b->logs[i] = 0, b->linear[i] = 1;
    b->total = grab(sizeof(double) * (size_t)(b->state[t->n] + 1));
    b->zeros = grab(sizeof(int32_t) * (size_t)(b->state[t->n] + 1));
    b->heard = grab(2 * sizeof(double) * (size_t)(widest + 1)); /* as logarithms, then not */
    b->sent = grab(sizeof(double) * (size_t)(widest + 1));
    b->partial = grab(sizeof(double) * (size_t)deepest);
    b->before = grab(sizeof(double) * (size_t)deepest);
}

/* The sums at the variables, without what rounding has left in them. */
static void sum_up(Beliefs *b) {
    const Tables *t = &b->t;
    memset(b->total, 0, sizeof(double) * (size_t)b->state[t->n]);
    memset(b->zeros, 0, sizeof(int32_t) * (size_t)b->state[t->n]);
    for (int64_t e = 0; e < t->starts[t->m]; e++) {
        int v = t->scopes[e];
        for (int s = 0; s < t->sizes[v]; s++) {
            double x = b->logs[b->message[e] + s];
            if (x > -INFINITY) b->total[b->state[v] + s] += x;
            else b->zeros[b->state[v] + s]++;
        }
    }
}

/* What a variable has heard from all tables but one; the largest is zero. Returns 0 where all of it rules it out. */
static int listen(const Beliefs *b, int64_t e, double *out) {
    int v = b->t.scopes[e], k = b->t.sizes[v];
    const double *own = b->logs + b->message[e], *total = b->total + b->state[v];
    const int32_t *zeros = b->zeros + b->state[v];
    double most = -INFINITY;
    for (int s = 0; s < k; s++) {
        int ruled_out = own[s] == -INFINITY;
        out[s] = zeros[s] > ruled_out ? -INFINITY : total[s] - (ruled_out ? 0 : own[s]);
        most = out[s] > most ? out[s] : most;
    }
    if (most == -INFINITY) return 0;
    for (int s = 0; s < k; s++) out[s] -= most;
    return 1;
}

static double log_sum(const double *x, const double *y, int64_t n, int64_t step) {
    double most = -INFINITY, sum = 0;
    for (int64_t i = 0; i < n; i++) most = x[i * step] + y[i] > most ? x[i * step] + y[i] : most;
    if (most == -INFINITY) return most;
    for (int64_t i = 0; i < n; i++) sum += exp(x[i * step] + y[i] - most);
    return most + log(sum);
}

/* The three loops over the entries of a table, for a number of states that the compiler may know. */
static inline void sum_rows(const double *a, int64_t from, int64_t to, int k, const double *w, double *restrict out) {
    for (int64_t x = from; x < to; x++) {
        double sum = 0;
        for (int s = 0; s < k; s++) sum += a[x * k + s] * w[s];
        out[x] = sum;
    }
}

static inline void add_rows(const double *p, const double *a, int64_t from, int64_t to, int k, double *restrict out) {
    for (int64_t x = from; x < to; x++)
        for (int s = 0; s < k; s++) out[s] += p[x] * a[x * k + s];
}

static inline void spread_rows(const double *p, int64_t from, int64_t to, int k, const double *w,
                               double *restrict out) {
    for (int64_t x = from; x < to; x++)
        for (int s = 0; s < k; s++) out[x * k + s] = p[x] * w[s];
}

#define OF_STATES(k, loop)   \
    switch (k) {             \
    case 2: loop(2); break;  \
    case 3: loop(3); break;  \
    case 4: loop(4); break;  \
    default: loop(k); break; \
    }

/* out[x] = Σ_s a[x][s] w[s] */
static void sum_last(const double *a, int64_t rows, int k, const double *w, double *out, int logs) {
    for (int64_t x = 0, to; x < rows; x = to) {
        to = region_piece(x, rows, logs ? 30 * k : k);
        for (int64_t i = x; i < to && logs; i++) out[i] = log_sum(a + i * k, w, k, 1);
        if (logs) continue;
#define SUM(k) sum_rows(a, x, to, k, w, out)
        OF_STATES(k, SUM)
    }
}

/* out[s] = Σ_x p[x] a[x][s] */
static void project(const double *p, const double *a, int64_t rows, int k, double *out, int logs) {
    for (int s = 0; s < k && logs; s++) {
        out[s] = log_sum(a + s, p, rows, k);
        region_worked(30 * rows);
    }
    if (logs) return;
    memset(out, 0, sizeof(double) * (size_t)k);
    for (int64_t x = 0, to; x < rows; x = to) {
        to = region_piece(x, rows, k);
#define ADD(k) add_rows(p, a, x, to, k, out)
        OF_STATES(k, ADD)
    }
}

/* out[x][s] = p[x] w[s] */
static void multiply_out(const double *p, int64_t rows, int k, const double *w, double *out, int logs) {
    for (int64_t x = 0, to; x < rows; x = to) {
        to = region_piece(x, rows, k);
        for (int64_t i = x * k; i < to * k && logs; i++) out[i] = p[i / k] + w[i % k];
        if (logs) continue;
#define SPREAD(k) spread_rows(p, x, to, k, w, out)
        OF_STATES(k, SPREAD)
    }
}

/* All that a table of this number sends, from what it has heard. */
static void send(Beliefs *b, int j, const double *heard, int logs) {
    const Tables *t = &b->t;
    int64_t first = t->starts[j], last = t->starts[j + 1], size = size_of(t, j), rows = 1;
    const double *a = t->values + t->value_starts[j];
    double *room = b->partial;
    if (logs) {
        IN_PIECES(i, size, 20) room[i] = log(a[i]);
        a = room, room += size;
    }
    /* sums over all axes behind each one, those of the first at the end */
    const double *of_axis = a;
    for (int64_t e = last; e-- > first + 1;) {
        int k = t->sizes[t->scopes[e]];
        size /= k;
        sum_last(of_axis, size, k, heard + (b->message[e] - b->message[first]), room, logs);
        of_axis = room, room += size;
    }
    double *p = b->before;
    p[0] = logs ? 0 : 1;
    for (int64_t e = first; e < last; e++) {
        int64_t at = b->message[e] - b->message[first];
        int k = t->sizes[t->scopes[e]];
        project(p, of_axis, rows, k, b->sent + at, logs);
        if (e + 1 == last) break;
        multiply_out(p, rows, k, heard + at, p + rows, logs);
        p += rows, rows *= k;
        of_axis = e + 2 == last ? a : of_axis - rows * t->sizes[t->scopes[e + 1]];
    }
}

/* Hears and sends; 1: what is sent are logarithms, 0: it is not, -1: nothing is possible. */
static int answer(Beliefs *b, int j) {
    const Tables *t = &b->t;
    int64_t first = t->starts[j], last = t->starts[j + 1], n = b->message[last] - b->message[first];
    double *logs = b->heard, *heard = b->heard + n;
    for (int64_t e = first; e < last; e++)
        if (!listen(b, e, logs + (b->message[e] - b->message[first]))) return -1;
    region_worked(4 * size_of(t, j) + 40 * n + 40);
    int safe = b->tame[j];
    if (safe) {
        for (int64_t i = 0; i < n; i++) heard[i] = exp(logs[i]);
        send(b, j, heard, 0);
        const double *old = b->logs + b->message[first];
        for (int64_t i = 0; i < n; i++) safe &= b->sent[i] >= SAFE || (b->sent[i] == 0 && old[i] == -INFINITY);
    }
    if (!safe) send(b, j, logs, 1);
    return !safe;
}

/* Puts a new message in place of the old; returns how far the undamped one is from that. */
static double replace(Beliefs *b, int64_t e, const double *sent, int are_logs, double damping) {
    int v = b->t.scopes[e], k = b->t.sizes[v];
    double *logs = b->logs + b->message[e], *linear = b->linear + b->message[e], *total = b->total + b->state[v];
    int32_t *zeros = b->zeros + b->state[v];
    double most = are_logs ? -INFINITY : 0, change = 0, top = -INFINITY;
    for (int s = 0; s < k; s++) most = sent[s] > most ? sent[s] : most;
    if (most == (are_logs ? -INFINITY : 0)) return b->impossible = 1, 0;
    for (int s = 0; s < k; s++) {
        double x = are_logs ? sent[s] - most : log(sent[s] / most);
        double y = are_logs ? exp(x) : sent[s] / most, old = logs[s];
        change = fabs(y - linear[s]) > change ? fabs(y - linear[s]) : change;
        if (old > -INFINITY) total[s] -= old;
        else zeros[s]--;
        if (damping > 0 && x > -INFINITY && old > -INFINITY) x += damping * (old - x);
        logs[s] = x, linear[s] = y;
        top = x > top ? x : top;
    }
    for (int s = 0; s < k; s++) {
        logs[s] -= top;
        if (damping > 0) linear[s] = exp(logs[s]);
        if (logs[s] > -INFINITY) total[s] += logs[s];
        else zeros[s]++;
    }
    return change;
}

/* All tables once; returns the largest change. */
static double sweep(Beliefs *b, const int32_t *order, int back, double damping) {
    const Tables *t = &b->t;
    double change = 0;
    sum_up(b);
    for (int i = 0; i < t->m; i++) {
        int j = order[back ? t->m - 1 - i : i], logs = answer(b, j);
        b->impossible |= logs < 0;
        for (int64_t e = t->starts[j]; e < t->starts[j + 1] && !b->impossible; e++) {
            double own = replace(b, e, b->sent + (b->message[e] - b->message[t->starts[j]]), logs, damping);
            change = own > change ? own : change;
        }
        if (b->impossible) return 0;
    }
    return change;
}

/* The logarithm of the sum over a variable; its beliefs, where there is room for them. */
static double at_variable(const Beliefs *b, int v, double *out) {
    int k = b->t.sizes[v];
    double most = -INFINITY, sum = 0;
    const double *total = b->total + b->state[v];
    const int32_t *zeros = b->zeros + b->state[v];
    for (int s = 0; s < k; s++)
        if (!zeros[s] && total[s] > most) most = total[s];
    if (most == -INFINITY) return most;
    for (int s = 0; s < k; s++) out[s] = zeros[s] ? 0 : exp(total[s] - most), sum += out[s];
    for (int s = 0; s < k; s++) out[s] /= sum;
    return most + log(sum);
}

/* The logarithm of the sum over a table, less those over the pairs of it with its variables. */
static double at_table(Beliefs *b, int j) {
    const Tables *t = &b->t;
    int64_t first = t->starts[j], last = t->starts[j + 1];
    if (first == last) return log(t->values[t->value_starts[j]]);
    int logs = answer(b, j), k = t->sizes[t->scopes[first]];
    if (logs < 0) return -INFINITY;
    for (int s = 0; s < k && !logs; s++) b->sent[s] = log(b->sent[s]);
    double sum = log_sum(b->sent, b->heard, k, 1);
    for (int64_t e = first; e < last; e++) {
        int64_t at = b->message[e] - b->message[first];
        sum -= log_sum(b->heard + at, b->logs + b->message[e], t->sizes[t->scopes[e]], 1);
    }
    return sum;
}

/* log Z of Bethe and all beliefs; -infinity where nothing is possible. */
static double conclude(Beliefs *b, double *beliefs) {
    double sum = 0;
    sum_up(b);
    for (int v = 0; v < b->t.n && sum > -INFINITY; v++) sum += at_variable(b, v, beliefs + b->state[v]);
    for (int j = 0; j < b->t.m && sum > -INFINITY; j++) sum += at_table(b, j);
    return sum;
}

/* `order`: the tables as a sweep takes them. `messages`: from each table to the variables of its scope, as logarithms;
 * `beliefs`: of all states. `told`: log Z, sweeps done, the largest change of the last. */
EXPORT int propagate_beliefs(int n, int m, const int32_t *sizes, const int64_t *starts, const int32_t *scopes,
                             const int64_t *value_starts, const double *values, const int32_t *order,
                             const Patience *how, double *messages, double *beliefs, double *told, Caller caller) {
    REGION(caller)
    Beliefs b;
    begin(&b, &(Tables){n, m, sizes, starts, scopes, value_starts, values}, messages);
    int64_t done = 0;
    double change = INFINITY;
    while (done < how->sweeps && change > how->tolerance && !b.impossible) {
        change = sweep(&b, order, (int)(done & 1), done < how->undamped ? 0 : how->damping);
        done++;
    }
    told[0] = b.impossible ? -INFINITY : conclude(&b, beliefs);
    told[1] = (double)done, told[2] = change;
    region_leave();
    return 0;
}
