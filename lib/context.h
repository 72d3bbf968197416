/* SPDX-License-Identifier: BSD-3-Clause */
/* context.h: the context as the core sees it: memory, messages, log, backends. */
#ifndef LCVI_CONTEXT_H
#define LCVI_CONTEXT_H

#include <longconv/backend.h>

#include <stdbool.h>

enum {
    LCVI_MAX_BACKENDS = 32,
    LCVI_MAX_FROM_PATH = 24, /* modules on the search path; the rest is for backend_list.inc */
    LCVI_MESSAGE_SIZE = 512,
    LCVI_ORIGIN_SIZE = 512,
    LCVI_NAME_SIZE = 32
};

/* One backend of one context, available or with the reason why not. */
typedef struct lcvi_backend {
    const lcv_backend *table; /* NULL: no usable table was found */
    void *device;             /* what `open` made; valid when available */
    bool available;
    lcv_device_kind device_kind;
    char name[LCVI_NAME_SIZE];
    char reason[LCVI_MESSAGE_SIZE];
    char origin[LCVI_ORIGIN_SIZE];
} lcvi_backend;

struct lcv_context {
    _Atomic int64_t references;
    uint64_t id; /* never used twice in a process */
    lcv_alloc_fn alloc;
    lcv_free_fn free;
    void *memory_user;
    lcv_log_fn log;
    void *log_user;
    lcv_log_level log_level;
    char only_backend[LCVI_NAME_SIZE]; /* LONGCONV_BACKEND */
    char cpu_mask[LCVI_NAME_SIZE];     /* LONGCONV_CPU_MASK */
    lcv_backend_host host;
    int32_t backend_count;
    lcvi_backend backends[LCVI_MAX_BACKENDS]; /* in AUTO's order */
};

void lcvi_context_retain(lcv_context *context);
void lcvi_context_release(lcv_context *context);

/* Memory through the context's functions. Sizes of 0 give one byte, so NULL means failure only. */
void *lcvi_alloc(lcv_context *context, size_t bytes, size_t alignment);
void lcvi_free(lcv_context *context, void *memory, size_t bytes);

/* Records this thread's message, logs it as an error and returns `status`. `context` may be NULL. */
lcv_status lcvi_fail(lcv_context *context, lcv_status status, const char *format, ...) LCV_PRINTF(3, 4);

/* Logs and returns `status`, whose message a backend has recorded already; LCV_OK passes silently. */
lcv_status lcvi_pass(lcv_context *context, lcv_status status);

/* Copies a caller's versioned struct over `target`, which holds the defaults: a shorter one (older caller)
 * keeps the defaults of the fields it lacks, a longer one must be zero beyond what this library knows.
 * `least` is the size of the struct's first version. */
lcv_status lcvi_adopt(lcv_context *context, const char *name, void *target, size_t target_size, size_t least,
                      const void *source);

/* Defines the public function that fills a versioned struct with its defaults. */
#define LCVI_DEFINE_INIT(type, initialiser)                                                                  \
    void type##_init(type *object, size_t struct_size)                                                       \
    {                                                                                                        \
        static const type defaults = initialiser;                                                            \
        lcvi_init(object, struct_size, &defaults, sizeof defaults);                                          \
    }
void lcvi_init(void *object, size_t struct_size, const void *defaults, size_t defaults_size);

/* The other way: fills the caller's struct as far as it goes. */
lcv_status lcvi_hand_out(lcv_context *context, const char *name, void *target, const void *source,
                         size_t source_size, size_t least);

#endif
