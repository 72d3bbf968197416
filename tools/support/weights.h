/* SPDX-License-Identifier: BSD-3-Clause */
/* weights.h: named arrays of a trained operator, from a .safetensors file or a folder of NAME.npy files. */
#ifndef SUPPORT_WEIGHTS_H
#define SUPPORT_WEIGHTS_H

#include "safetensors.h"

#include <longconv/tensor.h>

typedef struct weights {
    const char *path;
    bool is_file;
    safetensors file;
} weights;

/* False: `message` says why. `path` must outlive it. */
bool weights_open(const char *path, weights *out, char *message, size_t message_bytes);
void weights_close(weights *w);

/* Is there an array of this name, and what shape has it? */
bool weights_has(const weights *w, const char *name, int *rank, int64_t shape[SAFETENSORS_MAX_RANK]);

/* Copies an array into a compact tensor of the same shape (axes of length 1 do not count), converted. False:
 * `message` says what is wrong; also when a number is not finite. */
bool weights_load(const weights *w, const char *name, const lcv_tensor *tensor, char *message,
                  size_t message_bytes);

/* Writes compact tensors of float32 or float64: to a file when the path ends with ".safetensors", else into a
 * folder, which is made if need be. */
bool weights_save(const char *path, const char *const *names, const lcv_tensor *tensors, int count,
                  const char *const *metadata, char *message, size_t message_bytes);

#endif
