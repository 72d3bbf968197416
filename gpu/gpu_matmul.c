/* SPDX-License-Identifier: BSD-3-Clause */
/* Matrix products: how the sums are cut, and the workspace for that. */
#include "gpu_matmul.h"
#include "gpu_product.h"

enum {
    WANTED_TILES = 512, /* of all slices: enough work for a large device */
    LEAST_TERMS = 1024  /* of a slice */
};

static double tiles_along(int64_t count)
{
    return (double)((count + LCV_GPU_PRODUCT_TILE - 1) / LCV_GPU_PRODUCT_TILE);
}

/* From the params alone, so that the order of sums is the same on every device. */
static int64_t slices_of(const lcv_matmul_params *params)
{
    const double results = params->sum_batch ? 1.0 : (double)params->batch;
    const double terms = (double)params->inner * (params->sum_batch ? (double)params->batch : 1.0);
    const double tiles = tiles_along(params->rows) * tiles_along(params->columns) * results;
    if (params->fixed_order || tiles < 1.0 || tiles > WANTED_TILES)
        return 1;
    const double most = terms / LEAST_TERMS, wanted = WANTED_TILES / tiles;
    const double slices = most < wanted ? most : wanted;
    return slices < 1.0 ? 1 : (int64_t)slices;
}

/* There are slices only where c is small: at most WANTED_TILES tiles of reals. */
static size_t workspace_of(const lcv_matmul_params *params)
{
    const int64_t slices = slices_of(params), results = params->sum_batch ? 1 : params->batch;
    if (slices == 1)
        return 0;
    return (size_t)(slices * results * params->rows * params->columns) *
               lcv_dtype_size(lcv_dtype_compute(params->c)) +
           LCV_GPU_ALIGNMENT;
}

lcv_status lcv_gpu_matmul_query(void *device, const lcv_matmul_params *params, size_t *workspace_bytes)
{
    (void)device;
    *workspace_bytes = workspace_of(params);
    return LCV_OK;
}

lcv_status lcv_gpu_multiply_matrices(lcv_gpu_device *device, const lcv_matmul_params *params,
                                     const lcv_matmul_call *call)
{
    lcv_gpu_product product = {.left = call->left,
                               .right = call->right,
                               .c = call->c,
                               .bias = call->bias,
                               .left_dtype = (int32_t)params->left,
                               .right_dtype = (int32_t)params->right,
                               .c_dtype = (int32_t)params->c,
                               .accumulate = call->accumulate,
                               .results = params->sum_batch ? 1 : params->batch,
                               .parts = params->sum_batch ? params->batch : 1,
                               .rows = params->rows,
                               .columns = params->columns,
                               .inner = params->inner,
                               .slices = slices_of(params)};
    if (product.slices > 1)
        product.partial = lcv_gpu_align(call->exec.workspace);
    return lcv_gpu_check(device, (cudaError_t)lcv_gpu_run_product(product, call->exec.stream),
                         "the matrix product");
}

lcv_status lcv_gpu_matmul(void *self, const lcv_matmul_params *params, const lcv_matmul_call *call)
{
    lcv_gpu_device *device = self;
    lcv_gpu_visit visit;
    lcv_status status = lcv_gpu_enter(device, &visit);
    if (status != LCV_OK)
        return status;
    status = lcv_gpu_multiply_matrices(device, params, call);
    lcv_gpu_leave(&visit);
    return status;
}
