/* SPDX-License-Identifier: BSD-3-Clause */
#include "cpu_fftw_aside.h"

#include <stdio.h>

static void count_byte(char byte, void *arg)
{
    (void)byte;
    ++*(size_t *)arg;
}

/* Writes, or reads, at the end of the bytes so far. */
typedef struct {
    lcv_cpu_fftw_aside *aside;
    size_t at;
} cursor;

static void put(char byte, void *arg)
{
    cursor *c = arg;
    if (c->at < c->aside->length)
        c->aside->bytes[c->at++] = byte;
}

static int get(void *arg)
{
    cursor *c = arg;
    return c->at < c->aside->length ? (unsigned char)c->aside->bytes[c->at++] : EOF;
}

lcv_status lcv_cpu_fftw_set_aside(const lcv_backend_host *host, const lcv_cpu_fftw_memory *memory,
                                  lcv_cpu_fftw_aside *aside)
{
    cursor c = {.aside = aside};
    *aside = (lcv_cpu_fftw_aside){0};
    memory->write(count_byte, &aside->length);
    aside->bytes = host->allocate(host, aside->length, 1);
    if (aside->bytes == NULL)
        return host->fail(host, LCV_OUT_OF_MEMORY, "fftw engine: no memory for %zu bytes of wisdom",
                          aside->length);
    memory->write(put, &c);
    memory->forget();
    return LCV_OK;
}

void lcv_cpu_fftw_put_back(const lcv_backend_host *host, const lcv_cpu_fftw_memory *memory,
                           lcv_cpu_fftw_aside *aside)
{
    cursor c = {.aside = aside};
    memory->forget();
    memory->read(get, &c);
    host->release(host, aside->bytes, aside->length);
}
