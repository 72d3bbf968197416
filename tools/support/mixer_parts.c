/* SPDX-License-Identifier: BSD-3-Clause */
#include "mixer_parts.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VALUE_MAX = 64 };

/* ---- Options ---- */

static const char *default_text(const problem *p, const char *name)
{
    const int32_t mixer = lcv_mixer_find(p->name);
    lcv_mixer_info info = {.struct_size = sizeof info};
    if (lcv_mixer_describe(mixer, &info) != LCV_OK)
        return "";
    for (int32_t i = 0; i < info.option_count; i++) {
        lcv_option_info option = {.struct_size = sizeof option};
        if (lcv_mixer_option(mixer, i, &option) == LCV_OK && strcmp(option.name, name) == 0)
            return option.default_text;
    }
    return "";
}

const char *mixer_option_text(const problem *p, const char *name)
{
    static _Thread_local char value[VALUE_MAX];
    const size_t length = strlen(name);
    for (const char *word = p->options; *word != '\0'; word += strspn(word, ":")) {
        const size_t end = strcspn(word, ":");
        if (strncmp(word, name, length) == 0 && word[length] == '=') {
            snprintf(value, sizeof value, "%.*s", (int)(end - length - 1), word + length + 1);
            return value;
        }
        word += end;
    }
    return default_text(p, name);
}

static int64_t number(const problem *p, const char *name)
{
    return strtoll(mixer_option_text(p, name), NULL, 10);
}

static bool has(const problem *p, const char *name, const char *word)
{
    return strcmp(mixer_option_text(p, name), word) == 0;
}

/* ---- Parts ---- */

typedef struct {
    const problem *whole;
    mixer_part *parts;
    int count;
} list;

/* A problem of the whole's dtype, batch, seqlen, passes, backend and threads. */
LCV_PRINTF(6, 7)
static void add(list *l, int64_t times, const char *kind, int64_t channels, const char *engine,
                const char *format, ...)
{
    char text[PROBLEM_TEXT_MAX], message[256];
    const problem *p = l->whole;
    const int used = snprintf(text, sizeof text, "%s:%s:b%" PRId64 ":d%" PRId64 ":l%" PRId64, kind,
                              lcv_dtype_name(p->dtype), p->batch, channels, p->seqlen);
    va_list values;
    va_start(values, format);
    vsnprintf(text + used, sizeof text - (size_t)used, format, values);
    va_end(values);
    mixer_part *part = &l->parts[l->count];
    if (times == 0 || l->count == MIXER_PARTS_MAX || !problem_parse(text, &part->p, message, sizeof message))
        return;
    part->times = times;
    part->p.passes = p->passes;
    part->p.threads = p->threads;
    part->p.measured = p->measured;
    snprintf(part->p.backend, sizeof part->p.backend, "%s", p->backend);
    snprintf(part->p.engine, sizeof part->p.engine, "%s", engine);
    l->count++;
}

static bool projects(const problem *p, const char *side)
{
    return has(p, "projections", "both") || has(p, "projections", side);
}

/* Channels last, where a part begins or ends at data of the caller's. */
static const char *layout_at(const problem *p, const char *side)
{
    return projects(p, side) || has(p, "layout", "bdl") ? "" : ":bld";
}

static void add_projections(list *l, bool in, int64_t width)
{
    const problem *p = l->whole;
    const char *bias = mixer_option_text(p, "projection_bias")[0] == '0' ? ":bias=0" : "";
    const bool wanted = projects(p, in ? "in" : "out");
    const bool bdl = has(p, "layout", "bdl");
    if (wanted && in)
        add(l, 1, "op:projection", p->channels, "", ":width=%" PRId64 "%s:out_layout=bdl%s", width,
            bdl ? ":layout=bdl" : "", bias);
    else if (wanted)
        add(l, 1, "op:projection", p->channels, "", ":layout=bdl%s%s", bdl ? ":out_layout=bdl" : "", bias);
}

static int64_t filter_len(const problem *p)
{
    const int64_t taps = number(p, "filter_len");
    return taps > 0 ? taps : p->seqlen;
}

static void add_hyena(list *l)
{
    const problem *p = l->whole;
    const int64_t order = number(p, "order"), taps = number(p, "short_taps");
    const char *skip = has(p, "skip", "1") ? ":skip" : "";
    add_projections(l, true, (order + 1) * p->channels);
    if (taps > 0)
        add(l, 1, "op:short_conv", (order + 1) * p->channels, "", ":taps=%" PRId64 ":order=%s%s%s", taps,
            mixer_option_text(p, "tap_order"), has(p, "short_bias", "1") ? ":bias" : "", layout_at(p, "in"));
    add(l, order - 2, "conv", p->channels, p->engine, ":k%" PRId64 ":pre%s", filter_len(p), skip);
    add(l, 1, "conv", p->channels, p->engine, ":k%" PRId64 ":gated%s%s", filter_len(p), skip,
        layout_at(p, "out"));
    add_projections(l, false, 0);
}

static void add_h3(list *l)
{
    const problem *p = l->whole;
    const int64_t d = number(p, "head_dim");
    add_projections(l, true, 3 * p->channels);
    add(l, 1, "conv", p->channels, p->engine, ":k%" PRId64 ":skip", number(p, "shift_len"));
    add(l, d * d, "conv", p->channels / d, p->engine, ":k%" PRId64 ":gated:skip", filter_len(p));
    add_projections(l, false, 0);
}

int mixer_parts_of(const problem *p, mixer_part parts[MIXER_PARTS_MAX])
{
    static const struct {
        const char *mixer;
        void (*add)(list *);
    } rows[] = {{"hyena", add_hyena}, {"h3", add_h3}};
    list l = {p, parts, 0};
    for (size_t i = 0; p->kind == PROBLEM_MIXER && i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(p->name, rows[i].mixer) == 0)
            rows[i].add(&l);
    return l.count;
}
