/* SPDX-License-Identifier: BSD-3-Clause */
#include "problem.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- The words: one row each; parser and printer both read this table ---- */

typedef enum {
    FIELD_MODE,
    FIELD_LAG,
    FIELD_FORM,
    FIELD_TERM,
    FIELD_ACTIVATION,
    FIELD_ORDER,
    FIELD_LAYOUT,
    FIELD_INPLACE,
    FIELD_PASSES
} field;

enum {
    IN_CONV = 1 << PROBLEM_CONV,
    IN_SHORT = 1 << PROBLEM_SHORT_CONV,
    IN_GATE = 1 << PROBLEM_GATE,
    IN_FILTER = 1 << PROBLEM_FILTER,
    IN_MIXER = 1 << PROBLEM_MIXER,
    IN_DATA = IN_CONV | IN_SHORT | IN_GATE | IN_MIXER,
    IN_ALL = IN_DATA | IN_FILTER
};

typedef struct {
    const char *text;
    field field;
    unsigned value;
    unsigned kinds; /* IN_* */
} word;

static const word words[] = {
    {"causal", FIELD_MODE, LCV_CONV_CAUSAL, IN_CONV},
    {"anticausal", FIELD_MODE, LCV_CONV_ANTICAUSAL, IN_CONV},
    {"twosided", FIELD_MODE, LCV_CONV_TWOSIDED, IN_CONV},
    {"circular", FIELD_MODE, LCV_CONV_CIRCULAR, IN_CONV},
    {"lag0", FIELD_LAG, 0, IN_CONV},
    {"lag1", FIELD_LAG, 1, IN_CONV},
    {"shared", FIELD_FORM, LCV_FILTER_SHARED, IN_CONV},
    {"persample", FIELD_FORM, LCV_FILTER_PER_SAMPLE, IN_CONV},
    {"order=fir", FIELD_ORDER, LCV_TAPS_FIR, IN_SHORT},
    {"order=correlation", FIELD_ORDER, LCV_TAPS_CORRELATION, IN_SHORT},
    {"skip", FIELD_TERM, LCV_TERM_SKIP, IN_CONV},
    {"bias", FIELD_TERM, LCV_TERM_BIAS, IN_CONV | IN_SHORT},
    {"gated", FIELD_TERM, LCV_TERM_PRE_GATE | LCV_TERM_POST_GATE, IN_CONV},
    {"pre", FIELD_TERM, LCV_TERM_PRE_GATE, IN_CONV},
    {"post", FIELD_TERM, LCV_TERM_POST_GATE, IN_CONV},
    {"act=gelu", FIELD_ACTIVATION, LCV_ACTIVATION_GELU, IN_CONV | IN_SHORT},
    {"act=gelu_tanh", FIELD_ACTIVATION, LCV_ACTIVATION_GELU_TANH, IN_CONV | IN_SHORT},
    {"act=silu", FIELD_ACTIVATION, LCV_ACTIVATION_SILU, IN_CONV | IN_SHORT},
    {"state", FIELD_TERM, LCV_TERM_STATE, IN_CONV | IN_SHORT},
    {"bld", FIELD_LAYOUT, LCV_LAYOUT_BLD, IN_CONV | IN_SHORT},
    {"bdl", FIELD_LAYOUT, LCV_LAYOUT_BDL, IN_CONV | IN_SHORT},
    {"inplace", FIELD_INPLACE, 1, IN_CONV},
    {"fwd", FIELD_PASSES, PROBLEM_FORWARD, IN_ALL},
    {"bwd", FIELD_PASSES, PROBLEM_BACKWARD, IN_ALL},
    {"fwdbwd", FIELD_PASSES, PROBLEM_FORWARD | PROBLEM_BACKWARD, IN_ALL},
};

enum { WORD_COUNT = sizeof words / sizeof words[0] };

/* What a problem string may set once. */
typedef struct {
    bool batch, channels, seqlen, filter_len, filter_future_len, groups, chunk, taps;
    bool field[FIELD_PASSES + 1];
    uint32_t terms;
} given;

typedef struct {
    problem *p;
    given given;
    char *message;
    size_t message_bytes;
} parser;

LCV_PRINTF(2, 3) static bool fail(parser *s, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    vsnprintf(s->message, s->message_bytes, format, list);
    va_end(list);
    return false;
}

/* ---- Numbers ---- */

static bool parse_whole(const char *text, uint64_t max, uint64_t *out)
{
    char *end;
    if (*text < '0' || *text > '9')
        return false;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno != 0 || *end != '\0' || value > max)
        return false;
    *out = value;
    return true;
}

static bool parse_length(parser *s, const char *text, const char *digits, int64_t least, bool *once,
                         int64_t *out)
{
    uint64_t value;
    if (*once)
        return fail(s, "'%s': given twice", text);
    if (!parse_whole(digits, INT64_MAX, &value) || (int64_t)value < least)
        return fail(s, "'%s': expected a whole number, at least %" PRId64 ", after the letters", text, least);
    *once = true;
    *out = (int64_t)value;
    return true;
}

/* ---- The words between colons ---- */

static bool set_term(parser *s, const word *w)
{
    if ((s->given.terms & w->value) != 0)
        return fail(s, "'%s': given twice", w->text);
    s->given.terms |= w->value;
    s->p->terms |= w->value;
    return true;
}

static bool set_word(parser *s, const word *w)
{
    problem *p = s->p;
    if (w->field == FIELD_TERM)
        return set_term(s, w);
    if (s->given.field[w->field])
        return fail(s, "'%s': contradicts or repeats an earlier word", w->text);
    s->given.field[w->field] = true;
    switch (w->field) {
    case FIELD_MODE:
        p->mode = (lcv_conv_mode)w->value;
        break;
    case FIELD_LAG:
        p->future_first_lag = (int64_t)w->value;
        break;
    case FIELD_FORM:
        p->filter_form = (lcv_filter_form)w->value;
        break;
    case FIELD_ACTIVATION:
        p->activation = (lcv_activation)w->value;
        break;
    case FIELD_ORDER:
        p->tap_order = (lcv_tap_order)w->value;
        break;
    case FIELD_LAYOUT:
        p->layout = (lcv_layout)w->value;
        break;
    case FIELD_INPLACE:
        p->inplace = true;
        break;
    case FIELD_PASSES:
        p->passes = w->value;
        break;
    case FIELD_TERM:
        break;
    }
    return true;
}

static bool parse_groups(parser *s, const char *text)
{
    if (s->given.field[FIELD_FORM])
        return fail(s, "'%s': contradicts an earlier form of the filter", text);
    s->given.field[FIELD_FORM] = true;
    s->p->filter_form = LCV_FILTER_GROUPED;
    return parse_length(s, text, text + 1, 1, &s->given.groups, &s->p->filter_groups);
}

/* A word that carries a number: its letters, its kinds of problem, where it goes. */
static bool parse_numbered(parser *s, const char *text)
{
    problem *p = s->p;
    given *g = &s->given;
    const struct {
        const char *letters;
        unsigned kinds;
        int64_t least;
        bool *once;
        int64_t *out;
    } rows[] = {
        {"taps=", IN_SHORT, 1, &g->taps, &p->filter_len},
        {"chunk", IN_CONV, 1, &g->chunk, &p->chunk},
        {"kf", IN_CONV, 0, &g->filter_future_len, &p->filter_future_len},
        {"k", IN_CONV, 0, &g->filter_len, &p->filter_len},
        {"b", IN_DATA, 0, &g->batch, &p->batch},
        {"d", IN_ALL, 0, &g->channels, &p->channels},
        {"l", IN_ALL, 0, &g->seqlen, &p->seqlen},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const size_t letters = strlen(rows[i].letters);
        if ((rows[i].kinds & 1u << p->kind) != 0 && strncmp(text, rows[i].letters, letters) == 0)
            return parse_length(s, text, text + letters, rows[i].least, rows[i].once, rows[i].out);
    }
    if (p->kind == PROBLEM_CONV && text[0] == 'g')
        return parse_groups(s, text);
    return fail(s, "'%s': not a word of this kind of problem", text);
}

/* Has the problem's mixer an option of this name? */
static bool is_mixer_option(const problem *p, const char *name, size_t length)
{
    const int32_t mixer = lcv_mixer_find(p->name);
    lcv_mixer_info info = {.struct_size = sizeof info};
    lcv_option_info option = {.struct_size = sizeof option};
    if (lcv_mixer_describe(mixer, &info) != LCV_OK)
        return false;
    for (int32_t i = 0; i < info.option_count; i++)
        if (lcv_mixer_option(mixer, i, &option) == LCV_OK && strlen(option.name) == length &&
            strncmp(option.name, name, length) == 0)
            return true;
    return false;
}

/* NAME=VALUE, whose meaning only the library knows. Values are looked at when a plan is made. */
static bool add_option(parser *s, const char *text)
{
    problem *p = s->p;
    if (p->kind == PROBLEM_MIXER && !is_mixer_option(p, text, strcspn(text, "=")))
        return fail(s, "'%s': %s has no such option", text, p->name);
    const size_t used = strlen(p->options), length = strlen(text);
    if (used + length + 2 > sizeof p->options)
        return fail(s, "'%.40s': the options are longer than %d letters", text, PROBLEM_OPTIONS_MAX - 1);
    snprintf(p->options + used, sizeof p->options - used, "%s%s", used > 0 ? ":" : "", text);
    return true;
}

static bool parse_word(parser *s, const char *text)
{
    if ((s->p->kind == PROBLEM_FILTER || s->p->kind == PROBLEM_MIXER) && strchr(text, '=') != NULL)
        return add_option(s, text);
    for (size_t i = 0; i < WORD_COUNT; i++)
        if (strcmp(text, words[i].text) == 0 && (words[i].kinds & 1u << s->p->kind) != 0)
            return set_word(s, &words[i]);
    return parse_numbered(s, text);
}

static bool parse_dtype(parser *s, const char *text)
{
    for (int dtype = LCV_F32; dtype <= LCV_BF16; dtype++)
        if (text != NULL && strcmp(text, lcv_dtype_name((lcv_dtype)dtype)) == 0) {
            s->p->dtype = (lcv_dtype)dtype;
            return true;
        }
    return fail(s, "'%s': expected a dtype: f32, f64, f16 or bf16", text == NULL ? "" : text);
}

/* ---- The head ---- */

/* Cuts the next word off *rest at a colon; NULL at the end. Empty words are kept: they are errors. */
static char *next_word(char **rest)
{
    char *start = *rest;
    if (start == NULL)
        return NULL;
    char *colon = strchr(start, ':');
    *rest = colon == NULL ? NULL : colon + 1;
    if (colon != NULL)
        *colon = '\0';
    return start;
}

static bool parse_operator(parser *s, const char *name)
{
    if (name == NULL)
        return fail(s, "'op:': expected short_conv, gate or a mixer after it");
    if (strcmp(name, "short_conv") == 0)
        s->p->kind = PROBLEM_SHORT_CONV;
    else if (strcmp(name, "gate") == 0)
        s->p->kind = PROBLEM_GATE;
    else if (lcv_mixer_find(name) >= 0)
        s->p->kind = PROBLEM_MIXER;
    else
        return fail(s, "'op:%s': expected short_conv, gate or a mixer (hyena, h3, ...)", name);
    if (s->p->kind == PROBLEM_MIXER)
        snprintf(s->p->name, sizeof s->p->name, "%s", name);
    return true;
}

static bool parse_family(parser *s, const char *name)
{
    if (lcv_filter_family_find(name) < 0 || strlen(name) >= PROBLEM_NAME_MAX)
        return fail(s, "'filter:%.40s': there is no filter family of this name; see 'longconv filter --list'",
                    name == NULL ? "" : name);
    s->p->kind = PROBLEM_FILTER;
    s->p->batch = 1;
    s->given.batch = true;
    strcpy(s->p->name, name);
    return true;
}

static bool parse_kind(parser *s, char **rest)
{
    const char *kind = next_word(rest);
    if (strcmp(kind, "conv") == 0) {
        s->p->kind = PROBLEM_CONV;
        return true;
    }
    if (strcmp(kind, "op") == 0)
        return parse_operator(s, next_word(rest));
    if (strcmp(kind, "filter") == 0)
        return parse_family(s, next_word(rest));
    return fail(s, "'%s': expected conv, op or filter", kind);
}

static bool complete(parser *s)
{
    problem *p = s->p;
    const given *g = &s->given;
    if (!g->batch || !g->channels || !g->seqlen)
        return fail(s, "'%s': missing; a problem needs all of bB:dD:lL",
                    !g->batch      ? "b"
                    : !g->channels ? "d"
                                   : "l");
    if (p->kind == PROBLEM_FILTER && p->dtype != LCV_F32 && p->dtype != LCV_F64)
        return fail(s, "'%s': expected f32 or f64 for a filter", lcv_dtype_name(p->dtype));
    if (p->kind == PROBLEM_CONV && !g->filter_len)
        p->filter_len = p->seqlen;
    if (p->mode == LCV_CONV_TWOSIDED && !g->filter_future_len)
        p->filter_future_len = p->filter_len;
    if (p->mode != LCV_CONV_TWOSIDED && (g->filter_future_len || g->field[FIELD_LAG]))
        return fail(s, "'%s': only with twosided", g->filter_future_len ? "kf" : "lag");
    if (p->chunk > 0 && p->mode != LCV_CONV_CAUSAL)
        return fail(s, "'chunk%" PRId64 "': only with causal", p->chunk);
    return true;
}

static bool parse_head(parser *s, char *head)
{
    char *rest = head;
    if (!parse_kind(s, &rest) || !parse_dtype(s, next_word(&rest)))
        return false;
    if (s->p->kind == PROBLEM_SHORT_CONV)
        s->p->filter_len = 3;
    for (char *text = next_word(&rest); text != NULL; text = next_word(&rest))
        if (!parse_word(s, text))
            return false;
    return complete(s);
}

/* ---- The options behind it ---- */

static bool copy_name(parser *s, const char *text, const char *value, char *out)
{
    if (*value == '\0' || strlen(value) >= PROBLEM_NAME_MAX)
        return fail(s, "'%s': expected a name of 1 to %d letters after '='", text, PROBLEM_NAME_MAX - 1);
    strcpy(out, value);
    return true;
}

static bool parse_option(parser *s, const char *text)
{
    problem *p = s->p;
    uint64_t number;
    if (strncmp(text, "backend=", 8) == 0)
        return copy_name(s, text, text + 8, p->backend);
    if (strncmp(text, "engine=", 7) == 0)
        return copy_name(s, text, text + 7, p->engine);
    if (strncmp(text, "vs=", 3) == 0)
        return copy_name(s, text, text + 3, p->vs);
    if (strncmp(text, "threads=", 8) == 0) {
        if (!parse_whole(text + 8, INT32_MAX, &number) || number == 0)
            return fail(s, "'%s': expected a whole number, at least 1", text);
        p->threads = (int32_t)number;
        return true;
    }
    if (strncmp(text, "seed=", 5) == 0)
        return parse_whole(text + 5, UINT64_MAX, &p->seed) ||
               fail(s, "'%s': expected a whole number, at least 0", text);
    return fail(s, "'%s': expected backend=, engine=, vs=, threads= or seed=", text);
}

bool problem_parse(const char *text, problem *out, char *message, size_t message_bytes)
{
    static const char blanks[] = " \t\r\n";
    char copy[PROBLEM_TEXT_MAX];
    parser s = {out, {0}, message, message_bytes};
    char *rest = NULL;
    if (strlen(text) >= sizeof copy)
        return fail(&s, "the problem is longer than %d letters", PROBLEM_TEXT_MAX - 1);
    strcpy(copy, text);
    *out = (problem){.passes = PROBLEM_FORWARD, .future_first_lag = 1, .seed = 1};
    char *head = strtok_r(copy, blanks, &rest);
    if (head == NULL)
        return fail(&s, "the problem is empty");
    if (!parse_head(&s, head))
        return false;
    for (char *option = strtok_r(NULL, blanks, &rest); option != NULL; option = strtok_r(NULL, blanks, &rest))
        if (!parse_option(&s, option))
            return false;
    return true;
}

/* ---- Printing ---- */

LCV_PRINTF(2, 3) static void append(char *text, const char *format, ...)
{
    const size_t used = strlen(text);
    va_list list;
    va_start(list, format);
    vsnprintf(text + used, PROBLEM_TEXT_MAX - used, format, list);
    va_end(list);
}

/* Appends the word that stands for `value`, if this kind of problem has one. */
static void append_word(char *text, const problem *p, field wanted, unsigned value)
{
    for (size_t i = 0; i < WORD_COUNT; i++)
        if (words[i].field == wanted && words[i].value == value && (words[i].kinds & 1u << p->kind) != 0)
            append(text, ":%s", words[i].text);
}

static void append_terms(char *text, const problem *p)
{
    uint32_t left = p->terms;
    for (size_t i = 0; i < WORD_COUNT; i++)
        if (words[i].field == FIELD_TERM && words[i].value != LCV_TERM_STATE &&
            (left & words[i].value) == words[i].value) {
            append(text, ":%s", words[i].text);
            left &= ~words[i].value;
        }
}

static void append_filter(char *text, const problem *p)
{
    append(text, ":k%" PRId64, p->filter_len);
    if (p->mode == LCV_CONV_TWOSIDED)
        append(text, ":kf%" PRId64, p->filter_future_len);
    append_word(text, p, FIELD_MODE, p->mode);
    if (p->mode == LCV_CONV_TWOSIDED && p->future_first_lag != 1)
        append_word(text, p, FIELD_LAG, (unsigned)p->future_first_lag);
    if (p->filter_form == LCV_FILTER_GROUPED)
        append(text, ":g%" PRId64, p->filter_groups);
    else if (p->filter_form != LCV_FILTER_PER_CHANNEL)
        append_word(text, p, FIELD_FORM, p->filter_form);
}

static void append_options(char *text, const problem *p)
{
    const struct {
        const char *name, *value;
    } rows[] = {{"backend", p->backend}, {"engine", p->engine}, {"vs", p->vs}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].value[0] != '\0')
            append(text, " %s=%s", rows[i].name, rows[i].value);
    if (p->threads != 0)
        append(text, " threads=%" PRId32, p->threads);
    if (p->seed != 1)
        append(text, " seed=%" PRIu64, p->seed);
}

const char *problem_print(const problem *p, bool with_options, char *text)
{
    static const char *const kinds[] = {[PROBLEM_CONV] = "conv",
                                        [PROBLEM_SHORT_CONV] = "op:short_conv",
                                        [PROBLEM_GATE] = "op:gate",
                                        [PROBLEM_FILTER] = "filter:",
                                        [PROBLEM_MIXER] = "op:"};
    text[0] = '\0';
    if (p->kind == PROBLEM_FILTER)
        append(text, "filter:%s:%s:d%" PRId64 ":l%" PRId64 "%s%s", p->name, lcv_dtype_name(p->dtype),
               p->channels, p->seqlen, p->options[0] != '\0' ? ":" : "", p->options);
    else
        append(text, "%s%s:%s:b%" PRId64 ":d%" PRId64 ":l%" PRId64 "%s%s", kinds[p->kind], p->name,
               lcv_dtype_name(p->dtype), p->batch, p->channels, p->seqlen, p->options[0] != '\0' ? ":" : "",
               p->options);
    if (p->kind == PROBLEM_CONV)
        append_filter(text, p);
    if (p->kind == PROBLEM_SHORT_CONV) {
        append(text, ":taps=%" PRId64, p->filter_len);
        append_word(text, p, FIELD_ORDER, p->tap_order);
    }
    append_terms(text, p);
    append_word(text, p, FIELD_ACTIVATION, p->activation);
    if ((p->terms & LCV_TERM_STATE) != 0)
        append(text, ":state");
    if (p->chunk > 0)
        append(text, ":chunk%" PRId64, p->chunk);
    if (p->layout != LCV_LAYOUT_BDL)
        append_word(text, p, FIELD_LAYOUT, p->layout);
    if (p->inplace)
        append(text, ":inplace");
    if (p->passes != PROBLEM_FORWARD)
        append_word(text, p, FIELD_PASSES, p->passes);
    if (with_options)
        append_options(text, p);
    return text;
}

/* ---- Facts ---- */

problem problem_with_dtype(const problem *p, lcv_dtype dtype)
{
    problem copy = *p;
    copy.dtype = dtype;
    return copy;
}

int64_t problem_filters(const problem *p)
{
    lcv_conv_params params = LCV_CONV_PARAMS_INIT;
    params.filter_form = p->filter_form;
    params.filter_groups = p->filter_groups;
    params.batch = p->batch;
    params.channels = p->channels;
    return lcv_conv_filter_count(&params);
}

const char *problem_name_or_auto(const char *name)
{
    return name[0] == '\0' ? NULL : name;
}

int64_t problem_rows(const problem *p)
{
    return p->batch * p->channels;
}

int64_t problem_filter_of(const problem *p, int64_t b, int64_t c)
{
    switch (p->filter_form) {
    case LCV_FILTER_SHARED:
        return 0;
    case LCV_FILTER_GROUPED:
        return p->channels < p->filter_groups ? 0 : c / (p->channels / p->filter_groups);
    case LCV_FILTER_PER_SAMPLE:
        return b * p->channels + c;
    case LCV_FILTER_PER_CHANNEL:
        break;
    }
    return c;
}

int64_t problem_state_len(const problem *p)
{
    return p->filter_len > 1 ? p->filter_len - 1 : 0;
}

uint32_t problem_grad_mask(const problem *p)
{
    const struct {
        uint32_t term, grad;
    } rows[] = {
        {LCV_TERM_SKIP, LCV_GRAD_SKIP},         {LCV_TERM_BIAS, LCV_GRAD_BIAS},
        {LCV_TERM_PRE_GATE, LCV_GRAD_PRE_GATE}, {LCV_TERM_POST_GATE, LCV_GRAD_POST_GATE},
        {LCV_TERM_STATE, LCV_GRAD_STATE},
    };
    if (p->kind == PROBLEM_FILTER)
        return 0;
    if (p->kind == PROBLEM_GATE)
        return LCV_GRAD_U | LCV_GRAD_PRE_GATE;
    uint32_t mask = LCV_GRAD_U | LCV_GRAD_FILTER;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if ((p->terms & rows[i].term) != 0)
            mask |= rows[i].grad;
    return p->mode == LCV_CONV_TWOSIDED ? mask | LCV_GRAD_FILTER_FUTURE : mask;
}

double problem_direct_cost(const problem *p)
{
    const double taps = (double)p->filter_len + (double)p->filter_future_len + 1.0;
    /* Behind an activation z, then the gradients by input and taps. */
    const double maps = (p->passes & PROBLEM_BACKWARD) != 0 ? 4.0 : 1.0;
    const bool is_triangle = p->mode == LCV_CONV_CAUSAL && p->filter_len >= p->seqlen;
    return (double)p->batch * (double)p->channels * (double)p->seqlen * taps * maps *
           (is_triangle ? 0.5 : 1.0);
}
