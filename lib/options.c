/* SPDX-License-Identifier: BSD-3-Clause */
/* Option texts, read and written without the locale. */
#include "options.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char separators[] = " \t\r\n:";

/* ---- Numbers ---- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* mantissa * 10^exponent; a power of ten up to 10^22 is exact. */
static double scale(double mantissa, int64_t exponent)
{
    static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                    1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    for (; exponent > 22 && mantissa > 0.0 && isfinite(mantissa); exponent -= 22)
        mantissa *= powers[22];
    for (; exponent < -22 && mantissa > 0.0; exponent += 22)
        mantissa /= powers[22];
    if (exponent > 22 || exponent < -22) /* it became 0 or infinite on the way */
        return mantissa;
    return exponent >= 0 ? mantissa * powers[exponent] : mantissa / powers[-exponent];
}

/* Digits into a mantissa of at most 18; those beyond count as zeros. Returns how many digits there were. */
static int64_t read_digits(const char **text, const char *end, uint64_t *mantissa, int64_t *dropped)
{
    int64_t count = 0;
    for (; *text < end && is_digit(**text); (*text)++, count++) {
        if (*mantissa < 100000000000000000u)
            *mantissa = 10 * *mantissa + (uint64_t)(**text - '0');
        else
            (*dropped)++;
    }
    return count;
}

static bool read_exponent(const char **text, const char *end, int64_t *exponent)
{
    uint64_t value = 0;
    int64_t dropped = 0;
    if (*text == end || (**text != 'e' && **text != 'E'))
        return true;
    (*text)++;
    const bool negative = *text < end && **text == '-';
    if (*text < end && (**text == '-' || **text == '+'))
        (*text)++;
    if (read_digits(text, end, &value, &dropped) == 0)
        return false;
    const int64_t bounded = value > 100000 ? 100000 : (int64_t)value;
    *exponent += negative ? -bounded : bounded;
    return true;
}

bool lcvi_parse_real(const char *text, const char *end, double *value)
{
    uint64_t mantissa = 0;
    int64_t exponent = 0, after = 0;
    const bool negative = text < end && *text == '-';
    if (text < end && (*text == '-' || *text == '+'))
        text++;
    int64_t digits = read_digits(&text, end, &mantissa, &exponent);
    if (text < end && *text == '.') {
        text++;
        const int64_t fraction = read_digits(&text, end, &mantissa, &after);
        digits += fraction;
        exponent -= fraction - after;
    }
    if (digits == 0 || !read_exponent(&text, end, &exponent) || text != end)
        return false;
    const double size = scale((double)mantissa, exponent);
    *value = negative ? -size : size;
    return isfinite(size);
}

static bool parse_integer(const char *text, const char *end, int64_t *value)
{
    const bool negative = text < end && *text == '-';
    int64_t number = 0;
    if (text < end && (*text == '-' || *text == '+'))
        text++;
    if (text == end)
        return false;
    for (; text < end; text++) {
        if (!is_digit(*text) || __builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, *text - '0', &number))
            return false;
    }
    *value = negative ? -number : number;
    return true;
}

/* ---- One value ---- */

/* Index of a word in a list separated by blanks, or -1. */
static int64_t find_word(const char *list, const char *word, size_t length)
{
    for (int64_t index = 0; *list != '\0'; index++) {
        const size_t here = strcspn(list, " ");
        if (here == length && memcmp(list, word, length) == 0)
            return index;
        list += here + (list[here] == ' ');
    }
    return -1;
}

static bool read_value(const lcvi_option *row, const char *text, size_t length, lcvi_option_value *value)
{
    const char *end = text + length;
    *value = (lcvi_option_value){0};
    if (length >= LCVI_OPTION_TEXT)
        return false;
    memcpy(value->text, text, length);
    if (row->type == LCV_OPTION_CHOICE) {
        value->integer = find_word(row->choices, text, length);
        return value->integer >= 0;
    }
    if (row->type == LCV_OPTION_REAL)
        return lcvi_parse_real(text, end, &value->real) && value->real >= row->least &&
               value->real <= row->most;
    if (!parse_integer(text, end, &value->integer))
        return false;
    value->real = (double)value->integer;
    return value->real >= row->least && value->real <= row->most;
}

static const char *type_name(lcv_option_type type)
{
    return type == LCV_OPTION_INTEGER ? "an integer" : "a number";
}

static void print_expected(const lcvi_option *row, char *text, size_t size)
{
    if (row->type == LCV_OPTION_CHOICE)
        snprintf(text, size, "one of: %s", row->choices);
    else if (row->type == LCV_OPTION_BOOLEAN)
        snprintf(text, size, "0 or 1");
    else if (isinf(row->least) && isinf(row->most))
        snprintf(text, size, "%s", type_name(row->type));
    else if (isinf(row->most))
        snprintf(text, size, "%s >= %g", type_name(row->type), row->least);
    else
        snprintf(text, size, "%s from %g to %g", type_name(row->type), row->least, row->most);
}

static lcv_status refuse_value(lcv_context *context, const lcvi_option *row, const char *text, size_t length)
{
    char expected[256];
    print_expected(row, expected, sizeof expected);
    return lcvi_fail(context, LCV_INVALID_ARG, "options: %s: expected %s, given \"%.*s\"", row->name,
                     expected, (int)(length < 64 ? length : 64), text);
}

/* ---- The whole text ---- */

static int32_t find_option(const lcvi_option_table *table, const char *name, size_t length)
{
    for (int32_t i = 0; i < table->count; i++)
        if (strlen(table->rows[i].name) == length && memcmp(table->rows[i].name, name, length) == 0)
            return i;
    return -1;
}

static lcv_status refuse_name(lcv_context *context, const lcvi_option_table *table, const char *name,
                              size_t length)
{
    char names[320] = "";
    size_t used = 0;
    for (int32_t i = 0; i < table->count && used < sizeof names; i++)
        used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", i > 0 ? " " : "",
                                 table->rows[i].name);
    return lcvi_fail(context, LCV_INVALID_ARG, "options: there is no option \"%.*s\"; expected %s%s",
                     (int)(length < 64 ? length : 64), name, table->count > 0 ? "one of: " : "none", names);
}

static lcv_status parse_one(lcv_context *context, const lcvi_option_table *table, const char *text,
                            size_t length, lcvi_option_value *values, uint32_t *seen)
{
    const char *equals = memchr(text, '=', length);
    if (equals == NULL)
        return lcvi_fail(context, LCV_INVALID_ARG, "options: expected NAME=VALUE, given \"%.*s\"",
                         (int)(length < 64 ? length : 64), text);
    const size_t name_length = (size_t)(equals - text);
    const size_t value_length = length - name_length - 1;
    const int32_t index = find_option(table, text, name_length);
    if (index < 0)
        return refuse_name(context, table, text, name_length);
    if ((*seen >> index & 1u) != 0)
        return lcvi_fail(context, LCV_INVALID_ARG, "options: %s: given twice", table->rows[index].name);
    *seen |= (uint32_t)1 << index;
    if (!read_value(&table->rows[index], equals + 1, value_length, &values[index]))
        return refuse_value(context, &table->rows[index], equals + 1, value_length);
    return LCV_OK;
}

static lcv_status set_defaults(lcv_context *context, const lcvi_option_table *table,
                               lcvi_option_value *values)
{
    if (table->count > LCVI_MAX_OPTIONS)
        return lcvi_fail(context, LCV_INTERNAL, "options: the table has too many rows");
    for (int32_t i = 0; i < table->count; i++) {
        const lcvi_option *row = &table->rows[i];
        if (!read_value(row, row->default_text, strlen(row->default_text), &values[i]))
            return lcvi_fail(context, LCV_INTERNAL, "options: %s: its default \"%s\" is not valid", row->name,
                             row->default_text);
    }
    return LCV_OK;
}

lcv_status lcvi_options_parse(lcv_context *context, const lcvi_option_table *table, const char *text,
                              lcvi_option_value *values)
{
    uint32_t seen = 0;
    lcv_status status = set_defaults(context, table, values);
    while (status == LCV_OK && text != NULL) {
        text += strspn(text, separators);
        const size_t length = strcspn(text, separators);
        if (length == 0)
            break;
        status = parse_one(context, table, text, length, values, &seen);
        text += length;
    }
    return status;
}

size_t lcvi_options_print(const lcvi_option_table *table, const lcvi_option_value *values, char *text,
                          size_t size)
{
    size_t used = 0;
    if (size > 0)
        text[0] = '\0';
    for (int32_t i = 0; i < table->count; i++) {
        const size_t left = used < size ? size - used : 0;
        const int length = snprintf(left > 0 ? text + used : NULL, left, "%s%s=%s", i > 0 ? " " : "",
                                    table->rows[i].name, values[i].text);
        used += length > 0 ? (size_t)length : 0;
    }
    return used + 1;
}

/* ---- Keys ---- */

int64_t lcvi_option_key(const lcvi_option *row, const lcvi_option_value *value)
{
    int64_t bits = 0;
    if (row->type != LCV_OPTION_REAL)
        return value->integer;
    if (value->real < 0.0 || value->real > 0.0) /* both zeros are one value */
        memcpy(&bits, &value->real, sizeof bits);
    return bits;
}

/* Word `index` of a list separated by blanks, and its length; NULL: there is none. */
static const char *word_at(const char *list, int64_t index, size_t *length)
{
    for (; index >= 0 && *list != '\0'; index--) {
        *length = strcspn(list, " ");
        if (index == 0)
            return list;
        list += *length + (list[*length] == ' ');
    }
    return NULL;
}

void lcvi_option_print_key(const lcvi_option *row, int64_t key, char *text, size_t size)
{
    size_t length = 0;
    double real;
    const char *word = row->type == LCV_OPTION_CHOICE ? word_at(row->choices, key, &length) : NULL;
    memcpy(&real, &key, sizeof real);
    if (word != NULL)
        snprintf(text, size, "%.*s", (int)length, word);
    else if (row->type == LCV_OPTION_REAL)
        snprintf(text, size, "%.17g", real);
    else
        snprintf(text, size, "%lld", (long long)key);
}

lcv_status lcvi_options_describe(lcv_context *context, const lcvi_option_table *table, int32_t index,
                                 lcv_option_info *info)
{
    if (index < 0 || index >= table->count)
        return lcvi_fail(context, LCV_INVALID_ARG, "option: expected 0 to %d, given %d", table->count - 1,
                         index);
    if (info == NULL)
        return lcvi_fail(context, LCV_INVALID_ARG, "info: is NULL");
    const lcvi_option *row = &table->rows[index];
    const lcv_option_info full = {
        .struct_size = sizeof full,
        .name = row->name,
        .type = row->type,
        .default_text = row->default_text,
        .least = row->least,
        .most = row->most,
        .choices = row->choices,
        .help = row->help,
    };
    return lcvi_hand_out(context, "info", info, &full, sizeof full, sizeof full);
}
