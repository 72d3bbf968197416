/* SPDX-License-Identifier: BSD-3-Clause */
/* cpu_fftw.h: FFTW's memory of good plans (its wisdom) for one type of reals, without FFTW's header. Calls
 * need the planner's lock. */
#ifndef LCV_CPU_FFTW_H
#define LCV_CPU_FFTW_H

#include <stdbool.h>

typedef struct lcv_cpu_fftw_memory {
    /* Hands all of it to `put`, a byte at a time. */
    void (*write)(void (*put)(char byte, void *arg), void *arg);

    /* Adds what `get` gives, a byte at a time and EOF at the end. The text must be sound: on some that is
     * not, FFTW ends the process. False: FFTW did not take it. */
    bool (*read)(int (*get)(void *arg), void *arg);

    void (*forget)(void);
} lcv_cpu_fftw_memory;

extern const lcv_cpu_fftw_memory lcv_cpu_fftw_memory_f32, lcv_cpu_fftw_memory_f64;

#endif
