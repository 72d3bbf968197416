/* SPDX-License-Identifier: BSD-3-Clause */
/* What FFTW learnt, out and in, under the planner's lock. */
#include "cpu_planning.h"
#include "cpu_conv.h"

#ifndef LCV_CPU_HAVE_FFTW

static lcv_status refuse(void *device)
{
    const lcv_backend_host *host = ((lcv_cpu_device *)device)->host;
    return host->fail(host, LCV_UNSUPPORTED,
                      "cpu backend: built without FFTW, whose engine is the one that learns");
}

lcv_status lcv_cpu_planning_export(void *device, char *text, size_t size, size_t *needed)
{
    (void)text;
    (void)size;
    (void)needed;
    return refuse(device);
}

lcv_status lcv_cpu_planning_import(void *device, const char *text, size_t length)
{
    (void)text;
    (void)length;
    return refuse(device);
}

#else

#include "cpu_fftw.h"
#include "cpu_planner.h"
#include "cpu_wisdom.h"

#include <stdio.h>
#include <string.h>

static const lcv_cpu_fftw_memory *const memories[LCV_CPU_WISDOM_PARTS] = {&lcv_cpu_fftw_memory_f32,
                                                                          &lcv_cpu_fftw_memory_f64};

/* ---- Export ---- */

/* Takes FFTW's text by lines. What goes beyond `room` is counted and not written. */
typedef struct {
    char *bytes;
    size_t room, count;
    uint32_t crc;
    int part;
    size_t line_length;
    char line[LCV_CPU_WISDOM_LINE];
} sink;

static void emit(sink *s, const char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++, s->count++) {
        if (s->count < s->room)
            s->bytes[s->count] = bytes[i];
        s->crc = lcv_cpu_wisdom_crc(s->crc, bytes[i]);
    }
}

/* Entries that the reader would not take, such as another user's plan that ran out of time, are left out. */
static void emit_line(sink *s)
{
    const size_t length = s->line_length;
    s->line_length = 0;
    if (length >= sizeof s->line)
        return;
    if (s->line[0] == ' ' && !lcv_cpu_wisdom_is_entry(s->line, length, s->part))
        return;
    s->line[length] = '\n';
    emit(s, s->line, length + 1);
}

static void put(char byte, void *arg)
{
    sink *s = arg;
    if (byte == '\n')
        emit_line(s);
    else if (s->line_length < sizeof s->line)
        s->line[s->line_length++] = byte;
}

/* Writes one part to at most `room` bytes; `count` and `crc` of the answer are those of all of it. */
static sink take_part(int part, char *bytes, size_t room)
{
    sink s = {.bytes = bytes, .room = room, .part = part};
    memories[part]->write(put, &s);
    return s;
}

/* Title, headings and parts, and the NUL; the same counting as in `emit`. */
static size_t write_text(char *text, size_t size)
{
    sink out = {.bytes = text, .room = size};
    emit(&out, LCV_CPU_WISDOM_TITLE, strlen(LCV_CPU_WISDOM_TITLE));
    for (int part = 0; part < LCV_CPU_WISDOM_PARTS; part++) {
        char heading[64];
        const sink counted = take_part(part, NULL, 0);
        emit(&out, heading,
             lcv_cpu_wisdom_heading(heading, sizeof heading, part, counted.count, counted.crc));
        const bool fits = out.count < size && size - out.count >= counted.count;
        if (fits)
            take_part(part, text + out.count, counted.count);
        out.count += counted.count;
    }
    emit(&out, "", 1);
    return out.count;
}

lcv_status lcv_cpu_planning_export(void *device, char *text, size_t size, size_t *needed)
{
    (void)device;
    lcv_cpu_planner_lock();
    *needed = write_text(NULL, 0);
    if (size >= *needed)
        write_text(text, size);
    lcv_cpu_planner_unlock();
    return LCV_OK;
}

/* ---- Import ---- */

static int get(void *arg)
{
    lcv_cpu_wisdom_text *left = arg;
    if (left->length == 0)
        return EOF;
    left->length--;
    return (unsigned char)*left->bytes++;
}

static bool give_part(int part, lcv_cpu_wisdom_text text)
{
    return memories[part]->read(get, &text);
}

/* The opening line names FFTW's version and a digest of its solvers: entries of another build mean nothing.
 */
static bool is_of_this_fftw(int part, const lcv_cpu_wisdom_text *text)
{
    char now[LCV_CPU_WISDOM_LINE];
    const sink all = take_part(part, now, sizeof now);
    const char *newline = memchr(now, '\n', all.count < sizeof now ? all.count : sizeof now);
    const size_t length = newline != NULL ? (size_t)(newline - now) + 1 : 0;
    return length > 0 && length <= text->length && memcmp(now, text->bytes, length) == 0;
}

/* What is known now, to come back to. */
typedef struct {
    char *bytes[LCV_CPU_WISDOM_PARTS];
    size_t length[LCV_CPU_WISDOM_PARTS];
} snapshot;

static void release(const lcv_backend_host *host, snapshot *s)
{
    for (int part = 0; part < LCV_CPU_WISDOM_PARTS; part++)
        host->release(host, s->bytes[part], s->length[part]);
}

static lcv_status remember(const lcv_backend_host *host, snapshot *s)
{
    *s = (snapshot){0};
    for (int part = 0; part < LCV_CPU_WISDOM_PARTS; part++) {
        s->length[part] = take_part(part, NULL, 0).count;
        s->bytes[part] = host->allocate(host, s->length[part], 1);
        if (s->bytes[part] == NULL)
            return host->fail(host, LCV_OUT_OF_MEMORY, "cpu backend: no memory for %zu bytes",
                              s->length[part]);
        take_part(part, s->bytes[part], s->length[part]);
    }
    return LCV_OK;
}

static void restore(const snapshot *s)
{
    for (int part = 0; part < LCV_CPU_WISDOM_PARTS; part++) {
        memories[part]->forget();
        give_part(part, (lcv_cpu_wisdom_text){s->bytes[part], s->length[part]});
    }
}

static lcv_status learn(const lcv_backend_host *host, const lcv_cpu_wisdom_text parts[LCV_CPU_WISDOM_PARTS])
{
    snapshot before;
    for (int part = 0; part < LCV_CPU_WISDOM_PARTS; part++)
        if (!is_of_this_fftw(part, &parts[part]))
            return host->fail(host, LCV_VERSION_MISMATCH,
                              "text: written for another version or build of FFTW (part %d)", part + 1);
    lcv_status status = remember(host, &before);
    for (int part = 0; status == LCV_OK && part < LCV_CPU_WISDOM_PARTS; part++)
        if (!give_part(part, parts[part])) {
            restore(&before);
            status =
                host->fail(host, LCV_BACKEND_FAILED,
                           "text: FFTW does not take part %d: it names a solver that there is not", part + 1);
        }
    release(host, &before);
    return status;
}

lcv_status lcv_cpu_planning_import(void *device, const char *text, size_t length)
{
    const lcv_backend_host *host = ((lcv_cpu_device *)device)->host;
    const lcv_cpu_wisdom_text whole = {text, length};
    lcv_cpu_wisdom_text parts[LCV_CPU_WISDOM_PARTS];
    lcv_cpu_wisdom_fault fault;
    if (!lcv_cpu_wisdom_read(&whole, parts, &fault))
        return host->fail(host, fault.status, "text: line %zu: %s", fault.line, fault.reason);
    lcv_cpu_planner_lock();
    const lcv_status status = learn(host, parts);
    lcv_cpu_planner_unlock();
    return status;
}

#endif
