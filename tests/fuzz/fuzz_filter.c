/* SPDX-License-Identifier: BSD-3-Clause */
/* Fuzz target: option texts of filter families. What is refused gets a message and no instance; what is
 * accepted makes an instance whose own options make it again, and which evaluates any range and its gradients
 * within its arrays. */
#include "fuzz_input.h"

#include <longconv/longconv.h>

#include <string.h>

enum { MOST_BYTES = 1 << 20, MOST_PARAMETERS = 16 };

/* Sizes that an option may ask for are cut off here: a failed allocation is one more way to refuse. */
static void *allocate(void *user, size_t bytes, size_t alignment)
{
    (void)user;
    if (bytes > MOST_BYTES)
        return NULL;
    alignment = alignment < sizeof(void *) ? sizeof(void *) : alignment;
    return aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
}

static void release(void *user, void *memory, size_t bytes)
{
    (void)user;
    (void)bytes;
    free(memory);
}

static lcv_context *open_context(void)
{
    static lcv_context *context;
    lcv_context_params params = LCV_CONTEXT_PARAMS_INIT;
    params.alloc = allocate;
    params.free = release;
    params.num_threads = 1;
    if (context == NULL)
        FUZZ_REQUIRE(lcv_context_create(&params, &context) == LCV_OK);
    return context;
}

static void *room(int64_t count)
{
    void *memory = malloc((size_t)count * sizeof(double));
    FUZZ_REQUIRE(memory != NULL);
    memset(memory, 0, (size_t)count * sizeof(double));
    return memory;
}

/* The arrays are as large as what they hold, so that a sanitizer sees what is beyond. */
static void backward(const lcv_filter *filter, const lcv_filter_info *info, const lcv_tensor *taps,
                     int64_t seqlen, int64_t first)
{
    lcv_filter_grad_args args = LCV_FILTER_GRAD_ARGS_INIT;
    lcv_tensor gradients[MOST_PARAMETERS] = {{0}};
    FUZZ_REQUIRE(info->parameter_count <= MOST_PARAMETERS);
    for (int32_t i = 0; i < info->parameter_count; i++) {
        lcv_port_info port = {.struct_size = sizeof port};
        int64_t count = 1;
        FUZZ_REQUIRE(lcv_filter_parameter(filter, i, &port) == LCV_OK);
        for (int32_t axis = 0; axis < port.rank; axis++)
            count *= port.shape[axis];
        if (port.trainable)
            gradients[i] = lcv_tensor_compact(room(count), info->dtype, port.rank, port.shape);
    }
    args.seqlen = seqlen;
    args.first = first;
    args.dtaps = *taps;
    args.gradients = gradients;
    args.gradient_count = info->parameter_count;
    const lcv_status status = lcv_filter_backward(filter, &args);
    FUZZ_REQUIRE(status == LCV_OK || status == LCV_OUT_OF_MEMORY);
    for (int32_t i = 0; i < info->parameter_count; i++)
        free(gradients[i].data);
}

static void use(const lcv_filter *filter, int64_t first, int64_t count)
{
    lcv_filter_info info = {.struct_size = sizeof info};
    lcv_filter_args args = LCV_FILTER_ARGS_INIT;
    FUZZ_REQUIRE(lcv_filter_describe(filter, &info) == LCV_OK);
    if (info.filters > MOST_BYTES / 1024)
        return;
    const int64_t shape[] = {info.filters, count};
    args.seqlen = info.max_len;
    args.first = first;
    args.taps = lcv_tensor_compact(room(info.filters * count), info.dtype, 2, shape);
    const lcv_status status = lcv_filter_evaluate(filter, &args);
    FUZZ_REQUIRE(status == LCV_OK || status == LCV_OUT_OF_MEMORY);
    if (status == LCV_OK)
        backward(filter, &info, &args.taps, info.max_len, first);
    free(args.taps.data);
}

/* Its own options make the same instance. */
static void make_again(lcv_context *context, lcv_filter_params params, const lcv_filter *filter)
{
    lcv_filter_info info = {.struct_size = sizeof info}, second = {.struct_size = sizeof second};
    lcv_filter *again;
    FUZZ_REQUIRE(lcv_filter_describe(filter, &info) == LCV_OK);
    params.options = info.options;
    FUZZ_REQUIRE(lcv_filter_create(context, &params, &again) == LCV_OK);
    FUZZ_REQUIRE(lcv_filter_describe(again, &second) == LCV_OK);
    FUZZ_REQUIRE(strcmp(info.options, second.options) == 0);
    lcv_filter_destroy(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    fuzz_input input = {bytes, size};
    lcv_context *context = open_context();
    lcv_filter_family_info family = {.struct_size = sizeof family};
    lcv_filter_params params = LCV_FILTER_PARAMS_INIT;
    lcv_filter *filter;
    FUZZ_REQUIRE(lcv_filter_family_describe((int32_t)fuzz_below(&input, lcv_filter_family_count()),
                                            &family) == LCV_OK);
    params.family = family.name;
    params.dtype = fuzz_below(&input, 2) == 0 ? LCV_F32 : LCV_F64;
    params.channels = 1 + fuzz_below(&input, 4);
    params.max_len = 1 + fuzz_below(&input, 80);
    const int64_t first = fuzz_below(&input, params.max_len + 1);
    const int64_t count = fuzz_below(&input, params.max_len - first + 1);
    char *text = malloc(input.left + 1);
    FUZZ_REQUIRE(text != NULL);
    memcpy(text, input.bytes, input.left);
    text[input.left] = '\0';
    params.options = text;
    const lcv_status status = lcv_filter_create(context, &params, &filter);
    FUZZ_REQUIRE((status == LCV_OK) == (filter != NULL));
    FUZZ_REQUIRE(status == LCV_OK || strlen(lcv_context_message(context)) > 0);
    if (filter != NULL) {
        make_again(context, params, filter);
        use(filter, first, count);
    }
    lcv_filter_destroy(&filter);
    free(text);
    return 0;
}
