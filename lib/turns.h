/* SPDX-License-Identifier: BSD-3-Clause */
/* turns.h: sine and cosine of angles in turns (1 turn = 2 pi), by exact operations only, so that tables made
 * of them are the same on every machine. */
#ifndef LCVI_TURNS_H
#define LCVI_TURNS_H

/* |turns| < 2^51; absolute errors below 3e-16 for |turns| < 1, and that of the reduction modulo 1 is none. */
double lcvi_sine_of_turns(double turns);
double lcvi_cosine_of_turns(double turns);

#endif
