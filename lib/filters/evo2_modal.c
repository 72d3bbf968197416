/* SPDX-License-Identifier: BSD-3-Clause */
/* Family evo2_modal: Evo 2's long filters as they are trained, from p and gamma. */
#include "family.h"

const lcvi_family lcvi_family_evo2_modal = {
    .name = "evo2_modal",
    .summary = "Evo 2's long filters: real decaying exponentials from p and gamma",
    .formula = "h[t] = sum_n R_n exp(-exp(p_n) exp(gamma_n) t)",
    .source = "Ku et al., StripedHyena 2 (2025)",
    .base = &lcvi_family_modal,
    .preset = {{"form", "p_gamma"}},
};
