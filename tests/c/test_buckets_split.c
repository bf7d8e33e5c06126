/* Tests of buckets_split.c, buckets_axes.c: parts have each table once and are as large as they may be, and walks through
 * a table find the entries that plain index arithmetic finds. */
#include "buckets_models.h"

static int holds(const Buckets *b, const Part *p, int v) {
    for (int a = 0; a < p->nd; a++)
        if (part_scope(b, p)[a] == v) return 1;
    return 0;
}

static void check_part(const Buckets *b, int i, int64_t *at, int64_t *message_at) {
    const Part *p = &b->parts[i];
    const int32_t *scope = part_scope(b, p);
    int64_t size = 1;
    CHECK(scope[0] == b->groups[p->group].variable && p->at == *at && p->message_at == *message_at);
    for (int a = 0; a < p->nd; a++) {
        size *= b->t->sizes[scope[a]];
        CHECK(!a || b->place[scope[a - 1]] < b->place[scope[a]]);
    }
    CHECK(p->size == size && p->rest == size / b->t->sizes[scope[0]] && p->size <= b->largest);
    CHECK((p->up < 0) == (p->nd == 1));
    if (p->up >= 0) {
        const Part *up = &b->parts[p->up];
        int there = 0;
        for (int k = 0; k < up->children.len; k++) there += up->children.at[k] == i;
        CHECK(p->up > i && there == 1 && part_scope(b, up)[0] == scope[1]);
        for (int a = 1; a < p->nd; a++) CHECK(holds(b, up, scope[a]));
    }
    *at += p->size, *message_at += p->rest;
}

/* The largest of what waits in a part: no part is larger than that and than the limit. */
static int64_t largest_inside(const Buckets *b, const Part *p) {
    const Tables *t = b->t;
    int64_t most = 1;
    for (int k = 0; k < p->factors.len; k++) {
        int64_t size = t->value_starts[p->factors.at[k] + 1] - t->value_starts[p->factors.at[k]];
        most = size > most ? size : most;
    }
    for (int k = 0; k < p->children.len; k++) {
        const Part *child = &b->parts[p->children.at[k]];
        most = child->rest > most ? child->rest : most;
    }
    return most;
}

static void check_group(const Buckets *b, const Group *g, int64_t *shift_at) {
    int n_shared = 0;
    int64_t size = 1;
    for (int v = 0; v < b->t->n; v++) {
        int in_all = g->n > 1;
        for (int i = g->first; i < g->first + g->n; i++) in_all &= holds(b, &b->parts[i], v);
        n_shared += in_all, size *= in_all ? b->t->sizes[v] : 1;
    }
    CHECK(g->n > 0 && g->n_shared == n_shared && g->shift_at == *shift_at);
    CHECK(g->shift_size == (g->n > 1 ? size : 0) && g->n * g->shift_size <= b->most_shifts);
    *shift_at += g->n * g->shift_size;
}

static void check_factors(const Buckets *b) {
    const Tables *t = b->t;
    for (int j = 0; j < t->m; j++) {
        int times = 0, choices = 0;
        for (int64_t i = t->starts[j]; i < t->starts[j + 1]; i++) choices += t->sizes[t->scopes[i]] > 1;
        for (int i = 0; i < b->n_parts; i++)
            for (int k = 0; k < b->parts[i].factors.len; k++) {
                if (b->parts[i].factors.at[k] != j) continue;
                times++;
                for (int64_t e = t->starts[j]; e < t->starts[j + 1]; e++)
                    CHECK(t->sizes[t->scopes[e]] == 1 || holds(b, &b->parts[i], t->scopes[e]));
            }
        CHECK(times == (choices > 0));
    }
}

/* A walk through part p beside a table over some variables, in any order. */
static void check_walks(const Buckets *b, const Part *p) {
    int32_t scope[MOST_AXES], x[MOST_VARIABLES] = {0};
    int nd = 0;
    int64_t size = 1;
    Axes a;
    for (int k = 0; k < p->nd; k++)
        if (random_below(3)) scope[nd++] = part_scope(b, p)[k];
    for (int k = nd - 1; k > 0; k--) {
        int j = random_below(k + 1), t = scope[k];
        scope[k] = scope[j], scope[j] = t;
    }
    for (int k = 0; k < nd; k++) size *= b->t->sizes[scope[k]];
    double *table = normals(p->size, 1), *other = normals(size, 1);
    double *added = memcpy(TAKE(double, p->size), table, sizeof(double) * (size_t)p->size);
    double *summed = memcpy(TAKE(double, size), other, sizeof(double) * (size_t)size);
    double *expected = memcpy(TAKE(double, size), other, sizeof(double) * (size_t)size);
    axes_of(b, p, scope, nd, &a);
    for (int v = 0; v < b->t->n; v++) CHECK(!b->step[v]);
    add_onto(added, &a, other), sum_onto(summed, &a, table);
    for (int64_t e = 0; e < p->size; e++) {
        int64_t at = 0, left = e;
        for (int k = p->nd - 1; k >= 0; k--) {
            int v = part_scope(b, p)[k];
            x[v] = (int32_t)(left % b->t->sizes[v]), left /= b->t->sizes[v];
        }
        for (int k = 0; k < nd; k++) at = at * b->t->sizes[scope[k]] + x[scope[k]];
        CHECK_NEAR(added[e], table[e] + other[at], 0);
        expected[at] += table[e];
    }
    for (int64_t e = 0; e < size; e++) CHECK_NEAR(summed[e], expected[e], 1e-12);
}

static int check_inside(const Case *c, const double *priced) {
    REGION(NULL)
    Buckets b;
    int64_t at = 0, message_at = 0, shift_at = 0;
    int groups = 0;
    buckets_split(&b, &c->model.tables, &(Splitting){c->order, c->how[0], (uint64_t)c->how[1]});
    CHECK(!b.too_large);
    for (int i = 0; i < b.n_parts; i++) {
        check_part(&b, i, &at, &message_at);
        CHECK(b.parts[i].size <= c->how[0] || b.parts[i].size == largest_inside(&b, &b.parts[i]) ||
              b.parts[i].size == b.t->sizes[b.groups[b.parts[i].group].variable]);
        check_walks(&b, &b.parts[i]);
    }
    for (int k = 0; k < b.t->n; k++) {
        CHECK(b.groups[k].variable == c->order[k] && b.place[c->order[k]] == k && b.groups[k].first == groups);
        check_group(&b, &b.groups[k], &shift_at);
        CHECK(b.groups[k].n == 1 || c->how[0] < 1 << 20);
        groups += b.groups[k].n;
    }
    CHECK(groups == b.n_parts && at == b.size && message_at == b.rest && shift_at == b.shift_size);
    check_factors(&b);
    CHECK(priced[N_PARTS] == b.n_parts && priced[ENTRIES] == (double)b.size && priced[MESSAGES] == (double)b.rest);
    CHECK(priced[SHIFTS] == (double)b.shift_size && priced[LARGEST] == (double)b.largest);
    region_leave();
    return 0;
}

/* Tables that no index can have are said to be too large: one that is given, one that parts would make. */
static void check_too_large(void) {
    enum { N = 70 };
    int32_t sizes[N], scopes[N], order[N];
    int64_t starts[] = {0, 65}, value_starts[] = {0, 1}, how[] = {1 << 10, 1};
    double one = 1, priced[N_PRICED];
    for (int v = 0; v < N; v++) sizes[v] = 2, scopes[v] = order[v] = v;
    CHECK(buckets_price(N, 1, sizes, starts, scopes, value_starts, &one, order, how, NULL, priced, NULL) == 1);
    starts[1] = 40;
    CHECK(buckets_price(N, 1, sizes, starts, scopes, value_starts, &one, order, how, NULL, priced, NULL) == 1);
    starts[1] = 20;
    CHECK(!buckets_price(N, 1, sizes, starts, scopes, value_starts, &one, order, how, NULL, priced, NULL));
    CHECK(priced[LARGEST] == 1 << 20);
}

int main(void) {
    static const int64_t limits[] = {1, 2, 4, 8, 16, 1 << 20};
    for (int l = 0; l < LENGTH(limits); l++)
        for (int n = 0; n < 8; n++)
            for (int m = 0; m < 13; m++)
                for (int i = 0; i < 3; i++) {
                    Case c = random_case(n, m, 4, POSITIVE, limits[l]);
                    double priced[N_PRICED];
                    CHECK(!buckets_price(GIVEN(&c), NULL, priced, NULL));
                    CHECK(!check_inside(&c, priced));
                    release();
                }
    check_too_large();
    return 0;
}
