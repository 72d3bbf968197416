/* SPDX-License-Identifier: BSD-3-Clause */
#include "svg.h"

#include "file.h"

#include <longconv/common.h>

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTH = 900, HEIGHT = 420, LEFT = 80, RIGHT = 150, TOP = 62, BOTTOM = 52, TICKS = 6 };
enum { PLOT_WIDTH = WIDTH - LEFT - RIGHT, PLOT_HEIGHT = HEIGHT - TOP - BOTTOM };

/* Distinguishable also to colour-blind readers. Source: Okabe and Ito, Color Universal Design (2008). */
static const char *const colours[SVG_MOST_LINES] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                                    "#e69f00", "#56b4e9", "#999933", "#444444"};

/* ---- Text that grows ---- */

typedef struct {
    char *data;
    size_t used, room;
    bool failed;
} text;

LCV_PRINTF(2, 3) static void put(text *t, const char *format, ...)
{
    for (int attempt = 0; attempt < 2 && !t->failed; attempt++) {
        va_list list;
        va_start(list, format);
        const size_t left = t->room - t->used;
        const int length = vsnprintf(t->data + t->used, left, format, list);
        va_end(list);
        if (length >= 0 && (size_t)length < left) {
            t->used += (size_t)length;
            return;
        }
        char *larger = realloc(t->data, 2 * t->room + (size_t)(length > 0 ? length : 0));
        t->failed = larger == NULL || length < 0;
        if (larger != NULL) {
            t->data = larger;
            t->room = 2 * t->room + (size_t)(length > 0 ? length : 0);
        }
    }
}

static void put_escaped(text *t, const char *words)
{
    for (; *words != '\0'; words++) {
        const char c = *words;
        if (c == '<' || c == '>' || c == '&')
            put(t, "&#%d;", c);
        else
            put(t, "%c", c);
    }
}

static void put_label(text *t, double x, double y, const char *attributes, const char *words)
{
    put(t, "<text x=\"%.1f\" y=\"%.1f\" %s>", x, y, attributes);
    put_escaped(t, words);
    put(t, "</text>\n");
}

/* ---- Scales ---- */

typedef struct {
    double least, most;
} range;

static range value_range(const svg_chart *chart)
{
    range r = {0.0, 0.0};
    for (int line = 0; line < chart->lines; line++)
        for (int64_t i = 0; i < chart->points; i++) {
            const double y = chart->line[line].y[i];
            if (isfinite(y)) {
                r.least = fmin(r.least, y);
                r.most = fmax(r.most, y);
            }
        }
    if (r.most == r.least)
        r.most = r.least + 1.0;
    const double margin = 0.04 * (r.most - r.least);
    return (range){r.least - margin, r.most + margin};
}

static double x_of(const svg_chart *chart, double index)
{
    const double last = chart->points > 1 ? (double)(chart->points - 1) : 1.0;
    return LEFT + PLOT_WIDTH * index / last;
}

static double y_of(range r, double value)
{
    return TOP + PLOT_HEIGHT * (r.most - value) / (r.most - r.least);
}

/* 1, 2 or 5 times a power of ten, about a TICKS-th of the span. */
static double tick_step(double span)
{
    const double raw = span / TICKS, power = pow(10.0, floor(log10(raw))), part = raw / power;
    return power * (part < 1.5 ? 1.0 : part < 3.5 ? 2.0 : part < 7.5 ? 5.0 : 10.0);
}

/* ---- Parts ---- */

static void put_frame(text *t, const svg_chart *chart)
{
    put(t,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" "
        "font-family=\"sans-serif\" font-size=\"12\" fill=\"#333\">\n",
        WIDTH, HEIGHT, WIDTH, HEIGHT);
    put(t, "<rect width=\"%d\" height=\"%d\" fill=\"white\"/>\n", WIDTH, HEIGHT);
    put_label(t, LEFT, 26, "font-size=\"17\" font-weight=\"bold\"", chart->title);
    put_label(t, LEFT, 46, "fill=\"#666\"", chart->subtitle);
    put_label(t, LEFT + PLOT_WIDTH / 2.0, HEIGHT - 14, "text-anchor=\"middle\"", chart->x_label);
    put(t, "<g transform=\"translate(20 %.1f) rotate(-90)\">", TOP + PLOT_HEIGHT / 2.0);
    put_label(t, 0, 0, "text-anchor=\"middle\"", chart->y_label);
    put(t, "</g>\n");
}

static void put_ticks(text *t, const svg_chart *chart, range r)
{
    const double step = tick_step(r.most - r.least);
    const double last = chart->points > 1 ? (double)(chart->points - 1) : 1.0;
    const double x_step = fmax(tick_step(last), 1.0);
    char label[32];
    for (double k = ceil(r.least / step); k * step <= r.most; k++) {
        const double y = y_of(r, k * step);
        put(t, "<line x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"%s\"/>\n", LEFT, LEFT + PLOT_WIDTH,
            y, y, k == 0.0 ? "#999" : "#e4e4e4");
        snprintf(label, sizeof label, "%.4g", k * step);
        put_label(t, LEFT - 8, y + 4, "text-anchor=\"end\"", label);
    }
    for (double k = 0.0; k * x_step <= last; k++) {
        const double x = x_of(chart, k * x_step);
        put(t, "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\" stroke=\"#e4e4e4\"/>\n", x, x, TOP,
            TOP + PLOT_HEIGHT);
        snprintf(label, sizeof label, "%.6g", k * x_step);
        put_label(t, x, TOP + PLOT_HEIGHT + 18, "text-anchor=\"middle\"", label);
    }
}

static void put_point(text *t, const svg_chart *chart, range r, double index, double value, bool *open)
{
    if (!isfinite(value)) {
        *open = false;
        return;
    }
    put(t, "%c%.1f %.1f", *open ? 'L' : 'M', x_of(chart, index), y_of(r, value));
    *open = true;
}

/* The points [from, to): one, or the least and the largest of them. */
static void put_column(text *t, const svg_chart *chart, range r, const double *y, int64_t from, int64_t to,
                       bool *open)
{
    double least = y[from], most = y[from];
    for (int64_t i = from + 1; i < to; i++) {
        least = fmin(least, y[i]);
        most = fmax(most, y[i]);
    }
    put_point(t, chart, r, (double)from, least, open);
    if (most != least)
        put_point(t, chart, r, (double)from, most, open);
}

static void put_line(text *t, const svg_chart *chart, range r, int line)
{
    const int64_t columns = chart->points < PLOT_WIDTH ? chart->points : PLOT_WIDTH;
    bool open = false;
    put(t, "<path fill=\"none\" stroke=\"%s\" stroke-width=\"1.4\" stroke-linejoin=\"round\" d=\"",
        colours[line]);
    for (int64_t c = 0; c < columns; c++) {
        const double each = (double)chart->points / (double)columns;
        const int64_t from = (int64_t)((double)c * each);
        const int64_t to = c + 1 < columns ? (int64_t)((double)(c + 1) * each) : chart->points;
        put_column(t, chart, r, chart->line[line].y, from, to, &open);
    }
    put(t, "\"/>\n");
    const double y = TOP + 10 + 20.0 * line;
    put(t, "<line x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"%s\" stroke-width=\"3\"/>\n",
        LEFT + PLOT_WIDTH + 14, LEFT + PLOT_WIDTH + 34, y, y, colours[line]);
    put_label(t, LEFT + PLOT_WIDTH + 40, y + 4, "", chart->line[line].name);
}

bool svg_write(const char *path, const svg_chart *chart, char *message, size_t message_bytes)
{
    text t = {.data = malloc(4096), .room = 4096};
    t.failed = t.data == NULL;
    const range r = value_range(chart);
    put_frame(&t, chart);
    put_ticks(&t, chart, r);
    for (int line = 0; line < chart->lines; line++)
        put_line(&t, chart, r, line);
    put(&t, "</svg>\n");
    const file_bytes bytes = {t.data, t.used};
    bool done = false;
    if (t.failed)
        snprintf(message, message_bytes, "%s: out of memory", path);
    else
        done = file_write(path, &bytes, 1, message, message_bytes);
    free(t.data);
    return done;
}
