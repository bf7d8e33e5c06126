/* The posterior of the entries of a given table: the table times the derivative of Z by it, as a share of Z. */
#include "run.h"

/* Scales the entries x[state][row] so that those of each row add up to one. */
static void to_shares(const Context *c, double *x, int64_t states, int64_t rows) {
    for (int64_t r = 0; r < rows; r++) {
        double top = -INFINITY, sum = 0;
        for (int64_t s = 0; s < states && c->semiring == LOG_SUM_EXP; s++)
            top = x[s * rows + r] > top ? x[s * rows + r] : top;
        IN_PIECES(s, states, 8) {
            if (c->semiring == LOG_SUM_EXP) x[s * rows + r] = top > -INFINITY ? exp(x[s * rows + r] - top) : 0;
            sum += x[s * rows + r];
        }
        for (int64_t s = 0; s < states; s++) x[s * rows + r] /= sum;
    }
}

/* out has the axes of the given table t; those that the adjoint lacks belong to t alone. */
void posterior_of(Context *c, const Table *t, const Table *adjoint, double *out) {
    int32_t order[1024];
    int64_t stride[1024], at[1024], span = 1, from = 0;
    int n = 0;
    for (int i = 0; i < adjoint->nd; i++) c->mark[adjoint->legs[i]] = 1;
    for (int i = 0; i < t->nd; i++)
        if (c->mark[t->legs[i]]) order[n++] = t->legs[i];
    for (int i = t->nd - 1; i >= 0; i--) {
        int shared = c->mark[t->legs[i]];
        at[i] = 0, stride[i] = shared ? span : 0;
        if (shared) span *= c->sizes[t->legs[i]];
        c->mark[t->legs[i]] = 0;
    }
    double *x = table_alloc(c, adjoint->size);
    gather(c, adjoint, order, x);
    IN_PIECES(i, t->size, 4) {
        out[i] = c->semiring == LOG_SUM_EXP ? t->x[i] + x[from] : t->x[i] * x[from];
        for (int k = t->nd - 1; k >= 0; k--) {
            from += stride[k];
            if (++at[k] < c->sizes[t->legs[k]]) break;
            from -= stride[k] * at[k];
            at[k] = 0;
        }
    }
    table_release(c, x);
    int64_t rows = t->nd && t->legs[t->nd - 1] == c->row ? c->n_rows : 1;
    to_shares(c, out, t->size / rows, rows);
}
