/* SPDX-License-Identifier: BSD-3-Clause */
/* cpu_units.h: how the rows of a convolution are cut into work.
 *
 *   block  the filters whose rows can make panels together: neighbouring channels' own filters, or one filter
 *   panel  one row of each filter of a block, or some rows of its one filter; always channels side by side
 *   chunk  an even part of a block's panels; unit = one chunk of one block, what a worker takes
 *
 * Where rows are summed, by the gradient of a filter that they share, all of it is a function of the plan
 * alone, never of the threads; else the threads may limit the width. Every order of summation is a function
 * of the plan alone. */
#ifndef LCV_CPU_UNITS_H
#define LCV_CPU_UNITS_H

#include "cpu_conv_plan.h"

/* Sets the plan's blocks, panels and chunks for panels of at most `width` rows; `few` allows several chunks.
 */
void lcv_cpu_cut(lcv_cpu_plan *plan, int64_t width, bool few);

/* A panel width for the plan's layout. */
int64_t lcv_cpu_good_width(const lcv_cpu_plan *plan, int32_t threads);

/* The filters of a block: returns how many, from *first on. */
int64_t lcv_cpu_block_filters(const lcv_cpu_plan *plan, int64_t block, int64_t *first);

/* Sets the place and width of panel `index` of a block, and nothing else of it. */
void lcv_cpu_find_panel(const lcv_cpu_plan *plan, int64_t block, int64_t index, lcv_cpu_panel *panel);

#endif
