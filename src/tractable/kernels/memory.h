/* Memory of one call into the kernels. `region_enter` opens it, `region_leave` takes back all that is still held; where
 * the system has no more, the call returns early through the REGION macro instead of every caller testing a pointer. */
#ifndef TRACTABLE_MEMORY_H
#define TRACTABLE_MEMORY_H

#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { NO_MEMORY = -1 };

jmp_buf *region_enter(void);
void region_leave(void);
/* Opens the region of an exported function, which returns `failure` if it runs out of memory; `region_leave` ends it. */
#define REGION(failure)                \
    if (setjmp(*region_enter())) {     \
        region_leave();                \
        return failure;                \
    }

void *grab(size_t bytes);
void drop(void *block);
int in_arena(const void *block);

static inline void *grab_zeroed(size_t count, size_t size) { return memset(grab(count * size), 0, count * size); }

#endif
