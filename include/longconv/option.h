/* SPDX-License-Identifier: BSD-3-Clause */
/* option.h: how filter families and operators describe themselves: options, and named arrays.
 *
 * Both are found by name in a list. Each has a table of options, given as text ("order=3 taps=4"), and a list
 * of named arrays (ports) whose shapes follow from the options. A foreign-function interface or a command
 * needs no more than this to serve all of them, those of later versions too.
 */
#ifndef LONGCONV_OPTION_H
#define LONGCONV_OPTION_H

#include <longconv/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum lcv_option_type {
    LCV_OPTION_INTEGER = 0,
    LCV_OPTION_REAL = 1,
    LCV_OPTION_BOOLEAN = 2, /* written 0 or 1 */
    LCV_OPTION_CHOICE = 3   /* one of a few words */
} lcv_option_type;

/* One option. All texts are static. Options are written NAME=VALUE, separated by blanks or ':'; each name at
 * most once, any order. An unknown name, a malformed value or one out of range is INVALID_ARG with the name,
 * what was expected and what was given. */
typedef struct lcv_option_info {
    size_t struct_size;
    const char *name;
    lcv_option_type type;
    const char *default_text; /* as it would be written */
    double least, most;       /* INTEGER and REAL: the range, both ends allowed; infinities for none */
    const char *choices;      /* CHOICE: the words, separated by one blank; else "" */
    const char *help;         /* one line */
} lcv_option_info;

typedef enum lcv_port_role {
    LCV_PORT_INPUT = 0,
    LCV_PORT_PARAMETER = 1, /* learned, or a constant table: see `trainable` */
    LCV_PORT_OUTPUT = 2
} lcv_port_role;

/* One named array of a filter or an operator. The texts live as long as the object they were asked of. */
typedef struct lcv_port_info {
    size_t struct_size;
    const char *name; /* lower case, words joined by '_'; unique in its object */
    const char *axes; /* names of the axes, "filters, modes, complex" */
    const char *help; /* one line with the symbol of the formula */
    lcv_port_role role;
    lcv_dtype dtype;
    int32_t rank; /* 1 to LCV_MAX_RANK */
    int64_t shape[LCV_MAX_RANK];
    int32_t is_complex; /* 1: the last axis is 2, real and imaginary part; its gradient is
                         * d/dRe and d/dIm likewise */
    int32_t trainable;  /* 1: has a gradient */
    int32_t optional;   /* 1: may be absent in a call */
} lcv_port_info;

#ifdef __cplusplus
}
#endif
#endif
