/* One call into the kernels: its memory, and who called. `region_enter` opens it, `region_leave` takes back all that is
 * still held; where the system has no more memory, or the caller does not want to go on, the call returns early through
 * the REGION macro instead of every function testing what it got. */
#ifndef TRACTABLE_MEMORY_H
#define TRACTABLE_MEMORY_H

#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Whether every block is one of the system's: an address sanitizer sees what is read or written beyond these alone. */
#if defined(__SANITIZE_ADDRESS__)
#define EACH_ALONE 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define EACH_ALONE 1
#endif
#endif
#ifndef EACH_ALONE
#define EACH_ALONE 0
#endif

enum { NO_MEMORY = -1, GIVEN_UP = -2 };

/* What is asked of the caller: a matrix product big enough for a BLAS, c[i] = a[i] @ b[i] for i < batch, row-major; or,
 * where batch is 0, whether to go on. The caller sets `made` when c is there, or to go on; where it comes back without,
 * the call is given up. What a function returns would not do: from one that fails ctypes hands back whatever its memory
 * held, the success of the call before for one. */
typedef struct {
    const double *a, *b;
    double *c;
    int64_t batch, m, k, n, made;
} Question;

typedef void (*Caller)(void *question); /* NULL: nobody to ask */

void region_enter(jmp_buf *failed, Caller caller);
void region_leave(void);
/* From here on the call takes its memory apart from others, and nothing of it stays with the process afterwards. */
void region_apart(void);
/* Gives the call up where the caller does not answer, which may come back into the kernels meanwhile. */
void region_ask(Question *question);
/* Says that so much was done, about a nanosecond each: now and then the caller is asked whether to go on. */
void region_worked(int64_t work);
/* Ends the exported function that opened the region, which returns `why`. */
_Noreturn void region_fail(int why);
int region_failure(void);
/* Opens the region of an exported function; `region_leave` ends it. */
#define REGION(caller)                 \
    jmp_buf region_failed;             \
    if (setjmp(region_failed)) {       \
        region_leave();                \
        return region_failure();       \
    }                                  \
    region_enter(&region_failed, caller);

enum { REGION_PIECE = 1 << 18, REGION_LITTLE = 1 << 9 };

/* Where the piece of n passes of a loop ends that begins at `from`, each pass being so much work. */
static inline int64_t region_piece(int64_t from, int64_t n, int64_t work) {
    int64_t size = work < REGION_PIECE ? REGION_PIECE / (work + 1) + 1 : 1;
    size = n - from < size ? n - from : size;
    if (size * work > REGION_LITTLE) region_worked(size * work);
    return from + size;
}

/* for (i = 0; i < n; i++) with a look at the caller between pieces; a `break` would leave one piece only. */
#define IN_PIECES(i, n, work)                                                                  \
    for (int64_t i = 0, i##_to = 0; i##_to < (n) && (i##_to = region_piece(i##_to, n, work));) \
        for (; i < i##_to; i++)

void *grab(size_t bytes);
void drop(void *block);
int in_arena(const void *block);

static inline void *grab_zeroed(size_t count, size_t size) { return memset(grab(count * size), 0, count * size); }

#endif
