/* Tests of memory.c: blocks are apart, aligned and whole; all are given back; what fails ends the call. */
#include "check.h"
#include "memory.h"

#include <pthread.h>

enum { BLOCKS = 300 };

/* Sizes around all classes of the arena, and some that it does not hold. */
static size_t some_size(void) {
    static const size_t sizes[] = {0, 1, 7, 15, 16, 17, 31, 32, 33, 63, 64, 65, 255, 1 << 12, (1 << 12) + 1, 100000};
    int i = random_below(LENGTH(sizes) + 2);
    return i < LENGTH(sizes) ? sizes[i] : (size_t)random_below(i == LENGTH(sizes) ? 3000 : 400000);
}

typedef struct {
    unsigned char *at;
    size_t size;
    unsigned char fill;
} Held;

static void hold(Held *h, int i) {
    h->size = some_size();
    h->at = grab(h->size);
    h->fill = (unsigned char)i;
    CHECK((uintptr_t)h->at % 16 == 0);
    memset(h->at, h->fill, h->size);
}

static void check_whole(const Held *h) {
    for (size_t i = 0; i < h->size; i++) CHECK(h->at[i] == h->fill);
}

static int grab_and_drop(void) {
    REGION
    Held held[BLOCKS];
    for (int i = 0; i < BLOCKS; i++) hold(held + i, i);
    for (int step = 0; step < 4 * BLOCKS; step++) {
        int i = random_below(BLOCKS);
        check_whole(held + i);
        drop(held[i].at);
        hold(held + i, step);
    }
    for (int i = 0; i < BLOCKS; i++) check_whole(held + i);
    for (int i = 0; i < BLOCKS; i += 2) drop(held[i].at); /* the others are the region's to give back */
    drop(NULL);
    region_leave();
    return 0;
}

static int all_zero(void) {
    REGION
    for (int n = 0; n < 70; n++) {
        unsigned char *x = grab(8 * (size_t)n);
        memset(x, 1, 8 * (size_t)n);
        drop(x);
        x = grab_zeroed((size_t)n, 8);
        for (int i = 0; i < 8 * n; i++) CHECK(x[i] == 0);
    }
    region_leave();
    return 0;
}

static int blocks_beyond_the_arena(void) {
    REGION
    enum { N = 12 };
    char *x[N];
    for (int i = 0; i < N; i++) {
        x[i] = grab((size_t)4 << 20); /* more than is ever taken from the arena, and together more than it has */
        x[i][0] = x[i][((size_t)4 << 20) - 1] = (char)i;
        CHECK(!in_arena(x[i]));
    }
    for (int i = 0; i < N; i += 3) drop(x[i]);
    for (int i = 0; i < N; i++)
        if (i % 3) CHECK(x[i][0] == i && x[i][((size_t)4 << 20) - 1] == i);
    drop(x[N - 1]); /* the first of the list, one within, and the last */
    drop(x[1]);
    region_leave();
    return 0;
}

static int fill_the_arena(void) {
    REGION
    for (int i = 0; i < 40; i++) memset(grab((size_t)1 << 20), i, (size_t)1 << 20);
    region_leave();
    return 0;
}

static int takes_three(void) {
    REGION
    for (int i = 0; i < 3; i++) memset(grab((size_t)8 << 20), 1, 100);
    region_leave();
    return 0;
}

static int inner_calls;

static void comes_back(void *argument) {
    inner_calls += grab_and_drop() == 0;
    *(int *)argument = 7;
}

static int calls_outside(void) {
    REGION
    Held before;
    int seen = 0;
    hold(&before, 1);
    region_call(comes_back, &seen);
    CHECK(seen == 7);
    check_whole(&before);
    drop(before.at);
    Held after;
    hold(&after, 2);
    region_leave();
    return 0;
}

static int fails(int why) {
    REGION
    grab(100);
    grab((size_t)8 << 20);
    region_fail(why);
}

static void fails_inside(void *argument) { *(int *)argument = fails(GIVEN_UP); }

static int survives_an_inner_failure(void) {
    REGION
    Held held;
    int inner = 0;
    hold(&held, 3);
    region_call(fails_inside, &inner);
    check_whole(&held);
    region_leave();
    return inner;
}

static void *work(void *unused) {
    for (int i = 0; i < 8; i++) {
        CHECK(all_zero() == 0);
        CHECK(takes_three() == 0);
        CHECK(fails(GIVEN_UP) == GIVEN_UP);
        CHECK(survives_an_inner_failure() == GIVEN_UP);
    }
    return unused;
}

static int uses_the_arena(void) {
    REGION
    int found = in_arena(grab(100));
    region_leave();
    return found;
}

static void *in_another_thread(void *found) {
    *(int *)found = uses_the_arena();
    return NULL;
}

int main(void) {
    RUNS_OUT(takes_three(), NO_MEMORY, 0);
    for (int i = 0; i < 5; i++) CHECK(grab_and_drop() == 0);
    CHECK(all_zero() == 0);
    CHECK(blocks_beyond_the_arena() == 0);
    CHECK(fill_the_arena() == 0);
    CHECK(calls_outside() == 0 && inner_calls == 1);
    CHECK(fails(GIVEN_UP) == GIVEN_UP && fails(NO_MEMORY) == NO_MEMORY);
    CHECK(survives_an_inner_failure() == GIVEN_UP);
    pthread_t threads[4];
    for (int i = 0; i < LENGTH(threads); i++) CHECK(!pthread_create(threads + i, NULL, work, NULL));
    for (int i = 0; i < LENGTH(threads); i++) pthread_join(threads[i], NULL);
    int again; /* every call that ends, however it does, leaves the arena to the next, in whatever thread */
    CHECK(uses_the_arena() == !EACH_ALONE);
    CHECK(!pthread_create(threads, NULL, in_another_thread, &again));
    pthread_join(threads[0], NULL);
    CHECK(again == !EACH_ALONE);
    return 0;
}
