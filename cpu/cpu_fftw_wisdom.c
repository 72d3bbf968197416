/* SPDX-License-Identifier: BSD-3-Clause */
/* Compiled for each type. FFTW's system-wide file is never read. */
#include "cpu_fftw.h"
#include "typed.h"

#include <fftw3.h>

#if REAL_IS_DOUBLE
#define FFTW(name) fftw_##name
#else
#define FFTW(name) fftwf_##name
#endif

static void write_all(void (*put)(char byte, void *arg), void *arg)
{
    FFTW(export_wisdom)(put, arg);
}

static bool read_all(int (*get)(void *arg), void *arg)
{
    return FFTW(import_wisdom)(get, arg) != 0;
}

static void forget(void)
{
    FFTW(forget_wisdom)();
}

const lcv_cpu_fftw_memory TYPED(lcv_cpu_fftw_memory) = {
    .write = write_all,
    .read = read_all,
    .forget = forget,
};
