/* SPDX-License-Identifier: BSD-3-Clause */
#include "cpu_tiles.h"
#include "integers.h"

#include <string.h>

static const lcv_cpu_engine *const engines[] = {
#define LCV_CPU_ENGINE(name) &lcv_cpu_engine_##name,
#include "engine_list.inc"
#undef LCV_CPU_ENGINE
};

enum { ENGINE_COUNT = sizeof engines / sizeof engines[0] };

int32_t lcv_cpu_tile_level_of(int64_t size)
{
    int32_t level = 0;
    while (((int64_t)LCV_STREAM_BLOCK << level) < size)
        level++;
    return level;
}

static lcv_cpu_geometry geometry_of(lcv_cpu_tile_form form, bool is_double, int64_t taps, int64_t size)
{
    lcv_cpu_geometry g = {
        .seqlen = size, .rows = 1, .filters = 1, .is_double = is_double, .reproducible = true};
    g.middle = form == LCV_CPU_TILE_MIDDLE;
    g.taps = min64(g.middle ? 2 * size : size, taps);
    g.out_len = g.middle ? 2 * size : 2 * size - 1;
    return g;
}

static lcv_status choose_level(const lcv_backend_host *host, lcv_cpu_tile_level *level)
{
    const char *reason = "there is none", *why;
    for (int i = 0; i < ENGINE_COUNT; i++) {
        lcv_cpu_engine_info info = {0};
        if (strcmp(engines[i]->name, "exact") == 0) /* it is made of tiles itself */
            continue;
        if (!engines[i]->query(host, &level->geometry, &info, &why)) {
            reason = why != NULL ? why : reason;
            continue;
        }
        if (level->engine == NULL || info.cost < level->info.cost) {
            level->engine = engines[i];
            level->info = info;
        }
    }
    if (level->engine != NULL)
        return LCV_OK;
    return host->fail(host, LCV_UNSUPPORTED, "no engine serves tiles of %lld samples: %s",
                      (long long)level->size, reason);
}

lcv_status lcv_cpu_tiles_choose(const lcv_backend_host *host, lcv_cpu_tile_form form, bool is_double,
                                int64_t taps, int64_t largest, lcv_cpu_tiles *tiles)
{
    *tiles = (lcv_cpu_tiles){.host = host, .form = form};
    for (int64_t size = LCV_STREAM_BLOCK; size <= largest; size *= 2) {
        if (tiles->count == LCV_CPU_MAX_LEVELS)
            return host->fail(host, LCV_TOO_LARGE, "no tiles of %lld samples", (long long)largest);
        lcv_cpu_tile_level *level = &tiles->level[tiles->count++];
        level->size = size;
        level->geometry = geometry_of(form, is_double, taps, size);
        const lcv_status status = choose_level(host, level);
        if (status != LCV_OK)
            return status;
        level->spectrum = tiles->spectrum_bytes;
        tiles->spectrum_bytes += lcv_cpu_round_up(level->info.spectrum_bytes);
        if (level->info.scratch_bytes > tiles->scratch_bytes)
            tiles->scratch_bytes = level->info.scratch_bytes;
    }
    tiles->scratch_bytes = lcv_cpu_round_up(tiles->scratch_bytes);
    return LCV_OK;
}

lcv_status lcv_cpu_tiles_create(lcv_cpu_tiles *tiles)
{
    lcv_status status = LCV_OK;
    for (int32_t i = 0; status == LCV_OK && i < tiles->count; i++) {
        lcv_cpu_tile_level *level = &tiles->level[i];
        status = level->engine->create(tiles->host, &level->geometry, &level->self);
        if (status != LCV_OK)
            level->self = NULL;
    }
    if (status != LCV_OK)
        lcv_cpu_tiles_destroy(tiles);
    return status;
}

void lcv_cpu_tiles_destroy(lcv_cpu_tiles *tiles)
{
    for (int32_t i = 0; i < tiles->count; i++) {
        lcv_cpu_tile_level *level = &tiles->level[i];
        if (level->self != NULL)
            level->engine->destroy(level->self);
        level->self = NULL;
    }
}

void lcv_cpu_tiles_prepare(const lcv_cpu_tiles *tiles, const void *taps, void *spectra, void *scratch)
{
    const lcv_cpu_work work = {.scratch = scratch};
    for (int32_t i = 0; i < tiles->count; i++) {
        const lcv_cpu_tile_level *level = &tiles->level[i];
        level->engine->prepare(level->self, taps, NULL, (char *)spectra + level->spectrum, &work);
    }
}

void lcv_cpu_tile_run(const lcv_cpu_tiles *tiles, int32_t level, const void *spectrum, const void *x,
                      void *tail, void *scratch)
{
    const lcv_cpu_tile_level *l = &tiles->level[level];
    const lcv_cpu_work work = {.scratch = scratch};
    const lcv_cpu_row row = {.x = x};
    const lcv_cpu_sink sink = {.tail = tail};
    l->engine->forward(l->self, spectrum, &row, &sink, NULL, &work);
}

void lcv_cpu_square_run(const lcv_cpu_tiles *tiles, int32_t level, const void *taps, const void *x, void *v,
                        void *spectrum, void *scratch)
{
    const lcv_cpu_tile_level *l = &tiles->level[level];
    const size_t real_size = l->geometry.is_double ? sizeof(double) : sizeof(float);
    const lcv_cpu_work work = {.scratch = scratch};
    const lcv_cpu_row row = {.x = x};
    const lcv_cpu_sink sink = {.out = v, .tail = (char *)v + (size_t)l->size * real_size};
    if (taps != NULL)
        l->engine->prepare(l->self, taps, NULL, spectrum, &work);
    l->engine->forward(l->self, spectrum, &row, &sink, NULL, &work);
}
