/* The open nodes of a search, and the paths to them, which have in common what begins alike. */
#include "buckets_search.h"

enum { FEWEST = 1 << 10 };

void frontier_open(Frontier *q, double bytes) {
    *q = (Frontier){.most = (int64_t)fmin(bytes, 0x1p62), .swept = -INFINITY};
    q->room = FEWEST;
    q->at = grab(sizeof(Node) * FEWEST);
}

static void sift_down(Frontier *q, int64_t i, Node node) {
    for (int64_t child; (child = 2 * i + 1) < q->n; i = child) {
        if (child + 1 < q->n && q->at[child + 1].f > q->at[child].f) child++;
        if (!(q->at[child].f > node.f)) break;
        q->at[i] = q->at[child];
    }
    q->at[i] = node;
}

/* Nodes no higher than the floor are gone. */
static void sweep(Frontier *q, double floor, double *highest) {
    int64_t kept = 0;
    IN_PIECES(i, q->n, 4) {
        if (q->at[i].f > floor) q->at[kept++] = q->at[i];
        else *highest = fmax(*highest, q->at[i].f), path_released(q, q->at[i].path);
    }
    q->n = kept, q->swept = floor;
    for (int64_t i = q->n / 2; i--;) sift_down(q, i, q->at[i]);
}

/* Twice the nodes, of which there are two copies meanwhile. */
static int grown(Frontier *q, int64_t bytes) {
    if ((int64_t)sizeof(Node) * 3 * q->room + bytes > q->most) return 0;
    Node *old = q->at;
    q->at = grab(sizeof(Node) * (size_t)(2 * q->room));
    memcpy(q->at, old, sizeof(Node) * (size_t)q->n);
    drop(old);
    q->room *= 2;
    return 1;
}

static int64_t path_bytes(int length) { return (int64_t)(sizeof(Path) + sizeof(int32_t) * (size_t)length + 32); }

int frontier_has_room(Frontier *q, int64_t n, int length, double floor, double *highest) {
    for (;;) {
        int64_t bytes = q->bytes + path_bytes(length);
        if (q->n + n <= q->room && (int64_t)sizeof(Node) * q->room + bytes <= q->most) return 1;
        if (q->n + n > q->room && grown(q, bytes)) continue;
        if (floor <= q->swept) return 0;
        sweep(q, floor, highest);
    }
}

void frontier_push(Frontier *q, Node node) {
    int64_t i = q->n++;
    for (int64_t up; i && node.f > q->at[up = (i - 1) / 2].f; i = up) q->at[i] = q->at[up];
    q->at[i] = node;
    if (node.path) node.path->users++;
}

Node frontier_pop(Frontier *q) {
    Node top = q->at[0];
    if (--q->n) sift_down(q, 0, q->at[q->n]);
    return top;
}

Path *path_made(Frontier *q, Path *before, int32_t start, int32_t end, const int32_t *x) {
    Path *path = grab(sizeof(Path) + sizeof(int32_t) * (size_t)(end - start));
    *path = (Path){.before = before, .start = start, .length = end - start};
    memcpy(path->states, x + start, sizeof(int32_t) * (size_t)(end - start));
    if (before) before->users++;
    q->bytes += path_bytes(end - start);
    return path;
}

void path_follow(const Path *path, int32_t end, int32_t *x) {
    for (; path; path = path->before) {
        if (end > path->start) memcpy(x + path->start, path->states, sizeof(int32_t) * (size_t)(end - path->start));
        end = end < path->start ? end : path->start;
    }
}

void path_released(Frontier *q, Path *path) {
    while (path && !--path->users) {
        Path *before = path->before;
        q->bytes -= path_bytes(path->length);
        drop(path);
        path = before;
    }
}
