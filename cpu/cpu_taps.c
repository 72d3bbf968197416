/* SPDX-License-Identifier: BSD-3-Clause */
/* From filter arrays to prepared filters, and from accumulators to arrays of gradients. Compiled for each
 * type.
 */
#include "cpu_taps.h"
#include "cpu_contain.h"
#include "cpu_sheet.h"

#include <string.h>

static const TYPED(lcv_cpu_kernels) * kernels_of(const lcv_cpu_plan *p)
{
    return p->kernels;
}

static sheet filter_sheet(const lcv_cpu_plan *p, const lcv_array *array, int64_t f)
{
    const bool per_sample = p->params.filter_form == LCV_FILTER_PER_SAMPLE;
    const int64_t channels = p->params.channels;
    return sheet_of(array, p->compute, per_sample ? f / channels : 0, per_sample ? f % channels : f, 1);
}

/* Circular filters longer than the sequence fold onto its lags. */
static void fold(const TYPED(lcv_cpu_kernels) * k, const sheet *s, int64_t filter_len, int64_t taps, real *to)
{
    for (int64_t start = taps; s->data != NULL && start < filter_len; start += taps)
        for (int64_t j = 0; j < min64(taps, filter_len - start); j++) {
            real tap;
            load(k, s, (stretch){start + j, 1}, &tap, 1);
            to[j] += tap;
        }
}

static void load_taps(const lcv_cpu_plan *p, const lcv_conv_call *call, int64_t f, void *taps)
{
    const TYPED(lcv_cpu_kernels) *k = kernels_of(p);
    const lcv_cpu_geometry *g = &p->geometry;
    const bool anticausal = p->params.mode == LCV_CONV_ANTICAUSAL;
    const sheet past = filter_sheet(p, &call->filter, f);
    const sheet future = anticausal ? past : filter_sheet(p, &call->filter_future, f);
    real *to = taps;
    load_row(k, &past, p->params.filter_len, g->taps, to);
    load_row(k, &future, anticausal ? p->params.filter_len : p->params.filter_future_len, g->taps_future,
             to + g->taps);
    if (p->circular)
        fold(k, &past, p->params.filter_len, g->taps, to);
}

void TYPED(lcv_cpu_prepare_taps)(const lcv_cpu_plan *p, const lcv_conv_call *call, int64_t f, void *taps,
                                 const lcv_cpu_filter *filter, const lcv_cpu_worker *worker)
{
    load_taps(p, call, f, taps);
    TYPED(lcv_cpu_note_taps)(p, taps, filter);
    p->engine->prepare(p->engine_self, taps, (real *)taps + p->geometry.taps, filter->spectrum,
                       &worker->work);
}

/* Gradients of `filter_len` taps of which `known` were computed: the others had no effect, or fold. */
static void store_gradient(const lcv_cpu_plan *p, const sheet *s, int64_t filter_len, int64_t known,
                           const real *values, bool accumulate)
{
    const TYPED(lcv_cpu_kernels) *k = kernels_of(p);
    const bool folds = p->circular && known > 0;
    real tile[TILE];
    for (int64_t j = 0; s->data != NULL && j < filter_len; j += TILE) {
        const stretch at = stretch_at(j, filter_len, 1);
        if (!accumulate && j + at.count <= known) {
            store_tile(k, s, at, values + j, at.count);
            continue;
        }
        for (int64_t i = 0; i < at.count; i++)
            tile[i] = j + i < known ? values[j + i] : folds ? values[(j + i) % known] : REAL(0.0);
        store(k, s, at, tile, at.count, accumulate);
    }
}

/* Where an engine may write the gradients of `known` taps at once; else NULL. */
static real *place_of_taps(const lcv_cpu_plan *p, const sheet *s, int64_t filter_len, int64_t known,
                           uint32_t grad)
{
    const bool as_they_are = s->data != NULL && is_plain(s) && known == filter_len && !p->circular;
    return as_they_are && !lcv_cpu_adds(p, grad) ? (real *)plain_row(s, 0) : NULL;
}

void TYPED(lcv_cpu_finish_taps)(const lcv_cpu_plan *p, const lcv_conv_call *call, int64_t f, void *grad,
                                void *taps, const lcv_cpu_worker *worker)
{
    const lcv_cpu_geometry *g = &p->geometry;
    const bool anticausal = p->params.mode == LCV_CONV_ANTICAUSAL;
    const sheet none = {.data = NULL}, dfilter = filter_sheet(p, &call->dfilter, f);
    const sheet dpast = anticausal ? none : dfilter;
    const sheet dfuture = anticausal ? dfilter : filter_sheet(p, &call->dfilter_future, f);
    const int64_t future_len = anticausal ? p->params.filter_len : p->params.filter_future_len;
    const uint32_t future_grad = anticausal ? LCV_GRAD_FILTER : LCV_GRAD_FILTER_FUTURE;
    real *past_place = place_of_taps(p, &dpast, p->params.filter_len, g->taps, LCV_GRAD_FILTER);
    real *future_place = place_of_taps(p, &dfuture, future_len, g->taps_future, future_grad);
    real *past = past_place != NULL ? past_place : taps;
    real *future = future_place != NULL ? future_place : (real *)taps + g->taps;
    if (p->engine != NULL) {
        lcv_cpu_work work = worker->work;
        lcv_cpu_begin_grad(p, grad);
        work.ends = lcv_cpu_late_of(p, grad)->ended != 0;
        p->engine->filter_grad(p->engine_self, grad, past, future, &work);
        TYPED(lcv_cpu_add_late)(p, grad, past, future);
    } else {
        memset(past, 0, (size_t)g->taps * sizeof(real));
        memset(future, 0, (size_t)g->taps_future * sizeof(real));
    }
    if (lcv_cpu_skips_by_tap(p)) {
        const sheet dskip = sheet_of(&call->dskip, p->compute, 0, 0, 1);
        real value = past[0];
        store(kernels_of(p), &dskip, (stretch){f, 1}, &value, 1, lcv_cpu_adds(p, LCV_GRAD_SKIP));
    }
    if (past_place == NULL)
        store_gradient(p, &dpast, p->params.filter_len, g->taps, past, lcv_cpu_adds(p, LCV_GRAD_FILTER));
    if (future_place == NULL)
        store_gradient(p, &dfuture, future_len, g->taps_future, future, lcv_cpu_adds(p, future_grad));
}

void TYPED(lcv_cpu_add_tap_grads)(const lcv_cpu_plan *p, void *from, void *to)
{
    lcv_cpu_begin_grad(p, to);
    if (lcv_cpu_late_of(p, from)->begun != 0)
        kernels_of(p)->add(from, (int64_t)(p->info.grad_bytes / sizeof(real)), to);
    TYPED(lcv_cpu_merge_late)(p, from, to);
}
