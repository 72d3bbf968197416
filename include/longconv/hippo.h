/* SPDX-License-Identifier: BSD-3-Clause */
/* hippo.h: HiPPO state matrices, and their normal part as eigenvalues: what state space models start from.
 *
 * A HiPPO system x' = A x + B u has a real A of `states` x `states` and a real B. A plus a matrix of low rank
 * is a multiple of the identity plus a skew-symmetric matrix, so with a unitary V
 *
 *     A = V (diag(poles) - P P^*) V^*,     B = V b,     P = V p   (`rank` vectors; of rank 0: A is normal)
 *
 * where eigenvalues come in conjugate pairs; the half with negative imaginary parts is given.
 *
 * Sources: Gu et al., HiPPO: Recurrent Memory with Optimal Polynomial Projections (2020); Gu et al.,
 * Efficiently Modeling Long Sequences with Structured State Spaces (S4, 2022), appendix C; Gu et al., How to
 * Train Your HiPPO (2023), for the Fourier matrices. Thread-safety of all: safe. */
#ifndef LONGCONV_HIPPO_H
#define LONGCONV_HIPPO_H

#include <longconv/context.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Row n, column k; r(n) = sqrt(2 n + 1). */
typedef enum lcv_hippo_kind {
    LCV_HIPPO_LEGS = 0,  /* "legs": -r(n) r(k) below the diagonal, -(n+1) on it; b = r(n). Rank 1 */
    LCV_HIPPO_LEGSD = 1, /* "legsd": the normal part of legs, with b / 2. Rank 0 */
    LCV_HIPPO_LEGT = 2,  /* "legt": -r(n) r(k)/2, times (-1)^(n-k) above the diagonal; b = r(n)/2. Rank 2 */
    LCV_HIPPO_LMU = 3,   /* "lmu": (2n+1) (-1)^(n-k+1) on and below the diagonal, -(2n+1) above it;
                          * b = (2n+1) (-1)^n. A change of the state's scale makes it 2 legt, whose
                          * factors these are: the same system from u to outputs. Rank 2 */
    LCV_HIPPO_LAGT = 4,  /* "lagt": -1 below the diagonal, -1/2 on it; b = 1. Rank 1 */
    LCV_HIPPO_FOUT = 5,  /* "fout", "fourier": S - b b^T, S with blocks (0, -pi k; pi k, 0) at 2 k;
                          * b = (1, 0, sqrt 2, 0, sqrt 2, 0, ...). Rank 1 */
    LCV_HIPPO_FOUD = 6,  /* "foud": 2 S - 1/2. Rank 0 */
    LCV_HIPPO_FOURIER_DECAY = 7 /* "fourier_decay": S - b b^T / 2, and b / 2. Rank 1 */
} lcv_hippo_kind;

enum { LCV_HIPPO_KINDS = 8, LCV_HIPPO_MAX_RANK = 2, LCV_HIPPO_MAX_STATES = 4096 };

/* The kind of a name, -1 when there is none of this name (or it is NULL); the name of a kind, and the number
 * of vectors in P: NULL and -1 for anything else. */
LCV_API int32_t lcv_hippo_find(const char *name);
LCV_API const char *lcv_hippo_name(int32_t kind);
LCV_API int32_t lcv_hippo_rank(int32_t kind);

/* The matrix itself.
 *   states  1 to LCV_HIPPO_MAX_STATES; even for the Fourier kinds
 *   a       out: [states][states], or NULL
 *   b       out: [states], or NULL
 * Errors: INVALID_ARG (message: lcv_context_message(NULL)). */
LCV_API lcv_status lcv_hippo_matrix(int32_t kind, int64_t states, double *a, double *b);

/* Its normal part and P, in the eigenbasis. The numbers are the same on every machine.
 *   states  2 to LCV_HIPPO_MAX_STATES, even
 *   poles   out: [states / 2][2], those with negative imaginary parts, smallest ones first
 *   p       out: [rank][states / 2][2], or NULL
 *   b       out: [states / 2][2], or NULL. An eigenvector's phase is arbitrary, so only magnitudes and
 *           products such as conj(p) b mean something by themselves.
 * Errors: INVALID_ARG, OUT_OF_MEMORY, INTERNAL (no convergence; no case is known). */
LCV_API lcv_status lcv_hippo_factors(lcv_context *context, int32_t kind, int64_t states, double *poles,
                                     double *p, double *b);

#ifdef __cplusplus
}
#endif
#endif
