/* SPDX-License-Identifier: BSD-3-Clause */
/* svg.h: line charts as SVG files. */
#ifndef SUPPORT_SVG_H
#define SUPPORT_SVG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SVG_MOST_LINES = 8 };

typedef struct svg_chart {
    const char *title, *subtitle; /* any text */
    const char *x_label, *y_label;
    int64_t points; /* of each line, at x = 0, 1, ... */
    int lines;      /* at most SVG_MOST_LINES */
    struct {
        const double *y;
        char name[48];
    } line[SVG_MOST_LINES];
} svg_chart;

/* Writes the chart; values that are not finite leave gaps. A line of more points than the chart has columns
 * is drawn as the least and the largest value of each column, so no peak is lost. */
bool svg_write(const char *path, const svg_chart *chart, char *message, size_t message_bytes);

#endif
