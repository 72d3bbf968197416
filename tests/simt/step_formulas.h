// SPDX-License-Identifier: BSD-3-Clause
// step_formulas.h: what each kind of step has to compute, in long double.
#ifndef LCV_SIMT_STEP_FORMULAS_H
#define LCV_SIMT_STEP_FORMULAS_H

#include "step_scene.h"

typedef long double Exact;

inline Exact sigmoid(Exact x)
{
    return 1 / (1 + expl(-x));
}

// Recurrences along time.
void set_up_wkv(Scene &scene);
void check_wkv(Scene &scene);
void set_up_scan(Scene &scene);
void check_scan(Scene &scene);

// Learned transforms.
void set_up_blocks(Scene &scene);
void check_blocks(Scene &scene);

#endif
