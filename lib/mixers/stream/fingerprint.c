/* SPDX-License-Identifier: BSD-3-Clause */
/* What a mixer's stream computes, as one number: every step with its numbers, and what the arrays between
 * them are. Each is taken as eight bytes, the lowest first, whatever the machine and the padding of structs.
 */
#include "mixer_stream.h"

#include "../../stream/crc.h"

#include <string.h>

static uint32_t fold(uint32_t crc, int64_t number)
{
    unsigned char bytes[sizeof number];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)((uint64_t)number >> (8 * i));
    return lcvi_crc32(crc, bytes, sizeof bytes);
}

/* Both zeros are the same number. */
static uint32_t fold_real(uint32_t crc, double real)
{
    int64_t bits = 0;
    if (real < 0.0 || real > 0.0)
        memcpy(&bits, &real, sizeof bits);
    return fold(crc, bits);
}

static uint32_t fold_text(uint32_t crc, const char *text)
{
    return lcvi_crc32(crc, text, strlen(text) + 1);
}

static uint32_t fold_rows(uint32_t crc, lcvi_rows rows)
{
    crc = fold(crc, rows.array);
    if (!lcvi_rows_exist(rows))
        return crc;
    return fold(fold(fold(crc, rows.first), rows.step), rows.count);
}

/* How long data is belongs to a call. */
static uint32_t fold_array(uint32_t crc, const lcvi_mixer_array *array)
{
    const int64_t numbers[] = {
        array->kind, array->dtype,  array->rows, array->kind == LCVI_DATA ? 0 : array->length,
        array->port, array->turned, array->one};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        crc = fold(crc, numbers[i]);
    return crc;
}

/* A kind goes by its name, one that backends do not know by its engine. */
static uint32_t fold_kind(uint32_t crc, const lcvi_step_kind *kind)
{
    return fold_text(crc, kind->name != NULL ? kind->name : kind->engine != NULL ? kind->engine : "");
}

static uint32_t fold_step(uint32_t crc, const lcvi_step *step)
{
    const int64_t numbers[] = {step->adds,         step->is_short,
                               step->mode,         step->future_first_lag,
                               step->tap_order,    step->activation,
                               step->taps,         step->pieces,
                               step->lag,          step->scan.discretisation,
                               step->scan.reversed};
    const double reals[] = {step->epsilon, step->scan.rate, step->scan.largest_real, step->scan.factor};
    crc = fold_kind(crc, step->kind);
    for (int slot = 0; slot < LCVI_SLOTS; slot++)
        crc = fold_rows(crc, step->slot[slot]);
    crc = fold_rows(crc, step->out);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        crc = fold(crc, numbers[i]);
    for (size_t i = 0; i < sizeof reals / sizeof reals[0]; i++)
        crc = fold_real(crc, reals[i]);
    return crc;
}

uint32_t lcvi_mixer_fingerprint(const lcvi_program *program)
{
    uint32_t crc = fold(fold(0, program->array_count), program->step_count);
    for (int32_t i = 0; i < program->array_count; i++)
        crc = fold_array(crc, &program->array[i]);
    for (int32_t i = 0; i < program->step_count; i++)
        crc = fold_step(crc, &program->step[i]);
    return crc;
}
