/* Small formulas at random, and their sums over all states. */
#ifndef TRACTABLE_FORMULAS_H
#define TRACTABLE_FORMULAS_H

#include "count_simplify.h"
#include "models.h"

/* The product of weights and factors of a state, as bits. */
static inline long double product_of(const Formula *f, uint32_t state) {
    long double w = ldexpl(f->constant.m, (int)f->constant.e);
    if (f->impossible) return 0;
    for (int v = 0; v < f->n; v++) w *= f->weight[2 * v + !(state >> v & 1)];
    for (int i = 0; i < f->m; i++) {
        const Clause *c = &f->clauses[i];
        int satisfied = c->len == 0; /* a clause that is gone */
        for (int a = 0; a < c->len; a++) {
            int32_t l = literals(f, c)[a];
            satisfied |= (int)(state >> (l >> 1) & 1) != (l & 1);
        }
        if (!satisfied) w *= c->factor;
    }
    return w;
}

static inline long double sum_of(const Formula *f) {
    long double z = 0;
    for (uint32_t s = 0; s < 1u << f->n; s++) z += product_of(f, s);
    return z;
}

/* Clauses of up to `widest` literals, of which some have a factor, and a few equal variables and gates. */
static inline Formula random_formula(int n, int m, int widest) {
    Formula f = {.n = n, .constant = {1, 0}, .weight = grab(sizeof(double) * (size_t)(2 * n))};
    int even = random_below(2);
    for (int l = 0; l < 2 * n; l++) f.weight[l] = even ? 0.5 : random_unit() + 0.1;
    for (int i = 0; i < m; i++) {
        int32_t lits[8];
        int len = 1 + random_below(widest);
        if (len == 1 && random_below(4)) len = 2;
        for (int a = 0; a < len; a++) lits[a] = random_below(2 * n);
        formula_add(&f, lits, len, random_below(4) ? 0 : random_unit() * 2);
    }
    for (int i = random_below(3); i > 0 && n > 2; i--) { /* v is a and b */
        int32_t v = 2 * random_below(n), a = random_below(2 * n), b = random_below(2 * n);
        formula_add(&f, (int32_t[]){v ^ 1, a}, 2, 0);
        formula_add(&f, (int32_t[]){v ^ 1, b}, 2, 0);
        formula_add(&f, (int32_t[]){v, a ^ 1, b ^ 1}, 3, 0);
    }
    return f;
}

/* n pigeons in n holes: n! ways. */
static inline Formula pigeons(int n) {
    Formula f = {.n = n * n, .constant = {1, 0}, .weight = grab(sizeof(double) * (size_t)(2 * n * n))};
    for (int l = 0; l < 2 * f.n; l++) f.weight[l] = 1;
    for (int p = 0; p < n; p++) {
        int32_t lits[8];
        for (int h = 0; h < n; h++) lits[h] = 2 * (p * n + h);
        formula_add(&f, lits, n, 0);
        for (int h = 0; h < n; h++)
            for (int q = 0; q < p; q++) formula_add(&f, (int32_t[]){2 * (p * n + h) + 1, 2 * (q * n + h) + 1}, 2, 0);
    }
    return f;
}

#endif
