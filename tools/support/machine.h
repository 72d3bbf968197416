/* SPDX-License-Identifier: BSD-3-Clause */
/* machine.h: what a measurement was made on and with. */
#ifndef SUPPORT_MACHINE_H
#define SUPPORT_MACHINE_H

#include <stddef.h>

enum { MACHINE_NAME_MAX = 128 };

/* The processor's name as the system tells it, or its architecture. Returns `name`, of MACHINE_NAME_MAX. */
const char *machine_name(char *name);

/* The compiler that made this program, the system's C library aside. */
const char *machine_compiler(void);

/* FFTW's version; "" in a build without it. */
const char *machine_fftw(void);

/* Processors that are online. */
long machine_cpus(void);

#endif
