/* SPDX-License-Identifier: BSD-3-Clause */
#include "weights.h"

#include "arrays.h"
#include "npy.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { PATH_BYTES = 4096 };

static const char suffix[] = ".safetensors";

/* One array, wherever it lies. */
typedef struct {
    const safetensors_entry *entry; /* NULL: npy */
    npy_array npy;
    int rank;
    int64_t count, shape[SAFETENSORS_MAX_RANK];
} source;

static bool is_file_name(const char *path)
{
    const size_t length = strlen(path), end = sizeof suffix - 1;
    return length > end && strcmp(path + length - end, suffix) == 0;
}

bool weights_open(const char *path, weights *out, char *message, size_t message_bytes)
{
    struct stat status;
    *out = (weights){.path = path, .is_file = is_file_name(path)};
    if (out->is_file)
        return safetensors_read(path, &out->file, message, message_bytes);
    if (stat(path, &status) == 0 && S_ISDIR(status.st_mode))
        return true;
    snprintf(message, message_bytes, "%s: expected a folder of .npy files, or a name that ends with %s", path,
             suffix);
    return false;
}

void weights_close(weights *w)
{
    safetensors_free(&w->file);
}

/* ---- Reading ---- */

static bool name_file(const weights *w, const char *name, char path[PATH_BYTES])
{
    const int length = snprintf(path, PATH_BYTES, "%s/%s.npy", w->path, name);
    return length > 0 && length < PATH_BYTES;
}

static bool open_entry(const weights *w, const char *name, source *out, char *message, size_t message_bytes)
{
    out->entry = safetensors_find(&w->file, name);
    if (out->entry == NULL || !out->entry->is_real) {
        snprintf(message, message_bytes, "%s: %s: %s", w->path, name,
                 out->entry == NULL ? "is not there" : "is not of real numbers");
        return false;
    }
    out->rank = out->entry->rank;
    out->count = out->entry->count;
    memcpy(out->shape, out->entry->shape, sizeof out->shape);
    return true;
}

static bool open_npy(const weights *w, const char *name, source *out, char *message, size_t message_bytes)
{
    char path[PATH_BYTES];
    if (!name_file(w, name, path)) {
        snprintf(message, message_bytes, "%s: %s: the name is too long", w->path, name);
        return false;
    }
    if (!npy_read(path, &out->npy, message, message_bytes))
        return false;
    out->rank = out->npy.rank;
    out->count = out->npy.count;
    memcpy(out->shape, out->npy.shape, (size_t)out->rank * sizeof out->shape[0]);
    return true;
}

static bool open_source(const weights *w, const char *name, source *out, char *message, size_t message_bytes)
{
    *out = (source){0};
    return w->is_file ? open_entry(w, name, out, message, message_bytes)
                      : open_npy(w, name, out, message, message_bytes);
}

static void close_source(source *s)
{
    if (s->entry == NULL)
        npy_free(&s->npy);
}

static double number_at(const source *s, int64_t index)
{
    return s->entry != NULL ? safetensors_get(s->entry, index) : npy_get(&s->npy, index);
}

bool weights_has(const weights *w, const char *name, int *rank, int64_t shape[SAFETENSORS_MAX_RANK])
{
    char path[PATH_BYTES], message[PATH_BYTES];
    struct stat status;
    source s;
    if (!w->is_file && (!name_file(w, name, path) || stat(path, &status) != 0))
        return false;
    if (!open_source(w, name, &s, message, sizeof message))
        return false;
    *rank = s.rank;
    memcpy(shape, s.shape, sizeof s.shape);
    close_source(&s);
    return true;
}

/* Axes of length 1 are left out of both. */
static bool same_shape(const source *s, const lcv_tensor *tensor)
{
    int i = 0;
    int32_t k = 0;
    while (i < s->rank || k < tensor->rank) {
        if (i < s->rank && s->shape[i] == 1)
            i++;
        else if (k < tensor->rank && tensor->shape[k] == 1)
            k++;
        else if (i == s->rank || k == tensor->rank || s->shape[i++] != tensor->shape[k++])
            return false;
    }
    return true;
}

static void print_shape(char *text, size_t size, const int64_t *shape, int rank)
{
    size_t used = 0;
    text[0] = '\0';
    for (int axis = 0; axis < rank && used < size; axis++) {
        const int length =
            snprintf(text + used, size - used, "%s%" PRId64, axis > 0 ? ", " : "", shape[axis]);
        used += length > 0 ? (size_t)length : 0;
    }
}

static bool copy(const source *s, const char *name, const lcv_tensor *tensor, char *message,
                 size_t message_bytes)
{
    char wanted[80], given[160];
    const lcv_tensor flat = lcv_tensor_compact(tensor->data, tensor->dtype, 1, &s->count);
    if (!same_shape(s, tensor)) {
        print_shape(wanted, sizeof wanted, tensor->shape, tensor->rank);
        print_shape(given, sizeof given, s->shape, s->rank);
        snprintf(message, message_bytes, "%s: expected shape [%s], given [%s]", name, wanted, given);
        return false;
    }
    for (int64_t i = 0; i < s->count; i++) {
        const double value = number_at(s, i);
        if (!isfinite(value)) {
            snprintf(message, message_bytes, "%s: element %" PRId64 " is not a finite number", name, i);
            return false;
        }
        tensor_set(&flat, i, value);
    }
    return true;
}

bool weights_load(const weights *w, const char *name, const lcv_tensor *tensor, char *message,
                  size_t message_bytes)
{
    source s;
    if (!open_source(w, name, &s, message, message_bytes))
        return false;
    const bool fine = copy(&s, name, tensor, message, message_bytes);
    close_source(&s);
    return fine;
}

/* ---- Writing ---- */

static bool save_file(const char *path, const char *const *names, const lcv_tensor *tensors, int count,
                      const char *const *metadata, char *message, size_t message_bytes)
{
    safetensors_entry *entries = calloc((size_t)count + 1, sizeof *entries);
    bool fine = entries != NULL;
    for (int i = 0; fine && i < count; i++) {
        entries[i] = (safetensors_entry){
            .name = names[i], .dtype = tensors[i].dtype, .rank = tensors[i].rank, .data = tensors[i].data};
        memcpy(entries[i].shape, tensors[i].shape, sizeof tensors[i].shape);
    }
    if (!fine)
        snprintf(message, message_bytes, "%s: out of memory", path);
    fine = fine && safetensors_write(path, entries, count, metadata, message, message_bytes);
    free(entries);
    return fine;
}

static bool save_folder(const char *path, const char *const *names, const lcv_tensor *tensors, int count,
                        char *message, size_t message_bytes)
{
    const weights target = {.path = path};
    char file[PATH_BYTES];
    if (mkdir(path, 0777) != 0 && errno != EEXIST) {
        snprintf(message, message_bytes, "%s: %s", path, strerror(errno));
        return false;
    }
    bool fine = true;
    for (int i = 0; fine && i < count; i++)
        fine = name_file(&target, names[i], file) &&
               npy_write(file, tensors[i].dtype == LCV_F64 ? NPY_F8 : NPY_F4, tensors[i].rank,
                         tensors[i].shape, tensors[i].data, message, message_bytes);
    return fine;
}

bool weights_save(const char *path, const char *const *names, const lcv_tensor *tensors, int count,
                  const char *const *metadata, char *message, size_t message_bytes)
{
    return is_file_name(path) ? save_file(path, names, tensors, count, metadata, message, message_bytes)
                              : save_folder(path, names, tensors, count, message, message_bytes);
}
