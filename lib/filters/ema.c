/* SPDX-License-Identifier: BSD-3-Clause */
/* Family ema: the damped moving average of Mega, which is what family decay is by default. */
#include "family.h"

const lcvi_family lcvi_family_ema = {
    .name = "ema",
    .summary = "Mega's damped exponential moving average, for one side or both, cut or not",
    .formula =
        "h[t] = sum_n gamma_n p_n beta_n (1 - p_n sigmoid(alpha_n))^t / sqrt(modes), p = sigmoid(delta)",
    .source = "Ma et al., Mega (2022)",
    .base = &lcvi_family_decay,
};
