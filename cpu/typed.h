/* SPDX-License-Identifier: BSD-3-Clause */
/* typed.h: for sources that are compiled twice, with LCV_CPU_DOUBLE 0 and 1. TYPED(name) is name_f32 or
 * name_f64; both prototypes come from DECLARE_TYPED in the source's header. */
#ifndef LCV_CPU_TYPED_H
#define LCV_CPU_TYPED_H

#ifdef LCV_CPU_DOUBLE
#if LCV_CPU_DOUBLE
typedef double real;
#define TYPED(name) name##_f64
#define REAL(literal) literal
#define REAL_IS_DOUBLE 1
#else
typedef float real;
#define TYPED(name) name##_f32
#define REAL(literal) literal##f
#define REAL_IS_DOUBLE 0
#endif
#endif

#endif
