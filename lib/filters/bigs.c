/* SPDX-License-Identifier: BSD-3-Clause */
/* Family bigs: the filters of bidirectional gated state spaces, diagonal ones with B = 1 and all modes
 * written out. A layer has two, forwards and backwards, each for all of its channels. */
#include "family.h"

const lcvi_family lcvi_family_bigs = {
    .name = "bigs",
    .summary = "bidirectional gated state spaces: diagonal, B = 1, the real part of A at most -1e-4",
    .formula =
        "h[t] = Re sum_n C_n (exp(dt A_n) - 1) / A_n exp(dt A_n t), A_n = min(a_real_n, -1e-4) + i a_imag_n",
    .source = "Wang et al., Pretraining Without Attention (2022)",
    .base = &lcvi_family_diag_ssm,
    .preset = {{"modes", "64"},
               {"conjugate", "0"},
               {"with_b", "0"},
               {"real", "negative"},
               {"imag_sign", "plus"},
               {"dt_min", "0.01"},
               {"dt_max", "1"}},
};
