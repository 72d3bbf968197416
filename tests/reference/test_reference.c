/* SPDX-License-Identifier: BSD-3-Clause */
/* The reference vectors on every backend and engine, in float64 and float32. Usage: test_reference FOLDER */
#include "vector_file.h"

#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MAX_FILES = 64, PATH_SIZE = 512 };

/* Where a named array goes in the args of forward and of backward; NOWHERE: not at all. */
typedef struct slot {
    const char *name;
    size_t in_forward, in_backward;
    uint32_t grad;
} slot;

#define NOWHERE         ((size_t)-1)
#define BOTH(field)     offsetof(lcv_conv_args, field), offsetof(lcv_conv_grad_args, field)
#define FORWARD(field)  offsetof(lcv_conv_args, field), NOWHERE
#define BACKWARD(field) NOWHERE, offsetof(lcv_conv_grad_args, field)

static const slot slots[] = {
    {"u", BOTH(u), 0},
    {"filter", BOTH(filter), 0},
    {"filter_future", BOTH(filter_future), 0},
    {"skip", BOTH(skip), 0},
    {"bias", BOTH(bias), 0},
    {"pre_gate", BOTH(pre_gate), 0},
    {"post_gate", BOTH(post_gate), 0},
    {"state_in", BOTH(state_in), 0},
    {"y", FORWARD(y), 0},
    {"state_out", FORWARD(state_out), 0},
    {"dy", BACKWARD(dy), 0},
    {"dstate_out", BACKWARD(dstate_out), 0},
    {"du", BACKWARD(du), LCV_GRAD_U},
    {"dfilter", BACKWARD(dfilter), LCV_GRAD_FILTER},
    {"dfilter_future", BACKWARD(dfilter_future), LCV_GRAD_FILTER_FUTURE},
    {"dskip", BACKWARD(dskip), LCV_GRAD_SKIP},
    {"dbias", BACKWARD(dbias), LCV_GRAD_BIAS},
    {"dpre_gate", BACKWARD(dpre_gate), LCV_GRAD_PRE_GATE},
    {"dpost_gate", BACKWARD(dpost_gate), LCV_GRAD_POST_GATE},
    {"dstate_in", BACKWARD(dstate_in), LCV_GRAD_STATE},
};

/* One run of one file. */
typedef struct run {
    const vector_file *file;
    lcv_conv_params params;
    lcv_conv_args forward;
    lcv_conv_grad_args backward;
    void *memory[VECTOR_MAX_ARRAYS];
} run;

static const slot *find_slot(const char *name)
{
    for (size_t i = 0; i < sizeof slots / sizeof slots[0]; i++)
        if (strcmp(slots[i].name, name) == 0)
            return &slots[i];
    fail_msg("the vector file has an unknown array \"%s\"", name);
    return NULL;
}

/* The array in the run's dtype. Outputs begin as NaN, so that a value that is not written is seen. */
static void *converted(const vector_array *array, lcv_dtype dtype)
{
    size_t count = (size_t)array->count;
    void *memory = calloc(count + 1, lcv_dtype_size(dtype));
    assert_non_null(memory);
    for (size_t i = 0; i < count; i++) {
        double value = array->is_output ? (double)NAN : array->values[i];
        if (dtype == LCV_F64)
            ((double *)memory)[i] = value;
        else
            ((float *)memory)[i] = (float)value;
    }
    return memory;
}

static void place(void *args, size_t offset, const lcv_tensor *tensor)
{
    if (offset != NOWHERE)
        memcpy((char *)args + offset, tensor, sizeof *tensor);
}

static void bind(run *this)
{
    const lcv_conv_args forward = LCV_CONV_ARGS_INIT;
    const lcv_conv_grad_args backward = LCV_CONV_GRAD_ARGS_INIT;
    this->forward = forward;
    this->backward = backward;
    for (int i = 0; i < this->file->arrays_count; i++) {
        const vector_array *array = &this->file->arrays[i];
        const slot *where = find_slot(array->name);
        this->memory[i] = converted(array, this->params.dtype);
        lcv_tensor tensor =
            lcv_tensor_compact(this->memory[i], this->params.dtype, array->rank, array->shape);
        place(&this->forward, where->in_forward, &tensor);
        place(&this->backward, where->in_backward, &tensor);
        this->params.grad_mask |= where->grad;
    }
}

static double value_at(const run *this, int array, int64_t i)
{
    return this->params.dtype == LCV_F64 ? ((const double *)this->memory[array])[i]
                                         : (double)((const float *)this->memory[array])[i];
}

/* What the worst element of an array may be wrong by. */
static double allowed_error(const run *this, const vector_array *array)
{
    double largest = 0;
    if (this->params.dtype == LCV_F32)
        return array->scale * 0x1p-24;
    for (int64_t i = 0; i < array->count; i++)
        largest = fmax(largest, fabs(array->values[i]));
    return 1e-12 * largest;
}

static void check_outputs(const run *this)
{
    for (int k = 0; k < this->file->arrays_count; k++) {
        const vector_array *array = &this->file->arrays[k];
        double allowed = allowed_error(this, array);
        if (!array->is_output)
            continue;
        for (int64_t i = 0; i < array->count; i++) {
            double given = value_at(this, k, i);
            if (!(fabs(given - array->values[i]) <= allowed))
                fail_msg("%s %s/%s: %s[%lld] is %.17g, expected %.17g within %.3g",
                         lcv_dtype_name(this->params.dtype), this->params.backend,
                         this->params.engine ? this->params.engine : "auto", array->name, (long long)i, given,
                         array->values[i], allowed);
        }
    }
}

/* False: the engine does not serve this case. The backend's own choice must. */
static bool run_once(lcv_context *context, const vector_file *file, lcv_dtype dtype, const char *backend,
                     const char *engine)
{
    run this = {.file = file, .params = file->params};
    lcv_plan *plan = NULL;
    this.params.dtype = dtype;
    this.params.backend = backend;
    this.params.engine = engine;
    bind(&this);
    lcv_status status = lcv_conv_plan_create(context, &this.params, &plan);
    bool served = status != LCV_UNSUPPORTED || engine == NULL;
    if (served) {
        if (status != LCV_OK || (status = lcv_conv_forward(plan, &this.forward)) != LCV_OK ||
            (file->backward && (status = lcv_conv_backward(plan, &this.backward)) != LCV_OK))
            fail_msg("%s/%s: %s: %s", backend, engine ? engine : "auto", lcv_status_text(status),
                     lcv_context_message(context));
        check_outputs(&this);
    }
    lcv_plan_destroy(&plan);
    for (int i = 0; i < file->arrays_count; i++)
        free(this.memory[i]);
    return served;
}

/* All engines of one backend, and its own choice. */
static int run_backend(lcv_context *context, const vector_file *file, const lcv_backend_info *info)
{
    char names[256];
    int served = 0;
    assert_true(strlen(info->engines) < sizeof names);
    strcpy(names, info->engines);
    for (int is_double = 0; is_double < 2; is_double++)
        served += run_once(context, file, is_double ? LCV_F64 : LCV_F32, info->name, NULL);
    for (const char *engine = strtok(names, " "); engine != NULL; engine = strtok(NULL, " "))
        for (int is_double = 0; is_double < 2; is_double++)
            served += run_once(context, file, is_double ? LCV_F64 : LCV_F32, info->name, engine);
    return served;
}

static void test_file(void **state)
{
    static vector_file file;
    lcv_context *context = NULL;
    int host_backends = 0;
    vector_file_read(&file, *state);
    assert_int_equal(lcv_context_create(NULL, &context), LCV_OK);
    for (int32_t i = 0; i < lcv_backend_count(context); i++) {
        lcv_backend_info info = {.struct_size = sizeof info};
        assert_int_equal(lcv_backend_describe(context, i, &info), LCV_OK);
        if (!info.available || info.device != LCV_DEVICE_CPU)
            continue;
        host_backends++;
        print_message("    %s: %d runs\n", info.name, run_backend(context, &file, &info));
    }
    assert_true(host_backends >= 2); /* ref and cpu are always there */
    lcv_context_destroy(&context);
    vector_file_free(&file);
}

/* Fills `paths` with the vector files of a folder and returns their number. */
static size_t list_files(const char *folder, char (*paths)[PATH_SIZE])
{
    size_t count = 0;
    DIR *directory = opendir(folder);
    const struct dirent *entry;
    while (directory != NULL && (entry = readdir(directory)) != NULL && count < MAX_FILES) {
        const char *ending = strrchr(entry->d_name, '.');
        if (ending != NULL && strcmp(ending, ".txt") == 0)
            snprintf(paths[count++], PATH_SIZE, "%s/%s", folder, entry->d_name);
    }
    if (directory != NULL)
        closedir(directory);
    return count;
}

int main(int argc, char **argv)
{
    static char paths[MAX_FILES][PATH_SIZE];
    struct CMUnitTest tests[MAX_FILES];
    size_t count = argc == 2 ? list_files(argv[1], paths) : 0;
    memset(tests, 0, sizeof tests);
    for (size_t i = 0; i < count; i++) {
        tests[i].name = strrchr(paths[i], '/') + 1;
        tests[i].test_func = test_file;
        tests[i].initial_state = paths[i];
    }
    if (count == 0)
        fprintf(stderr, "no vector files: usage: test_reference FOLDER\n");
    return count == 0 ? 1 : _cmocka_run_group_tests("reference", tests, count, NULL, NULL);
}
