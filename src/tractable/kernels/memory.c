/* An arena kept between calls, and blocks of the system's beside it; and the caller, asked now and then.
 *
 * Asking the system for the same pages again and again costs more than contracting the tables on them, and a large
 * request makes the C library first tidy up what others have freed. One call at a time has the arena; the others, and
 * blocks too large for it, are served by malloc. Freed blocks wait in lists by size, four to the octave. */
#define _GNU_SOURCE
#include "kernels.h"
#include <stdatomic.h>
#include <stdlib.h>
#ifdef __linux__
#include <sys/mman.h>
#endif

enum { HUGE_PAGE = 1 << 21, HUGE_FROM = 1 << 22, ARENA = 1 << 25, LARGEST = 1 << 22, CLASSES = 128 };
enum { MAPPED_FROM = 1 << 17 };

typedef struct Block {
    struct Block *next, *prev; /* in a list of free blocks, or of those outside the arena */
    int64_t class;             /* -1: outside the arena */
    int64_t mapped;            /* bytes that the system has mapped for it alone; 0: malloc's */
} Block;

static struct {
    atomic_flag taken;
    char *base;
} arena = {ATOMIC_FLAG_INIT, NULL};

typedef struct {
    char *at, *end; /* what is left of the arena; NULL where another call has it */
    Block *free[CLASSES];
    Block *outside;
    int apart; /* what is freed goes back to the system */
    int why;   /* the call failed */
    jmp_buf *failed;
    Caller caller;
    int64_t worked; /* since the clock was read */
    double look;    /* when to ask the caller; 0 before the clock is read */
} Region;

static double patience = 0.02; /* seconds between two looks at the caller */

static _Thread_local Region region;

static void *fresh(size_t bytes) {
#ifdef __linux__
    void *x;
    if (bytes >= HUGE_FROM && !posix_memalign(&x, HUGE_PAGE, bytes)) {
        madvise(x, bytes, MADV_HUGEPAGE);
        return x;
    }
#endif
    return malloc(bytes);
}

void region_enter(jmp_buf *failed, Caller caller) {
    region.outside = NULL;
    region.failed = failed, region.apart = 0;
    region.caller = caller, region.worked = 0, region.look = 0;
    if (!EACH_ALONE && !atomic_flag_test_and_set(&arena.taken)) {
        if (!arena.base) arena.base = fresh(ARENA);
        region.at = arena.base, region.end = arena.base ? arena.base + ARENA : NULL;
        memset(region.free, 0, sizeof region.free);
        if (!arena.base) atomic_flag_clear(&arena.taken);
    }
}

void region_apart(void) {
    if (region.end) atomic_flag_clear(&arena.taken);
    region.at = region.end = NULL, region.apart = 1;
}

static void give_back(Block *b) {
#ifdef __linux__
    if (b->mapped) {
        munmap(b, (size_t)b->mapped);
        return;
    }
#endif
    free(b);
}

void region_leave(void) {
    while (region.outside) {
        Block *b = region.outside;
        region.outside = b->next;
        give_back(b);
    }
    if (region.end) atomic_flag_clear(&arena.taken);
    region.at = region.end = NULL, region.caller = NULL;
}

void region_ask(Question *question) {
    Region own = region; /* out of reach of what comes back into the kernels */
    region.at = region.end = NULL;
    own.caller(question);
    region = own;
    if (!question->made) region_fail(GIVEN_UP);
}

void region_worked(int64_t work) {
    region.worked += work;
    if (region.worked < REGION_PIECE || !region.caller) return;
    double now = now_seconds();
    region.worked = 0;
    if (now < region.look) return;
    if (region.look) region_ask(&(Question){.made = 0});
    region.look = now_seconds() + patience;
}

/* For tests: short calls ask too. */
EXPORT void region_patience(double seconds) { patience = seconds; }

void region_fail(int why) {
    region.why = why;
    longjmp(*region.failed, 1);
}

int region_failure(void) { return region.why; }

static int class_of(size_t bytes) {
    int top = 63 - __builtin_clzll((unsigned long long)bytes | 64);
    return 4 * top + (int)((bytes >> (top - 2)) & 3) + 1;
}

static Block *from_arena(size_t bytes) {
    int k = class_of(bytes);
    ptrdiff_t room = (ptrdiff_t)(4 + (k & 3)) << (k / 4 - 2); /* the upper end of the class */
    Block *b = region.free[k];
    if (b) {
        region.free[k] = b->next;
        return b;
    }
    if (region.end - region.at < room) return NULL;
    b = (Block *)region.at;
    region.at += room;
    b->class = k;
    return b;
}

/* Memory of its own, which malloc would keep when it is freed; NULL where there is none, or no need for it. */
static Block *mapped(size_t bytes) {
#ifdef __linux__
    if (!region.apart || bytes < MAPPED_FROM || EACH_ALONE) return NULL;
    Block *b = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (b == MAP_FAILED) region_fail(NO_MEMORY);
    if (bytes >= HUGE_FROM) madvise(b, bytes, MADV_HUGEPAGE);
    b->mapped = (int64_t)bytes;
    return b;
#else
    return NULL;
#endif
}

static Block *from_system(size_t bytes) {
    Block *b = mapped(bytes);
    int64_t own = b ? b->mapped : 0;
    if (!b) b = fresh(bytes);
    if (!b) region_fail(NO_MEMORY);
    *b = (Block){.next = region.outside, .class = -1, .mapped = own};
    if (b->next) b->next->prev = b;
    return region.outside = b;
}

int in_arena(const void *block) { return ((const Block *)block - 1)->class >= 0; }

void *grab(size_t bytes) {
    bytes += sizeof(Block);
    Block *b = region.end && bytes <= LARGEST ? from_arena(bytes) : NULL;
    return (b ? b : from_system(bytes)) + 1;
}

void drop(void *block) {
    if (!block) return;
    Block *b = (Block *)block - 1;
    if (b->class >= 0) {
        b->next = region.free[b->class];
        region.free[b->class] = b;
        return;
    }
    if (b->next) b->next->prev = b->prev;
    *(b->prev ? &b->prev->next : &region.outside) = b->next;
    give_back(b);
}
