/* SPDX-License-Identifier: BSD-3-Clause */
/* options.h: the options of filter families and mixers: tables of rows, and their text "order=3 taps=4". */
#ifndef LCVI_OPTIONS_H
#define LCVI_OPTIONS_H

#include "context.h"

#include <longconv/option.h>

enum { LCVI_MAX_OPTIONS = 32, LCVI_OPTION_TEXT = 32 /* longest value, its NUL included */ };

/* One row of a table. Write it with the macros below, which take the fields in the order of
 * lcv_option_info. */
typedef struct lcvi_option {
    const char *name;
    lcv_option_type type;
    const char *default_text;
    double least, most;
    const char *choices;
    const char *help;
} lcvi_option;

#define LCVI_OPTION_INTEGER_ROW(name, default_text, least, most, help)                                       \
    {                                                                                                        \
        name, LCV_OPTION_INTEGER, default_text, least, most, "", help                                        \
    }
#define LCVI_OPTION_REAL_ROW(name, default_text, least, most, help)                                          \
    {                                                                                                        \
        name, LCV_OPTION_REAL, default_text, (double)(least), (double)(most), "", help                       \
    }
#define LCVI_OPTION_BOOLEAN_ROW(name, default_text, help)                                                    \
    {                                                                                                        \
        name, LCV_OPTION_BOOLEAN, default_text, 0, 1, "", help                                               \
    }
#define LCVI_OPTION_CHOICE_ROW(name, default_text, choices, help)                                            \
    {                                                                                                        \
        name, LCV_OPTION_CHOICE, default_text, 0, 0, choices, help                                           \
    }

/* A family or mixer keeps its rows in an array, with an enum of their indices beside it. */
typedef struct lcvi_option_table {
    const lcvi_option *rows;
    int32_t count; /* at most LCVI_MAX_OPTIONS */
} lcvi_option_table;

/* The value of one option. */
typedef struct lcvi_option_value {
    int64_t integer; /* INTEGER; BOOLEAN: 0 or 1; CHOICE: the word's index in `choices` */
    double real;     /* REAL, and INTEGER as a real number */
    char text[LCVI_OPTION_TEXT];
} lcvi_option_value;

/* Reads `text` (NULL: nothing given) into one value for each row; defaults where it says nothing.
 * Errors: INVALID_ARG, with the option, what was expected and what was given. */
lcv_status lcvi_options_parse(lcv_context *context, const lcvi_option_table *table, const char *text,
                              lcvi_option_value *values);

/* Writes all options with their values, separated by blanks, as lcvi_options_parse reads them. Returns the
 * bytes that the whole text needs, its NUL included; writes what fits into `size`. */
size_t lcvi_options_print(const lcvi_option_table *table, const lcvi_option_value *values, char *text,
                          size_t size);

/* A value as a number that is equal for equal values, however they are written; and what it says, as text. A
 * key may come from a hostile hand. */
int64_t lcvi_option_key(const lcvi_option *row, const lcvi_option_value *value);
void lcvi_option_print_key(const lcvi_option *row, int64_t key, char *text, size_t size);

/* Fills the caller's struct about option `index` of a table. */
lcv_status lcvi_options_describe(lcv_context *context, const lcvi_option_table *table, int32_t index,
                                 lcv_option_info *info);

/* A decimal number with optional sign, fraction and exponent, whatever the locale. Correctly rounded up to 15
 * digits and powers of ten within 22, else within a few units in the last place; the same everywhere. `end`
 * is where the number must end. False when it is not a finite number. */
bool lcvi_parse_real(const char *text, const char *end, double *value);

#endif
