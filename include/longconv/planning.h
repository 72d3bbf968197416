/* SPDX-License-Identifier: BSD-3-Clause */
/* planning.h: what a backend learnt while it made plans with LCV_PLANNING_MEASURED, as text to keep: with it
 * a later process makes the same plans without measuring. docs/planning.md describes the text.
 *
 * In this version the `cpu` backend learns, in its fftw engine: the text holds FFTW's wisdom for float32 and
 * float64. FFTW keeps one memory for the whole process, so both calls see and change that of all contexts and
 * of every other user of FFTW in the process, and quick plans of the fftw engine follow it as well. FFTW's
 * own system-wide file is never read.
 *
 * `backend` NULL or "auto": the first one available, in AUTO's order, that can learn; LONGCONV_BACKEND
 * counts.
 */
#ifndef LONGCONV_PLANNING_H
#define LONGCONV_PLANNING_H

#include <longconv/context.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Writes the text with a NUL behind it. *needed is its size with the NUL, set also when `size` is too small.
 * `text` may be NULL with size 0, to ask for the size; another thread that plans in between may change it.
 * Errors: INVALID_ARG (an argument; size too small: nothing was written), NO_DEVICE (no such backend, or it
 * cannot be used), UNSUPPORTED (it has nothing to learn). Thread-safety: safe among users of this library; no
 * other user of FFTW may be at its planner. */
LCV_API lcv_status lcv_planning_export(lcv_context *context, const char *backend, char *text, size_t size,
                                       size_t *needed);

/* Adds what the `length` bytes of `text` say to what the backend knows. Every byte is checked before FFTW
 * sees one: damaged, truncated or hostile text is an error, and on an error planning is as before. True text
 * for another problem costs time at most: results are right whatever the text says. Errors: INVALID_ARG (an
 * argument; text, the message says where), VERSION_MISMATCH (written by another version of this library, or
 * for another version or build of FFTW), OUT_OF_MEMORY, NO_DEVICE and UNSUPPORTED as above, BACKEND_FAILED
 * (FFTW refused it). Thread-safety: as above. */
LCV_API lcv_status lcv_planning_import(lcv_context *context, const char *backend, const char *text,
                                       size_t length);

#ifdef __cplusplus
}
#endif
#endif
