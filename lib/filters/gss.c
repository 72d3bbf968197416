/* SPDX-License-Identifier: BSD-3-Clause */
/* Family gss: the filters of gated state spaces, diagonal ones whose A is shared by all channels and has no
 * time step: A_n = -exp(a_real) + i exp(a_imag), B = 1, dt = 1, all parameters normal numbers at first. */
#include "family.h"

const lcvi_family lcvi_family_gss = {
    .name = "gss",
    .summary = "gated state spaces: diagonal, one A for all channels, no time step",
    .formula = "h[t] = Re sum_n C_n (exp(A_n) - 1) / A_n exp(A_n t), A_n = -exp(a_real_n) + i exp(a_imag_n)",
    .source = "Mehta et al., Long Range Language Modeling via Gated State Spaces (2022)",
    .base = &lcvi_family_diag_ssm,
    .preset = {{"modes", "512"},
               {"n_ssm", "1"},
               {"conjugate", "0"},
               {"with_b", "0"},
               {"imag", "exp"},
               {"imag_sign", "plus"},
               {"dt_form", "none"},
               {"init", "normal"},
               {"std", "1"}},
};
