/* SPDX-License-Identifier: BSD-3-Clause */
/* cpu_ahead.h: what memory a row's convolution may fetch while it computes, for rows that are so short that
 * no hardware follows them. For sources that are compiled for each type. */
#ifndef LCV_CPU_AHEAD_H
#define LCV_CPU_AHEAD_H

#include "cpu_conv_plan.h"
#include "cpu_sheet.h"

static inline sheet data_sheet(const lcv_cpu_plan *p, const lcv_array *array, const lcv_cpu_panel *at)
{
    sheet s = sheet_of(array, p->params.dtype, at->b, at->c, at->width);
    s.halves = p->info.halves;
    if (lcv_cpu_is_far(p))
        put_far(p->kernels, p->params.seqlen, &s);
    return s;
}

/* Row k of a panel of an array, where it lies in one piece. `panel` NULL: nothing. */
static inline lcv_cpu_lines ahead_of(const lcv_cpu_plan *p, const lcv_array *array,
                                     const lcv_cpu_panel *panel, int64_t k)
{
    const lcv_cpu_lines none = {.count = 0};
    const int64_t bytes = p->params.seqlen * dtype_bytes(p->params.dtype);
    if (panel == NULL || array->data == NULL || k >= panel->width)
        return none;
    const sheet s = data_sheet(p, array, panel);
    if (s.stride != 1 || bytes > LCV_CPU_MOST_CACHED)
        return none;
    return lcv_cpu_lines_of(place(&s, k, 0), bytes + LCV_CPU_LINE);
}

/* The prepared filter that comes after row k's, where it is another one. */
static inline lcv_cpu_lines spectrum_ahead(const lcv_cpu_plan *p, const lcv_cpu_panel *panel, int64_t k)
{
    const char *next = panel->next_spectrum;
    if (k + 1 < panel->width)
        next = panel->filters[k + 1].spectrum != panel->filters[k].spectrum ? panel->filters[k + 1].spectrum
                                                                            : NULL;
    return lcv_cpu_lines_of(p->info.spectrum_bytes <= LCV_CPU_MOST_CACHED ? next : NULL,
                            (int64_t)p->info.spectrum_bytes);
}

/* While row k is convolved: the outputs, what they are multiplied by, and the next panel's inputs. */
static inline void look_ahead(const lcv_cpu_plan *p, const lcv_conv_call *call, const lcv_cpu_panel *panel,
                              int64_t k, lcv_cpu_lines lines[LCV_CPU_MOST_AHEAD])
{
    lines[0] = ahead_of(p, &call->y, panel, k);
    lines[1] = ahead_of(p, &call->post_gate, panel, k);
    lines[2] = ahead_of(p, &call->u, panel->next, k);
    lines[3] = ahead_of(p, &call->pre_gate, panel->next, k);
    lines[4] = spectrum_ahead(p, panel, k);
}

/* While row k of z is computed for dpost_gate = dy z: these two, and what dy meets next. */
static inline void look_ahead_of_z(const lcv_cpu_plan *p, const lcv_conv_call *call,
                                   const lcv_cpu_panel *panel, int64_t k,
                                   lcv_cpu_lines lines[LCV_CPU_MOST_AHEAD])
{
    lines[0] = ahead_of(p, &call->dpost_gate, panel, k);
    lines[1] = ahead_of(p, &call->dy, panel, k);
    lines[2] = ahead_of(p, &call->post_gate, panel, k);
    lines[3] = lines[4] = (lcv_cpu_lines){.count = 0};
}

/* While row k goes backward: the gradients (what they are multiplied by has been read already, for x), and
 * what the next panel begins with. */
static inline void look_ahead_back(const lcv_cpu_plan *p, const lcv_conv_call *call,
                                   const lcv_cpu_panel *panel, int64_t k,
                                   lcv_cpu_lines lines[LCV_CPU_MOST_AHEAD])
{
    lines[0] = ahead_of(p, &call->du, panel, k);
    lines[1] = ahead_of(p, &call->dpre_gate, panel, k);
    lines[2] = spectrum_ahead(p, panel, k);
    lines[3] = ahead_of(p, &call->u, panel->next, k);
    lines[4] = ahead_of(p, lcv_cpu_needs_z(&p->params) ? &call->pre_gate : &call->dy, panel->next, k);
}

#endif
