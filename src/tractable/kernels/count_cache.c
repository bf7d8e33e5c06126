/* Sums of parts by a hash of 128 random bits: two parts share one with a probability of 2^-128, so that among 10^9 that
 * are stored and looked up 10^10 times one is mistaken for another with a probability below 10^-19. Places are few for
 * each hash; where they are taken the oldest goes. What was found out under assumptions that turned out to contradict
 * one another is known by its time. */
#include "count_search.h"

enum { WAYS = 4, LEAST = 1 << 12 };

void cache_open(Cache *c, int64_t bytes) {
    *c = (Cache){.size = LEAST, .most = LEAST, .time = 1};
    while ((c->most * 3) * (int64_t)sizeof(Known) <= bytes) c->most *= 2; /* both tables are there as one grows */
    c->at = grab_zeroed((size_t)c->size, sizeof(Known));
}

static int is_spoilt(const Cache *c, uint64_t time) {
    int low = 0, high = c->n_spoilt; /* the first that ends after `time` */
    while (low < high) {
        int middle = (low + high) / 2;
        if (c->spoilt[middle].to > time) high = middle;
        else low = middle + 1;
    }
    return low < c->n_spoilt && c->spoilt[low].from <= time;
}

const Known *cache_find(Cache *c, Hash hash) {
    Known *k = c->at + (hash.a & (uint64_t)(c->size / WAYS - 1)) * WAYS;
    c->lookups++;
    for (int i = 0; i < WAYS; i++)
        if (k[i].time && k[i].hash.a == hash.a && k[i].hash.b == hash.b) {
            if (is_spoilt(c, k[i].time)) {
                k[i].time = 0;
                return NULL;
            }
            c->hits++;
            return &k[i];
        }
    return NULL;
}

static void put(Cache *c, const Known *known) {
    Known *k = c->at + (known->hash.a & (uint64_t)(c->size / WAYS - 1)) * WAYS, *to = k;
    for (int i = 0; i < WAYS; i++) {
        if (k[i].time < to->time) to = &k[i];
        if (k[i].time && k[i].hash.a == known->hash.a && k[i].hash.b == known->hash.b) {
            to = &k[i];
            break;
        }
    }
    c->used += !to->time;
    *to = *known;
}

static void grow(Cache *c) {
    Known *old = c->at;
    int64_t n = c->size;
    c->size *= 2, c->used = 0;
    c->at = grab_zeroed((size_t)c->size, sizeof(Known));
    for (int64_t i = 0; i < n; i++)
        if (old[i].time && !is_spoilt(c, old[i].time)) put(c, &old[i]);
    drop(old);
}

void cache_store(Cache *c, Hash hash, Number value, uint32_t node) {
    if (c->used > c->size / 2 && c->size < c->most) grow(c);
    put(c, &(Known){hash, value.m, (int32_t)value.e, node, c->time++});
}

/* All that was stored since `from` may be wrong. */
void cache_spoil(Cache *c, uint64_t from) {
    if (from == c->time) return;
    while (c->n_spoilt && c->spoilt[c->n_spoilt - 1].from >= from) c->n_spoilt--;
    if (c->n_spoilt == c->cap_spoilt) {
        struct Span *old = c->spoilt;
        c->cap_spoilt = c->cap_spoilt ? 2 * c->cap_spoilt : 64;
        c->spoilt = grab(sizeof *old * (size_t)c->cap_spoilt);
        if (old) memcpy(c->spoilt, old, sizeof *old * (size_t)c->n_spoilt);
        drop(old);
    }
    c->spoilt[c->n_spoilt++] = (struct Span){from, c->time};
}
