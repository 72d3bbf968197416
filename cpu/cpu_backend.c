/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of the CPU backend. */
#include "cpu_blas.h"
#include "cpu_conv.h"
#include "engine.h"
#include "cpu_features.h"
#include "cpu_filter.h"
#include "cpu_matmul.h"
#include "cpu_planning.h"
#include "cpu_stream.h"
#include "cpu_threads.h"

#include <stdio.h>
#include <string.h>

extern const lcv_backend lcv_cpu_backend;

#ifdef LCV_CPU_HAVE_FFTW
#define FFT_LIBRARY "FFTW 3 (GPL-2.0-or-later)"
#else
#define FFT_LIBRARY "no FFT library"
#endif
#ifdef _OPENMP
#define THREADING "OpenMP"
#else
#define THREADING "no threads of its own"
#endif

static lcv_status probe(const lcv_backend_host *host)
{
    if (!lcv_cpu_mask_is_known(host->cpu_mask))
        host->log(host, LCV_LOG_WARN, "LONGCONV_CPU_MASK: no level is named \"%s\"; it is ignored",
                  host->cpu_mask);
    return LCV_OK;
}

/* Every engine's name once: those compiled for each type have two rows. */
static void list_engines(char *text, size_t size)
{
    static const lcv_cpu_engine *const engines[] = {
#define LCV_CPU_ENGINE(name) &lcv_cpu_engine_##name,
#include "engine_list.inc"
#undef LCV_CPU_ENGINE
    };
    const char *last = "";
    size_t used = 0;
    for (size_t i = 0; i < sizeof engines / sizeof engines[0] && used < size; i++) {
        if (strcmp(engines[i]->name, last) != 0) {
            int length = snprintf(text + used, size - used, "%s%s", used > 0 ? " " : "", engines[i]->name);
            used += length > 0 ? (size_t)length : 0;
        }
        last = engines[i]->name;
    }
}

static lcv_status open_device(const lcv_backend_host *host, void **out)
{
    lcv_cpu_device *device = host->allocate(host, sizeof *device, _Alignof(lcv_cpu_device));
    if (device == NULL)
        return host->fail(host, LCV_OUT_OF_MEMORY, "cpu backend: no memory for %zu bytes", sizeof *device);
    *device = (lcv_cpu_device){.host = host};
    snprintf(device->description, sizeof device->description, "%s code, %s, %s%s, up to %d threads",
             lcv_cpu_level_name(lcv_cpu_level_of(host->cpu_mask)), FFT_LIBRARY,
             lcv_cpu_blas_is_usable() ? "OpenBLAS, " : "", THREADING, host->num_threads);
    list_engines(device->engines, sizeof device->engines);
    *out = device;
    return LCV_OK;
}

static void close_device(void *device)
{
    const lcv_backend_host *host = ((lcv_cpu_device *)device)->host;
    host->release(host, device, sizeof(lcv_cpu_device));
}

static const char *description(void *device)
{
    return ((lcv_cpu_device *)device)->description;
}

static const char *engines_of(void *device)
{
    return ((lcv_cpu_device *)device)->engines;
}

static void parallel_for(void *device, int32_t threads, int64_t count, lcv_task_fn task, void *task_arg)
{
    const lcv_exec own = LCV_EXEC_INIT;
    const lcv_cpu_team team = lcv_cpu_team_of(&own, threads);
    (void)device;
    lcv_cpu_team_run(&team, count, task, task_arg);
}

const lcv_backend lcv_cpu_backend = {
    .abi = LCV_BACKEND_ABI,
    .struct_size = sizeof(lcv_backend),
    .name = "cpu",
    .device = LCV_DEVICE_CPU,
    .concurrent = 1,
    .probe = probe,
    .open = open_device,
    .close = close_device,
    .description = description,
    .engines = engines_of,
    .conv_query = lcv_cpu_conv_query,
    .conv_create = lcv_cpu_conv_create,
    .conv_destroy = lcv_cpu_conv_destroy,
    .conv_prepare = lcv_cpu_conv_prepare,
    .conv_forward = lcv_cpu_conv_forward,
    .conv_backward = lcv_cpu_conv_backward,
    .gate_forward = lcv_cpu_gate_forward,
    .gate_backward = lcv_cpu_gate_backward,
    .planning_export = lcv_cpu_planning_export,
    .planning_import = lcv_cpu_planning_import,
    .parallel_for = parallel_for,
    .matmul_query = lcv_cpu_matmul_query,
    .matmul = lcv_cpu_matmul,
    .filter_query = lcv_cpu_filter_query,
    .filter_evaluate = lcv_cpu_filter_evaluate,
    .filter_backward = lcv_cpu_filter_backward,
    .stream_query = lcv_cpu_stream_query,
    .stream_create = lcv_cpu_stream_create,
    .stream_destroy = lcv_cpu_stream_destroy,
    .stream_step = lcv_cpu_stream_step,
    .stream_flush = lcv_cpu_stream_flush,
    .stream_fill = lcv_cpu_stream_fill,
    .stream_load = lcv_cpu_stream_load,
    .stream_tile = lcv_cpu_stream_tile,
    .stream_dot = lcv_cpu_stream_dot,
};
