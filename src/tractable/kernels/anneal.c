/* Simulated annealing of a contraction tree by local rotations, ((a b) c) -> ((a c) b) or ((b c) a).
 * Method: Kalachev, Panteleev & Yung, "Multi-tensor contraction for XEB verification" (2021), there called local
 * reordering; here on variables of any size, with the best tree ever seen kept. */
#include "kernels.h"

typedef struct {
    int words, nodes, m;
    uint64_t *legs;           /* nodes x words */
    int32_t *left, *right;    /* children; -1 at leaves */
    int32_t *parent;
    double *size;             /* log2 size of a node's table */
    double *cost;             /* log2 multiply-adds that make it */
    const double *log_size;
    int uniform;              /* all sizes equal: popcount instead of a sum */
    double unit;
} Tree;

static inline double bits_size(const Tree *t, const uint64_t *bits) {
    double s = 0;
    for (int w = 0; w < t->words; w++) {
        uint64_t b = bits[w];
        if (t->uniform) s += __builtin_popcountll(b);
        else
            while (b) {
                s += t->log_size[64 * w + __builtin_ctzll(b)];
                b &= b - 1;
            }
    }
    return t->uniform ? s * t->unit : s;
}

static inline double log2_sum(double a, double b) {
    double hi = a > b ? a : b, lo = a > b ? b : a;
    return lo - hi < -40 ? hi : hi + log2(1.0 + exp2(lo - hi));
}

/* Log2 of a step's price: its multiply-adds, and the table it makes, an entry of which weighs like 2^traffic of them. */
static inline double step_score(double traffic, double cost, double size) { return log2_sum(cost, size + traffic); }

/* Log2 of the whole tree's price. */
static double tree_score(const Tree *t, double traffic) {
    double top = -INFINITY, sum = 0;
    for (int i = t->m; i < t->nodes; i++) {
        double s = step_score(traffic, t->cost[i], t->size[i]);
        if (s > top) sum = sum * exp2(top - s) + 1.0, top = s;
        else sum += exp2(s - top);
    }
    return top + log2(sum);
}

/* Tries one rotation at node p: child q = (a b) and sibling c become (a c) and b, or (b c) and a. */
static void try_rotation(Tree *t, int p, double beta, double traffic, uint64_t *rng, uint64_t *fresh) {
    int l = t->left[p], r = t->right[p];
    uint64_t bits = next_random(rng) >> 32;
    int q = (t->left[l] >= 0 && t->left[r] >= 0) ? ((bits & 1) ? l : r) : (t->left[l] >= 0 ? l : r);
    if (t->left[q] < 0) return;
    int c = q == l ? r : l;
    int stays = (bits & 2) ? t->left[q] : t->right[q];
    int leaves = stays == t->left[q] ? t->right[q] : t->left[q];
    int W = t->words;
    const uint64_t *A = t->legs + (size_t)stays * W, *B = t->legs + (size_t)leaves * W;
    const uint64_t *C = t->legs + (size_t)c * W, *P = t->legs + (size_t)p * W;
    double made = 0, joined = 0, after = 0;
    for (int w = 0; w < W; w++) { /* (a c) keeps what b or the outside needs */
        uint64_t ac = A[w] | C[w], keep = ac & (B[w] | P[w]), all = keep | B[w];
        fresh[w] = keep;
        if (t->uniform) {
            made += __builtin_popcountll(keep);
            joined += __builtin_popcountll(ac);
            after += __builtin_popcountll(all);
            continue;
        }
        uint64_t u = ac | B[w];
        while (u) {
            int k = __builtin_ctzll(u);
            uint64_t bit = u & -u;
            double s = t->log_size[64 * w + k];
            if (ac & bit) joined += s;
            if (keep & bit) made += s;
            if (all & bit) after += s;
            u ^= bit;
        }
    }
    if (t->uniform) made *= t->unit, joined *= t->unit, after *= t->unit;
    double before = log2_sum(step_score(traffic, t->cost[q], t->size[q]), step_score(traffic, t->cost[p], t->size[p]));
    double then = log2_sum(step_score(traffic, joined, made), step_score(traffic, after, t->size[p]));
    double delta = then - before;
    if (delta > 0 && next_uniform(rng) >= exp(-beta * delta)) return;
    memcpy(t->legs + (size_t)q * W, fresh, sizeof(uint64_t) * (size_t)W);
    t->left[q] = stays;
    t->right[q] = c;
    t->left[p] = q;
    t->right[p] = leaves;
    t->parent[c] = q;
    t->parent[leaves] = p;
    t->size[q] = made;
    t->cost[q] = joined;
    t->cost[p] = after;
}

static void tree_load(Tree *t, const Network *net, const int32_t *pairs) {
    int m = net->m, W = t->words;
    int32_t *count = grab_zeroed((size_t)net->n + 1, sizeof(int32_t));
    for (int64_t i = 0; i < net->starts[m]; i++) count[net->scopes[i]]++;
    memset(t->legs, 0, sizeof(uint64_t) * (size_t)W * (size_t)t->nodes);
    for (int j = 0; j < m; j++) {
        t->left[j] = t->right[j] = -1;
        for (int64_t i = net->starts[j]; i < net->starts[j + 1]; i++) {
            int v = net->scopes[i];
            if (count[v] > 1 || net->keep[v]) t->legs[(size_t)j * W + v / 64] |= 1ull << (v % 64);
        }
        t->size[j] = bits_size(t, t->legs + (size_t)j * W);
        t->cost[j] = -INFINITY;
    }
    for (int i = 0; i < m - 1; i++) {
        int x = pairs[2 * i], y = pairs[2 * i + 1], id = m + i;
        uint64_t *X = t->legs + (size_t)x * W, *Y = t->legs + (size_t)y * W, *Z = t->legs + (size_t)id * W;
        for (int w = 0; w < W; w++) {
            uint64_t both = X[w] & Y[w];
            Z[w] = X[w] | Y[w];
            while (both) {
                int v = 64 * w + __builtin_ctzll(both);
                if (--count[v] == 1 && !net->keep[v]) Z[w] &= ~(both & -both);
                both &= both - 1;
            }
        }
        t->left[id] = x;
        t->right[id] = y;
        t->parent[x] = t->parent[y] = id;
        t->size[id] = bits_size(t, Z);
        double c = 0;
        for (int w = 0; w < W; w++) {
            uint64_t u = X[w] | Y[w];
            while (u) {
                c += t->log_size[64 * w + __builtin_ctzll(u)];
                u &= u - 1;
            }
        }
        t->cost[id] = c;
    }
    t->parent[t->nodes - 1] = -1;
    drop(count);
}

/* Post-order pairs of the tree, with new ids in that order. */
static void tree_store(const Tree *t, int32_t *pairs) {
    int32_t *stack = grab(sizeof(int32_t) * (size_t)(t->nodes + 1));
    int32_t *id = grab(sizeof(int32_t) * (size_t)(t->nodes + 1));
    uint8_t *seen = grab_zeroed((size_t)t->nodes + 1, 1);
    int top = 0, made = 0;
    for (int j = 0; j < t->m; j++) id[j] = j;
    stack[top++] = t->nodes - 1;
    while (top) {
        int x = stack[top - 1];
        if (x < t->m) {
            top--;
        } else if (!seen[x]) {
            seen[x] = 1;
            int l = t->left[x], r = t->right[x]; /* the larger table first: less is alive meanwhile */
            if (t->size[l] > t->size[r]) {
                int s = l;
                l = r, r = s;
            }
            stack[top++] = l;
            stack[top++] = r;
        } else {
            top--;
            pairs[2 * made] = id[t->left[x]];
            pairs[2 * made + 1] = id[t->right[x]];
            id[x] = t->m + made++;
        }
    }
    drop(stack), drop(id), drop(seen);
}

/* Anneals from beta0 to beta1 in n_betas steps of `sweeps` sweeps, within `seconds`; `pairs` receives the best tree.
 * Returns log2 of its price. */
double anneal(const Network *net, const Annealing *how, int32_t *pairs) {
    int n = net->n, m = net->m, n_betas = how->n_betas;
    const double *log_size = net->log_size;
    if (m < 3) return 0;
    Tree t = {.words = (n + 63) / 64, .nodes = 2 * m - 1, .m = m, .log_size = log_size};
    t.uniform = 1;
    t.unit = n ? log_size[0] : 0;
    for (int v = 1; v < n; v++)
        if (log_size[v] != t.unit) t.uniform = 0;
    size_t nodes = (size_t)t.nodes;
    t.legs = grab(sizeof(uint64_t) * (size_t)t.words * nodes);
    t.left = grab(sizeof(int32_t) * nodes);
    t.right = grab(sizeof(int32_t) * nodes);
    t.parent = grab(sizeof(int32_t) * nodes);
    t.size = grab(sizeof(double) * nodes);
    t.cost = grab(sizeof(double) * nodes);
    uint64_t *fresh = grab(sizeof(uint64_t) * (size_t)t.words);
    tree_load(&t, net, pairs);
    uint64_t rng = seeded(how->seed);
    double best = tree_score(&t, how->traffic), start = now_seconds();
    int stop = 0;
    for (int k = 0; k < n_betas && !stop; k++) {
        double beta = n_betas > 1 ? how->beta0 + (how->beta1 - how->beta0) * k / (n_betas - 1) : how->beta1;
        for (int s = 0; s < how->sweeps; s++) {
            IN_PIECES(i, m - 1, 64 + 2 * t.words) try_rotation(&t, m + (int)i, beta, how->traffic, &rng, fresh);
            if ((s & 7) == 7 || s == how->sweeps - 1) {
                double score = tree_score(&t, how->traffic);
                if (score < best - 1e-9) {
                    best = score;
                    tree_store(&t, pairs);
                }
            }
            if (now_seconds() - start > how->seconds) {
                stop = 1;
                break;
            }
        }
    }
    drop(t.legs), drop(t.left), drop(t.right), drop(t.parent), drop(t.size), drop(t.cost), drop(fresh);
    return best;
}
