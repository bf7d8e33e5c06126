/* The part of XLA's C interface for custom calls that we use, version 0.1 and later: what a handler is given, the query
 * for its version, errors, and the thread pool. Every structure begins with its size, so that fields may be added at the
 * end; we read only what is listed here, and of the interface table only what its size says is there. */
#ifndef TRACTABLE_XLA_FFI_H
#define TRACTABLE_XLA_FFI_H

#include <stddef.h>
#include <stdint.h>

enum { FFI_MAJOR = 0, FFI_MINOR = 1 };
enum { FFI_METADATA = 1 };                              /* kinds of extension */
enum { FFI_INVALID_ARGUMENT = 3, FFI_EXHAUSTED = 8 };   /* kinds of error */
enum { FFI_U32 = 8, FFI_S64 = 5, FFI_F32 = 11 };        /* types of data */

typedef struct FfiError FfiError;
typedef struct FfiContext FfiContext;

typedef struct FfiExtension {
    size_t struct_size;
    int type;
    struct FfiExtension *next;
} FfiExtension;

typedef struct {
    size_t struct_size;
    FfiExtension *extension;
    int major, minor;
} FfiVersion;

typedef struct {
    size_t struct_size;
    FfiVersion version; /* out */
    uint32_t traits;    /* out */
} FfiMetadata;

typedef struct {
    FfiExtension base;
    FfiMetadata *metadata;
} FfiMetadataQuery;

typedef struct {
    size_t struct_size;
    FfiExtension *extension;
    int dtype;
    void *data;
    int64_t rank;
    int64_t *dims;
} FfiBuffer;

typedef struct {
    int dtype;
    void *value;
} FfiScalar;

/* Arguments and results; all of ours are buffers. */
typedef struct {
    size_t struct_size;
    FfiExtension *extension;
    int64_t size;
    int *types;
    FfiBuffer **buffers;
} FfiBuffers;

typedef struct {
    size_t struct_size;
    FfiExtension *extension;
    int64_t size;
    int *types;
    void **names;
    void **values;
} FfiAttributes;

typedef struct {
    size_t struct_size;
    FfiExtension *extension;
    const char *message;
    int code;
} FfiErrorCreate;

typedef struct {
    size_t struct_size;
    FfiExtension *extension;
    FfiError *error;
} FfiErrorDestroy;

typedef struct {
    size_t struct_size;
    FfiExtension *extension;
    FfiContext *context;
    void (*task)(void *);
    void *data;
} FfiSchedule;

typedef struct {
    size_t struct_size;
    FfiExtension *extension;
    FfiContext *context;
    int64_t *n_threads; /* out */
} FfiThreads;

typedef struct {
    size_t struct_size;
    FfiExtension *extension;
    FfiVersion version;
    const void *internal;
    FfiError *(*error_create)(FfiErrorCreate *);
    void *error_message;
    void (*error_destroy)(FfiErrorDestroy *);
    void *unused[8];
    FfiError *(*schedule)(FfiSchedule *);
    FfiError *(*threads)(FfiThreads *);
} FfiApi;

typedef struct {
    size_t struct_size;
    FfiExtension *extension;
    const FfiApi *api;
    FfiContext *context;
    int stage;
    FfiBuffers arguments, results;
    FfiAttributes attributes;
} FfiCall;

#endif
