/* SPDX-License-Identifier: BSD-3-Clause */
/* Family long_conv: taps that are learned as they are, with initial values that fall off, and squashed. */
#include "family.h"

const lcvi_family lcvi_family_long_conv = {
    .name = "long_conv",
    .summary = "the long convolution's filters: learned taps, squashed towards 0",
    .formula =
        "h[t] = sign(m[t]) max(|m[t]| - squash, 0), m: taps, smoothed in time or in frequency if wanted",
    .source = "Fu et al., Simple Hardware-Efficient Long Convolutions for Sequence Modeling (2023)",
    .base = &lcvi_family_explicit,
    .preset = {{"init", "decay"}, {"std", "0.02"}, {"squash", "0.003"}},
};
