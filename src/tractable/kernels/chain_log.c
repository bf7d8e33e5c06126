/* Forward-backward with logarithms, over the transitions that are not zero: slower, and right where probabilities of
 * one step differ by more than doubles can hold. Rows are shifted to a largest entry of zero, so that precision does
 * not depend on the length of the sequence. */
#include "chain.h"

#define FAINT 1e-250 /* a filtered probability below this may have lost digits, or is gone */

void arrows_open(Arrows *a, const Chain *c, int into) {
    int64_t k = c->k, n = 0;
    a->starts = grab(sizeof(int64_t) * (size_t)(k + 1));
    a->states = grab(sizeof(int32_t) * (size_t)(k * k));
    a->logs = grab(sizeof(double) * (size_t)(k * k));
    for (int64_t j = 0; j < k; j++) {
        a->starts[j] = n;
        for (int64_t i = 0; i < k; i++) {
            double p = into ? c->transition[i * k + j] : c->transition[j * k + i];
            if (p > 0) a->states[n] = (int32_t)i, a->logs[n++] = log(p);
        }
    }
    a->starts[k] = n;
}

void arrows_close(Arrows *a) {
    drop(a->starts), drop(a->states), drop(a->logs);
}

/* log sum over the arrows of state j of exp(log of the arrow + x of its other end). */
static double log_sum(const Arrows *a, int64_t j, const double *x) {
    double most = -INFINITY, sum = 0;
    for (int64_t n = a->starts[j]; n < a->starts[j + 1]; n++) {
        double term = a->logs[n] + x[a->states[n]];
        most = term > most ? term : most;
    }
    if (most == -INFINITY) return most;
    for (int64_t n = a->starts[j]; n < a->starts[j + 1]; n++) sum += exp(a->logs[n] + x[a->states[n]] - most);
    return most + log(sum);
}

/* Subtracts the largest entry and returns it; zero where there is none. */
static double shift(double *x, int64_t k) {
    double most = -INFINITY;
    for (int64_t j = 0; j < k; j++) most = x[j] > most ? x[j] : most;
    for (int64_t j = 0; j < k && most > -INFINITY; j++) x[j] -= most;
    return most;
}

static double log_sum_exp(const double *x, int64_t k) {
    double sum = 0;
    for (int64_t j = 0; j < k; j++) sum += exp(x[j]);
    return log(sum);
}

/* x becomes exp(x) divided by its sum. */
static void normalize(double *x, int64_t k) {
    shift(x, k);
    double sum = 0;
    for (int64_t j = 0; j < k; j++) sum += x[j] = exp(x[j]);
    for (int64_t j = 0; j < k; j++) x[j] /= sum;
}

double chain_log_forward(const Chain *c, int64_t s, const Arrows *into, double *out) {
    int64_t k = c->k, length = c->offsets[s + 1] - c->offsets[s];
    const double *rows = c->log_likelihood + c->offsets[s] * k;
    double total = 0, carry = 0;
    for (int64_t t = 0; t < length; t++) {
        region_worked(16 * into->starts[k]);
        for (int64_t j = 0; j < k; j++)
            out[t * k + j] = rows[t * k + j] + (t ? log_sum(into, j, out + (t - 1) * k) : log(c->start[j]));
        double most = shift(out + t * k, k);
        if (most == -INFINITY) return most;
        double x = most - carry, sum = total + x; /* the sum of a million terms keeps its last digits */
        carry = (sum - total) - x, total = sum;
    }
    return total + log_sum_exp(out + (length - 1) * k, k);
}

/* log of b_t times what comes after it, to `ahead`. */
static void meet(const double *row, const double *after, double *ahead, int64_t k) {
    for (int64_t j = 0; j < k; j++) ahead[j] = row[j] > -INFINITY ? row[j] + after[j] : -INFINITY;
    shift(ahead, k);
}

/* The expected transitions of one step: exp(log alpha_i + log A_ij + ahead_j), normalized. */
static void count(const Arrows *from, const double *alpha, const double *ahead, double weight, Chain c, double *counts) {
    double most = -INFINITY, sum = 0;
    for (int pass = 0; pass < 3; pass++)
        for (int64_t i = 0; i < c.k; i++)
            for (int64_t n = from->starts[i]; n < from->starts[i + 1]; n++) {
                double x = alpha[i] + from->logs[n] + ahead[from->states[n]];
                if (pass == 0) most = x > most ? x : most;
                else if (pass == 1) sum += exp(x - most);
                else counts[i * c.k + from->states[n]] += exp(x - most) / sum * weight;
            }
}

static void log_backward(const Chain *c, int64_t s, const Arrows *from, double *out, double *buffer, double *counts) {
    int64_t k = c->k, length = c->offsets[s + 1] - c->offsets[s];
    const double *rows = c->log_likelihood + c->offsets[s] * k;
    double *after = buffer, *ahead = buffer + k;
    for (int64_t j = 0; j < k; j++) after[j] = 0;
    normalize(out + (length - 1) * k, k);
    for (int64_t t = length - 2; t >= 0; t--) {
        double *alpha = out + t * k;
        region_worked(48 * from->starts[k]);
        meet(rows + (t + 1) * k, after, ahead, k);
        count(from, alpha, ahead, c->weights[s], *c, counts);
        for (int64_t i = 0; i < k; i++) after[i] = log_sum(from, i, ahead);
        for (int64_t i = 0; i < k; i++) alpha[i] = alpha[i] > -INFINITY ? alpha[i] + after[i] : -INFINITY;
        normalize(alpha, k);
    }
}

void chain_log_smooth(const Chain *c, int64_t s, double *log_p, double *out, double *counts) {
    Arrows into, from;
    double *buffer = grab(sizeof(double) * (size_t)(2 * c->k));
    int64_t length = c->offsets[s + 1] - c->offsets[s];
    arrows_open(&into, c, 1);
    arrows_open(&from, c, 0);
    *log_p = chain_log_forward(c, s, &into, out);
    if (counts && *log_p > -INFINITY) log_backward(c, s, &from, out, buffer, counts);
    else
        for (int64_t t = 0; t < length && *log_p > -INFINITY; t++) normalize(out + t * c->k, c->k);
    arrows_close(&into);
    arrows_close(&from);
    drop(buffer);
}

/* Whether a state of row t, filtered to `row`, is possible but too improbable for a double; the rows before are logarithms. */
static int is_faint(const Chain *c, const Arrows *into, const double *log_likelihood, int64_t t, const double *row) {
    for (int64_t j = 0; j < c->k; j++) {
        if (row[j] >= FAINT || log_likelihood[j] == -INFINITY) continue;
        if (row[j] > 0 || (!t && c->start[j] > 0)) return 1;
        for (int64_t n = into->starts[j]; t && n < into->starts[j + 1]; n++)
            if (row[into->states[n] - c->k] > -INFINITY) return 1;
    }
    return 0;
}

/* The logarithms of filtered rows in place; those of a row with a faint state follow from the row before. */
static void to_logs(const Chain *c, int64_t s, const Arrows *into, double *out) {
    const double *rows = c->log_likelihood + c->offsets[s] * c->k;
    for (int64_t t = 0; t < c->offsets[s + 1] - c->offsets[s]; t++, out += c->k, rows += c->k) {
        region_worked(8 * c->k + into->starts[c->k]);
        int faint = is_faint(c, into, rows, t, out);
        for (int64_t j = 0; j < c->k; j++)
            out[j] = !faint ? log(out[j]) : rows[j] + (t ? log_sum(into, j, out - c->k) : log(c->start[j]));
        if (faint) shift(out, c->k);
    }
}

/* log p(z_t | x_1..t) of the sequences order[first..last) to `out`, up to a constant for each row, also where it is below
 * the smallest double. */
EXPORT int chain_log_filter(const Chain *c, int64_t first, int64_t last, double *log_p, double *out, Caller caller) {
    REGION(caller)
    int32_t *status = grab(sizeof(int32_t) * (size_t)(c->n + 1));
    Arrows into;
    arrows_open(&into, c, 1);
    chain_forward(c, first, last, log_p, out, status);
    for (int64_t i = first; i < last; i++) {
        int64_t s = c->order[i];
        double *own = out + c->offsets[s] * c->k;
        if (status[s] == CHAIN_OK) to_logs(c, s, &into, own);
        if (status[s] == CHAIN_UNSAFE) log_p[s] = chain_log_forward(c, s, &into, own);
    }
    region_leave();
    return 0;
}
