/* SPDX-License-Identifier: BSD-3-Clause */
/* Family evo2_decay: Evo 2's medium filters, learned taps under an exponential window whose rates rise over
 * the channels. Its unit of time is the length of training (window_len), whatever the number of taps. */
#include "family.h"

const lcvi_family lcvi_family_evo2_decay = {
    .name = "evo2_decay",
    .summary = "Evo 2's medium filters: learned taps under an exponential window",
    .formula = "h[t] = w[t] exp(-rate t / (window_len - 1)), rates from window_from to 100 over the channels",
    .source = "Ku et al., StripedHyena 2 (2025)",
    .base = &lcvi_family_explicit,
    .preset = {{"std", "1e-7"}, {"window_from", "0.1"}, {"window_len", "8192"}},
};
