/* SPDX-License-Identifier: BSD-3-Clause */
#include "gpu_fft.h"

#include <cufft.h>

struct lcv_gpu_fft {
    lcv_gpu_device *device;
    cufftHandle handle;
    bool has_handle, is_double;
};

static const char *text_of(cufftResult result)
{
    static const struct {
        cufftResult code;
        const char *text;
    } rows[] = {
        {CUFFT_INVALID_PLAN, "CUFFT_INVALID_PLAN"},     {CUFFT_ALLOC_FAILED, "CUFFT_ALLOC_FAILED"},
        {CUFFT_INVALID_VALUE, "CUFFT_INVALID_VALUE"},   {CUFFT_INTERNAL_ERROR, "CUFFT_INTERNAL_ERROR"},
        {CUFFT_EXEC_FAILED, "CUFFT_EXEC_FAILED"},       {CUFFT_SETUP_FAILED, "CUFFT_SETUP_FAILED"},
        {CUFFT_INVALID_SIZE, "CUFFT_INVALID_SIZE"},     {CUFFT_UNALIGNED_DATA, "CUFFT_UNALIGNED_DATA"},
        {CUFFT_INVALID_DEVICE, "CUFFT_INVALID_DEVICE"}, {CUFFT_NO_WORKSPACE, "CUFFT_NO_WORKSPACE"},
        {CUFFT_NOT_SUPPORTED, "CUFFT_NOT_SUPPORTED"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].code == result)
            return rows[i].text;
    return "a code without a name here";
}

/* cuFFT's codes hide those of CUDA below it; where CUDA has one, it says more. */
static lcv_status check(lcv_gpu_device *device, cufftResult result, const char *what)
{
    const lcv_backend_host *host = device->host;
    if (result == CUFFT_SUCCESS)
        return LCV_OK;
    const cudaError_t below = cudaPeekAtLastError();
    if (below != cudaSuccess)
        return lcv_gpu_check(device, below, what);
    return host->fail(host, result == CUFFT_ALLOC_FAILED ? LCV_OUT_OF_MEMORY : LCV_BACKEND_FAILED,
                      "cuda: %s: %s (%d)", what, text_of(result), (int)result);
}

static lcv_status make(lcv_gpu_fft *fft, int64_t n, int64_t rows, size_t *work_bytes)
{
    long long length = n;
    lcv_gpu_device *device = fft->device;
    lcv_status status = check(device, cufftCreate(&fft->handle), "cufftCreate");
    if (status != LCV_OK)
        return status;
    fft->has_handle = true;
    status = check(device, cufftSetAutoAllocation(fft->handle, 0), "cufftSetAutoAllocation");
    if (status == LCV_OK)
        status = check(device,
                       cufftMakePlanMany64(fft->handle, 1, &length, NULL, 1, n, NULL, 1, n,
                                           fft->is_double ? CUFFT_Z2Z : CUFFT_C2C, rows, work_bytes),
                       "cufftMakePlanMany64");
    return status;
}

lcv_status lcv_gpu_fft_create(lcv_gpu_device *device, bool is_double, int64_t n, int64_t rows,
                              lcv_gpu_fft **out, size_t *work_bytes)
{
    const lcv_backend_host *host = device->host;
    lcv_gpu_fft *fft = host->allocate(host, sizeof *fft, _Alignof(lcv_gpu_fft));
    *out = NULL;
    if (fft == NULL)
        return host->fail(host, LCV_OUT_OF_MEMORY, "cuda: no memory for %zu bytes", sizeof *fft);
    *fft = (lcv_gpu_fft){.device = device, .is_double = is_double};
    const lcv_status status = make(fft, n, rows, work_bytes);
    if (status != LCV_OK)
        lcv_gpu_fft_destroy(&fft);
    *out = fft;
    return status;
}

void lcv_gpu_fft_destroy(lcv_gpu_fft **pointer)
{
    lcv_gpu_fft *fft = *pointer;
    *pointer = NULL;
    if (fft == NULL)
        return;
    if (fft->has_handle && atomic_load(&fft->device->lost) == 0)
        (void)check(fft->device, cufftDestroy(fft->handle), "cufftDestroy");
    fft->device->host->release(fft->device->host, fft, sizeof *fft);
}

lcv_status lcv_gpu_fft_run(lcv_gpu_fft *fft, bool inverse, void *rows, void *work, cudaStream_t stream)
{
    const int direction = inverse ? CUFFT_INVERSE : CUFFT_FORWARD;
    lcv_gpu_device *device = fft->device;
    lcv_status status = check(device, cufftSetStream(fft->handle, stream), "cufftSetStream");
    if (status == LCV_OK)
        status = check(device, cufftSetWorkArea(fft->handle, work), "cufftSetWorkArea");
    if (status != LCV_OK)
        return status;
    if (fft->is_double)
        return check(device, cufftExecZ2Z(fft->handle, rows, rows, direction), "cufftExecZ2Z");
    return check(device, cufftExecC2C(fft->handle, rows, rows, direction), "cufftExecC2C");
}
