/* SPDX-License-Identifier: BSD-3-Clause */
/* cpu_window.h: which values lie in a stretch that moves along a row? Counts them by their exponent, so that
 * those that leave are forgotten to the last bit. For sources that are compiled for each type. */
#ifndef LCV_CPU_WINDOW_H
#define LCV_CPU_WINDOW_H

#include "typed.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#if REAL_IS_DOUBLE
enum { WINDOW_CLASSES = 2048, WINDOW_BIAS = 1023 };
typedef uint16_t tap_class;
#else
enum { WINDOW_CLASSES = 256, WINDOW_BIAS = 127 };
typedef uint8_t tap_class;
#endif

/* Samples [from, to). All zero bytes: none. */
typedef struct {
    int64_t from, to;
    int top; /* highest class that is not empty; the last class is what is not finite */
    int64_t count[WINDOW_CLASSES];
} window;

/* The exponent, as it is stored. */
static inline int window_class(real value)
{
#if REAL_IS_DOUBLE
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (int)(bits >> 52 & 2047);
#else
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (int)(bits >> 23 & 255);
#endif
}

static inline void window_add(window *w, int at)
{
    w->count[at]++;
    if (at > w->top)
        w->top = at;
}

static inline void window_remove(window *w, int at)
{
    w->count[at]--;
    while (w->top > 0 && w->count[w->top] == 0)
        w->top--;
}

static inline int64_t window_count(const window *w)
{
    return w->to - w->from;
}

static inline bool window_is_lost(const window *w)
{
    return w->top == WINDOW_CLASSES - 1;
}

/* More than weight times the largest value; 0 where there is none. */
static inline double window_bound(const window *w, double weight)
{
    if (window_count(w) == 0 || weight <= 0.0)
        return 0.0;
    return scalbn(weight, w->top + 1 - WINDOW_BIAS);
}

#endif
