/* SPDX-License-Identifier: BSD-3-Clause */
/* The learned block transform. The cases have fewer samples than points, and complex results, [batch,
 * channels, points, 2]; the mixer takes all points and gives real and imaginary parts in channels of their
 * own. Their points are powers of 16, so that the 16 x 16 matrices alone are used. */
#include "golden_mixer.h"

#include <stdio.h>
#include <string.h>

/* in_x with zeros behind it becomes in_x. */
static bool pad_input(golden_case *c, int64_t batch, int64_t channels, int64_t points)
{
    const int64_t shape[] = {batch, channels, points};
    for (int i = 0; i < c->count; i++) {
        if (strcmp(c->array[i].name, "in_x") != 0)
            continue;
        const npy_array given = c->array[i].data;
        const int64_t samples = given.shape[2];
        snprintf(c->array[i].name, GOLDEN_NAME, "given_x");
        double *padded = golden_room(c, "in_x", 3, shape, batch * channels * points);
        for (int64_t at = 0; padded != NULL && at < batch * channels * points; at++)
            padded[at] = at % points < samples ? npy_get(&given, at / points * samples + at % points) : 0.0;
        return padded != NULL;
    }
    return false;
}

/* out_Y as out_y, [batch, 2 channels, points]. */
static bool part_output(golden_case *c, int64_t batch, int64_t channels, int64_t points)
{
    const int64_t shape[] = {batch, 2 * channels, points}, half = channels * points;
    const npy_array given = *golden_find(c, "out_Y");
    double *parts = golden_room(c, "out_y", 3, shape, 2 * batch * half);
    for (int64_t at = 0; parts != NULL && at < 2 * batch * half; at++) {
        const int64_t b = at / (2 * half), part = at / half % 2, place = at % half;
        parts[at] = npy_get(&given, 2 * (b * half + place) + part);
    }
    return parts != NULL;
}

golden_outcome golden_run_block_transform(golden_case *c, const golden_setup *setup, lcv_dtype dtype)
{
    const npy_array *out = golden_find(c, "out_Y");
    golden_mixer g = {
        .mixer = "block_transform", .options = "layout=bdl", .ports = {{"matrices", {"mat_16"}}}};
    if (out == NULL || out->rank != 4 || golden_find(c, "in_x") == NULL)
        return golden_say(c, GOLDEN_FAILED, "x or Y are missing");
    g.batch = out->shape[0];
    g.channels = out->shape[1];
    g.seqlen = out->shape[2];
    if (golden_find(c, "out_y") == NULL &&
        (!pad_input(c, g.batch, g.channels, g.seqlen) || !part_output(c, g.batch, g.channels, g.seqlen)))
        return golden_say(c, GOLDEN_FAILED, "no memory");
    return golden_mixer_run(c, setup, &g, dtype);
}
