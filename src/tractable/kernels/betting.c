/* Bets on a mean: what a gambler's capital has grown to, and which candidates for the mean it excludes.
 *
 * A draw multiplies the capital by 1 + stake * gain; the gain at the candidate u is slope * u + offset >= -1, where slope
 * and offset belong to the cell of a grid of weights (or of weights and values) that the draw fell into. The logarithm of
 * the factor is concave in the weight: to count a draw at the two points of the grid around it, by shares that keep its
 * mean, gives a capital that is never larger than that of the draws themselves. */
#include "kernels.h"
#include "vectors.h"

enum { TURNS = 4, FEW = 16, STEPS = 60 };

typedef double Pair __attribute__((vector_size(16)));

/* ---------------------------------------------------------------- what was drawn */

/* The cell of each logarithm x <= 0, points[c] <= x <= points[c+1] for k ascending points from -infinity to 0, and the
 * share of its right end: (e^x - e^left) / (e^right - e^left). */
EXPORT int betting_cells(int64_t n, int k, const double *points, const double *x, uint8_t *cells, double *shares,
                         Caller caller) {
    REGION(caller)
    IN_PIECES(i, n, 50) {
        int c = 0;
        for (int many = k - 1, half; many > 1; many -= half) {
            half = many / 2;
            c += points[c + half] <= x[i] ? half : 0;
        }
        double left = points[c], right = points[c + 1];
        double share = x[i] > left ? exp(x[i] - right) * expm1(left - x[i]) / expm1(left - right) : 0;
        cells[i] = (uint8_t)c, shares[i] = share < 1 ? share : 1;
    }
    region_leave();
    return 0;
}

typedef struct {
    int64_t n;
    int k;
    const uint8_t *cells;
    const double *shares;
} Draws;

/* Adds each draw to the points of its label; labels are bytes or, `wide`, 32 bits, or NULL for one label of all. Where
 * they are few, draws take turns with several tables of counts and shares: a table alone would wait for what was just
 * written. */
INLINE void tally(const int wide, const Draws *d, const void *labels, int64_t n_labels, double *mass, Pair *room) {
    int64_t size = n_labels * d->k;
    if (n_labels <= FEW) memset(room, 0, sizeof(Pair) * (size_t)(size * TURNS));
    for (int64_t i = 0; i < d->n; i++) {
        int64_t label = !labels ? 0 : wide ? ((const int32_t *)labels)[i] : ((const uint8_t *)labels)[i];
        int64_t at = label * d->k + d->cells[i];
        if (n_labels <= FEW) room[i % TURNS * size + at] += (Pair){1.0, d->shares[i]};
        else mass[at] += 1 - d->shares[i], mass[at + 1] += d->shares[i];
    }
    for (int64_t at = 0; n_labels <= FEW && at < size; at++) {
        Pair sum = room[at];
        for (int turn = 1; turn < TURNS; turn++) sum += room[turn * size + at];
        if (sum[0] > 0) mass[at] += sum[0] - sum[1], mass[at + 1] += sum[1];
    }
}

/* The same for values between 0 and 1, which fall between two of `levels` points themselves: masses [levels, k]. */
static void tally_values(const Draws *d, int levels, const double *values, double *mass) {
    for (int64_t i = 0; i < d->n; i++) {
        double place = values[i] * (levels - 1);
        int level = place < levels - 2 ? (int)place : levels - 2;
        double *low = mass + level * d->k + d->cells[i], *high = low + d->k;
        double up = place - level, right = d->shares[i];
        low[0] += (1 - up) * (1 - right), low[1] += (1 - up) * right;
        high[0] += up * (1 - right), high[1] += up * right;
    }
}

/* Adds n draws of positive weight to the masses [1 + labels, k]: row 0 has all of them, row 1 + starts[q] + l those with
 * label l of question q; and to the masses [n_values, levels, k]. Labels [n_questions, n] are bytes or, `wide`, 32 bits,
 * and below the sizes of their questions. `zeros` draws of weight zero are in row 0 only, at the first point; `drawn`
 * counts all. Nobody is asked meanwhile: either all is added or nothing. */
EXPORT int betting_tally(int64_t n, int k, const uint8_t *cells, const double *shares, int64_t zeros,
                         int64_t n_questions, const int64_t *starts, const void *labels, int wide, int64_t n_values,
                         int levels, const double *values, double *mass, double *value_mass, int64_t *drawn,
                         Caller caller) {
    Draws d = {n, k, cells, shares};
    const char *at = labels;
    REGION(caller)
    Pair *room = grab(sizeof(Pair) * (size_t)(FEW * TURNS * k));
    tally(0, &d, NULL, 1, mass, room);
    mass[0] += (double)zeros;
    for (int64_t q = 0; q < n_questions; q++) {
        double *to = mass + (1 + starts[q]) * k;
        if (wide) tally(1, &d, at + 4 * q * n, starts[q + 1] - starts[q], to, room);
        else tally(0, &d, at + q * n, starts[q + 1] - starts[q], to, room);
    }
    for (int64_t v = 0; v < n_values; v++)
        tally_values(&d, levels, values + v * n, value_mass + v * levels * k);
    *drawn += n + zeros;
    region_leave();
    return 0;
}

/* ---------------------------------------------------------------- what the capital excludes */

typedef struct {
    int64_t n_blocks, n_moving, n_still, n_rungs; /* numbers of cells are multiples of all vector lengths */
    const double *slope, *offset, *still;         /* gains of cells that the candidate moves, and of those it does not */
    const double *rungs, *log_parts;              /* constant stakes; the first part of the capital has a stake per block */
} Bet;

typedef struct {
    const double *mass;                  /* [blocks, moving] */
    const double *stakes;                /* [blocks] */
    double *total, *gain, *base, *parts; /* over blocks, at a candidate, of still cells by part, sums by part */
} Gambler;

static double growth(double stake, int64_t n, const double *mass, const double *gain) {
    V sum = v_all(0.0);
    for (int64_t i = 0; i < n; i += LANES) sum += v_load(mass + i) * v_log1p(stake * v_load(gain + i));
    return v_sum(sum);
}

/* Adds to each part the logarithm that it has grown by. */
static void grow(const Bet *bet, const double *stakes, int64_t n, const double *mass, const double *total,
                 const double *gain, double *parts) {
    for (int64_t b = 0; b < bet->n_blocks; b++)
        if (stakes[b] > 0) parts[0] += growth(stakes[b], n, mass + b * n, gain);
    for (int64_t r = 0; r < bet->n_rungs; r++) parts[1 + r] += growth(bet->rungs[r], n, total, gain);
    region_worked((bet->n_blocks + bet->n_rungs) * n * 2);
}

static double log_capital(const Bet *bet, const Gambler *g, double u) {
    const V most = v_all(1e300); /* so that nothing becomes infinite; less is safe */
    for (int64_t i = 0; i < bet->n_moving; i += LANES) {
        V gain = v_load(bet->slope + i) * u + v_load(bet->offset + i);
        v_store(g->gain + i, v_choose(gain > most, most, gain));
    }
    int64_t n = 1 + bet->n_rungs;
    memcpy(g->parts, g->base, sizeof(double) * (size_t)n);
    grow(bet, g->stakes, bet->n_moving, g->mass, g->total, g->gain, g->parts);
    double top = -INFINITY, sum = 0;
    for (int64_t i = 0; i < n; i++) top = g->parts[i] > top ? g->parts[i] : top;
    for (int64_t i = 0; i < n; i++) sum += exp(g->parts[i] - top);
    return top + log(sum);
}

/* search: where the mean is estimated, a candidate below it that is surely kept, how far the end may lie, and the last
 * candidate of interest. Between a rejected and a kept candidate by false position, aimed a little to the other side of
 * the end; whenever it stops, what is returned is rejected. Infinity where nothing is. */
static double edge(const Bet *bet, const Gambler *g, const double *search, double target, double tolerance) {
    double kept = search[0], out = kept, step = search[2], limit = search[3], below, above;
    if ((below = log_capital(bet, g, kept) - target) >= 0) {
        kept = search[1], above = below, below = -target;
    } else {
        for (int i = 0;; i++, step *= 4, kept = out, below = above) {
            out = fmin(search[0] + step, limit);
            if ((above = log_capital(bet, g, out) - target) >= 0) break;
            if (!(out < limit) || (!i && log_capital(bet, g, limit) < target)) return INFINITY;
        }
    }
    double start = fmin(kept, search[0]), near;
    for (int i = 1, side = 0; i < STEPS && out - kept > (near = tolerance * (out - start)); i++) {
        double u = out - (out - kept) * above / (above - below);
        u += side < 0 ? near / 2 : side > 0 ? -near / 2 : 0;
        if (i % 8 == 0 || !(u > kept && u < out)) u = kept + (out - kept) / 2;
        if (!(u > kept && u < out)) break;
        double at = log_capital(bet, g, u) - target;
        if (at >= 0) {
            if (side > 0) below /= 2;
            out = u, above = at, side = 1;
        } else {
            if (side < 0) above /= 2;
            kept = u, below = at, side = -1;
        }
    }
    return out;
}

static void sum_blocks(int64_t n_blocks, int64_t n, const double *mass, double *total) {
    memcpy(total, mass, sizeof(double) * (size_t)n);
    for (int64_t b = 1; b < n_blocks; b++)
        for (int64_t i = 0; i < n; i++) total[i] += mass[b * n + i];
}

/* For each of n means the least candidate that is rejected: the capital has reached e^target. Masses are [n, blocks,
 * moving] and [n, blocks, still], stakes [n, blocks], search [n, 4]; sizes: blocks, moving cells, still ones, rungs. */
EXPORT int betting_edges(int64_t n, const int64_t *sizes, const double *moving, const double *still,
                         const double *slope, const double *offset, const double *still_offset, const double *stakes,
                         const double *rungs, const double *log_parts, const double *search, double target,
                         double tolerance, double *edges, Caller caller) {
    REGION(caller)
    Bet bet = {sizes[0], sizes[1], sizes[2], sizes[3], slope, offset, still_offset, rungs, log_parts};
    size_t parts = sizeof(double) * (size_t)(1 + bet.n_rungs), width = sizeof(double) * (size_t)bet.n_moving;
    double *rest = grab(sizeof(double) * (size_t)(bet.n_still + 1));
    Gambler g = {.total = grab(width), .gain = grab(width), .base = grab(parts), .parts = grab(parts)};
    for (int64_t i = 0; i < n; i++) {
        g.mass = moving + i * bet.n_blocks * bet.n_moving, g.stakes = stakes + i * bet.n_blocks;
        sum_blocks(bet.n_blocks, bet.n_moving, g.mass, g.total);
        memcpy(g.base, log_parts, parts);
        if (bet.n_still) {
            const double *mass = still + i * bet.n_blocks * bet.n_still;
            sum_blocks(bet.n_blocks, bet.n_still, mass, rest);
            grow(&bet, g.stakes, bet.n_still, mass, rest, still_offset, g.base);
        }
        edges[i] = edge(&bet, &g, search + 4 * i, target, tolerance);
    }
    region_leave();
    return 0;
}
