/* Memory of one call into the kernels. `region_enter` opens it, `region_leave` takes back all that is still held; where
 * the system has no more, or the caller's own code fails, the call returns early through the REGION macro instead of
 * every function testing what it got. */
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

void region_enter(jmp_buf *failed);
void region_leave(void);
/* Calls what may come back into the kernels: what is held here is out of its reach. */
void region_call(void (*outside)(void *), void *argument);
/* Ends the exported function that opened the region, which returns `why`. */
_Noreturn void region_fail(int why);
int region_failure(void);
/* Opens the region of an exported function; `region_leave` ends it. */
#define REGION                         \
    jmp_buf region_failed;             \
    if (setjmp(region_failed)) {       \
        region_leave();                \
        return region_failure();       \
    }                                  \
    region_enter(&region_failed);

void *grab(size_t bytes);
void drop(void *block);
int in_arena(const void *block);

static inline void *grab_zeroed(size_t count, size_t size) { return memset(grab(count * size), 0, count * size); }

#endif
