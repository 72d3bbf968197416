/* SPDX-License-Identifier: BSD-3-Clause */
/* golden_hyena.h: Hyena's implicit filter in a case: its arrays in the shapes that family implicit_mlp has.
 */
#ifndef TESTS_GOLDEN_HYENA_H
#define TESTS_GOLDEN_HYENA_H

#include "golden_filter.h"

/* Fills `g` (family, options, channels, lengths, names) from the case, and adds to the case the arrays that
 * the names speak of: layers stacked, taps channels first, the positional features of the family itself.
 * `prefix` stands before the names of the filter's arrays: "" or "f_". False: the message says why. */
bool golden_hyena_filter(golden_case *c, const golden_setup *setup, const char *prefix, golden_filter *g);

#endif
