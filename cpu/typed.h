/* SPDX-License-Identifier: BSD-3-Clause */
/* typed.h: for sources that are compiled once for each type of reals, with LCV_CPU_DOUBLE 0 and 1.
 * TYPED(name) is name_f32 or name_f64. */
#ifndef LCV_CPU_TYPED_H
#define LCV_CPU_TYPED_H

#ifndef LCV_CPU_DOUBLE
#error "LCV_CPU_DOUBLE must be 0 or 1"
#endif

#if LCV_CPU_DOUBLE
typedef double real;
#define TYPED_PASTE(name) name##_f64
#define REAL(literal)     literal
#define REAL_IS_DOUBLE    1
#else
typedef float real;
#define TYPED_PASTE(name) name##_f32
#define REAL(literal)     literal##f
#define REAL_IS_DOUBLE    0
#endif
#define TYPED(name) TYPED_PASTE(name)

#endif
