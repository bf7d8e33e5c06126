/* Tests of memory.c: blocks are apart, aligned and whole; all are given back; what fails, or is not to go on, ends the
 * call. */
#include "check.h"
#include "memory.h"

#include <pthread.h>

void region_patience(double seconds);

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
    REGION(NULL)
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
    REGION(NULL)
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
    REGION(NULL)
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
    REGION(NULL)
    for (int i = 0; i < 40; i++) memset(grab((size_t)1 << 20), i, (size_t)1 << 20);
    region_leave();
    return 0;
}

static int takes_three(void) {
    REGION(NULL)
    for (int i = 0; i < 3; i++) memset(grab((size_t)8 << 20), 1, 100);
    region_leave();
    return 0;
}

static int fails(int why) {
    REGION(NULL)
    grab(100);
    grab((size_t)8 << 20);
    region_fail(why);
}

static _Thread_local int n_asked, n_answers, inner; /* the caller of this thread, and what an inner call gave */

/* Goes on n_answers times. */
static void answers(void *given) {
    Question *question = given;
    CHECK(question->batch == 0 && !question->made);
    question->made = n_asked++ < n_answers;
}

static void comes_back(void *given) {
    ((Question *)given)->made = 1;
    CHECK(grab_and_drop() == 0);
    inner = fails(NO_MEMORY);
}

/* So much work in so many steps, with blocks held that are whole as long as it goes on. */
static int works(Caller caller, int n, int64_t work) {
    REGION(caller)
    Held held[4];
    for (int i = 0; i < LENGTH(held); i++) hold(held + i, i);
    char *large = grab((size_t)8 << 20);
    large[0] = 5;
    for (int i = 0; i < n; i++) region_worked(work);
    for (int i = 0; i < LENGTH(held); i++) check_whole(held + i);
    CHECK(large[0] == 5);
    drop(held[0].at), drop(large); /* are the region's still */
    region_leave();
    return 0;
}

static int asks(Caller caller, int n, int64_t work, int may_go_on) {
    n_asked = 0, n_answers = may_go_on;
    int status = works(caller, n, work);
    CHECK(status == (n_asked > may_go_on ? GIVEN_UP : 0));
    return n_asked;
}

/* The first look at the clock asks nobody. */
static void asks_now_and_then(void) {
    region_patience(0);
    CHECK(asks(answers, 6, REGION_PIECE, 5) == 5);
    for (int n = 0; n < 5; n++) CHECK(asks(answers, 6, REGION_PIECE, n) == n + 1);
    CHECK(asks(answers, 8, REGION_PIECE / 2, 9) == 3 && asks(answers, 3 * REGION_PIECE, 1, 9) == 2);
    CHECK(asks(answers, 1, INT64_MAX / 2, 9) == 0);
    CHECK(asks(NULL, 6, REGION_PIECE, 0) == 0);
    CHECK(asks(answers, 1, REGION_PIECE, 9) == 0); /* that call is over, and nobody is left to ask: */
    for (int i = 0; i < 3; i++) region_worked(REGION_PIECE);
    CHECK(n_asked == 0);
    region_patience(1e6);
    CHECK(asks(answers, 6, REGION_PIECE, 0) == 0);
    region_patience(0);
    CHECK(works(comes_back, 5, REGION_PIECE) == 0 && inner == NO_MEMORY);
    region_patience(0.02);
}

/* What comes back into the kernels has blocks and a caller of its own, asked or not; those of the outer call stay. */
static void asks_within(void *given) {
    Question *question = given;
    int outer = n_asked;
    CHECK(asks(NULL, 5, REGION_PIECE, 0) == 0 && asks(answers, 5, REGION_PIECE, 1) == 2);
    n_asked = outer + 1;
    question->made = question->batch || n_asked < 3;
}

static int asks_itself(void) {
    n_asked = 0;
    REGION(asks_within)
    Held before, after;
    double x[4] = {1, 2, 3, 4};
    Question product = {x, x, x, 1, 2, 2, 2, 0};
    hold(&before, 1);
    region_ask(&product);
    CHECK(product.made == 1 && n_asked == 1);
    check_whole(&before);
    drop(before.at);
    hold(&after, 2);
    region_ask(&(Question){.made = 0});
    check_whole(&after);
    CHECK(n_asked == 2);
    region_ask(&(Question){.made = 0}); /* does not come back */
    CHECK(0);
    return 0;
}

/* Every index once and in order, at most so much work in a piece. */
static int64_t visits(Caller caller, int64_t n, int64_t work) {
    REGION(caller)
    int64_t next = 0, pieces = 0;
    for (int64_t at = 0, to; at < n; at = to, pieces++) {
        to = region_piece(at, n, work);
        CHECK(to > at && to <= n && (to == at + 1 || (to - at) * work <= REGION_PIECE + work));
    }
    IN_PIECES(i, n, work) {
        CHECK(i == next);
        next++;
        if (i % 2) continue; /* as in any loop */
        CHECK(next % 2);
    }
    CHECK(next == (n > 0 ? n : 0));
    int64_t both = 0;
    IN_PIECES(i, n < 100 ? n : 100, work)
        IN_PIECES(j, i, work) both += j < i;
    CHECK(both == (n < 1 ? 0 : n < 100 ? n * (n - 1) / 2 : 4950));
    region_leave();
    return pieces;
}

static void visits_all(void) {
    static const int64_t N[] = {-1, 0, 1, 2, 7, 1000, REGION_PIECE, REGION_PIECE + 1, 600000},
                         WORK[] = {0,    1,  2, 3, REGION_LITTLE, REGION_PIECE - 1, REGION_PIECE, REGION_PIECE + 1,
                                   1e12};
    region_patience(0);
    for (int i = 0; i < LENGTH(N); i++)
        for (int j = 0; j < LENGTH(WORK); j++) {
            if (N[i] > 1000 && WORK[j] >= REGION_PIECE - 1) continue; /* a look for each would take seconds */
            int64_t pieces = visits(NULL, N[i], WORK[j]);
            n_asked = 0, n_answers = INT32_MAX;
            CHECK(visits(answers, N[i], WORK[j]) == pieces);
            CHECK(n_asked > 0 || N[i] * WORK[j] < 2 * REGION_PIECE);
            CHECK(n_asked == 0 || 2 * N[i] * WORK[j] + 5000 * WORK[j] > REGION_PIECE);
        }
    n_asked = 0, n_answers = 3;
    CHECK(visits(answers, 1000, REGION_PIECE) == GIVEN_UP && n_asked == 4);
    region_patience(0.02);
}

static void *work(void *unused) {
    for (int i = 0; i < 8; i++) {
        CHECK(all_zero() == 0);
        CHECK(takes_three() == 0);
        CHECK(fails(GIVEN_UP) == GIVEN_UP);
        CHECK(asks_itself() == GIVEN_UP && n_asked == 3);
    }
    return unused;
}

static int uses_the_arena(void) {
    REGION(NULL)
    int found = in_arena(grab(100));
    region_leave();
    return found;
}

/* Blocks of all sizes that none shares, and the arena is there for others. */
static int keeps_apart(void) {
    REGION(NULL)
    region_apart();
    for (int i = 4; i < 24; i++) {
        char *x = grab((size_t)1 << i), *y = grab((size_t)1 << i);
        memset(x, 1, (size_t)1 << i), memset(y, 2, (size_t)1 << i);
        CHECK(!in_arena(x) && x[0] == 1 && x[(1 << i) - 1] == 1);
        if (i % 2) drop(x);
    }
    region_leave();
    return uses_the_arena();
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
    CHECK(fails(GIVEN_UP) == GIVEN_UP && fails(NO_MEMORY) == NO_MEMORY);
    asks_now_and_then();
    visits_all();
    region_patience(0);
    CHECK(asks_itself() == GIVEN_UP && n_asked == 3);
    pthread_t threads[4];
    for (int i = 0; i < LENGTH(threads); i++) CHECK(!pthread_create(threads + i, NULL, work, NULL));
    for (int i = 0; i < LENGTH(threads); i++) pthread_join(threads[i], NULL);
    int again; /* every call that ends, however it does, leaves the arena to the next, in whatever thread */
    CHECK(uses_the_arena() == !EACH_ALONE && keeps_apart() == !EACH_ALONE);
    CHECK(!pthread_create(threads, NULL, in_another_thread, &again));
    pthread_join(threads[0], NULL);
    CHECK(again == !EACH_ALONE);
    return 0;
}
