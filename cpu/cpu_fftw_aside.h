/* SPDX-License-Identifier: BSD-3-Clause */
/* cpu_fftw_aside.h: puts FFTW's wisdom aside, so that a plan follows from its size alone. */
#ifndef LCV_CPU_FFTW_ASIDE_H
#define LCV_CPU_FFTW_ASIDE_H

#include "cpu_fftw.h"

#include <longconv/backend.h>

typedef struct lcv_cpu_fftw_aside {
    char *bytes;
    size_t length;
} lcv_cpu_fftw_aside;

/* Between the two FFTW knows nothing; what it learns there is forgotten. Both need the planner's lock, held
 * all the time. LCV_OUT_OF_MEMORY: nothing was changed, and put_back must not follow. */
lcv_status lcv_cpu_fftw_set_aside(const lcv_backend_host *host, const lcv_cpu_fftw_memory *memory,
                                  lcv_cpu_fftw_aside *aside);
void lcv_cpu_fftw_put_back(const lcv_backend_host *host, const lcv_cpu_fftw_memory *memory,
                           lcv_cpu_fftw_aside *aside);

#endif
