/* SPDX-License-Identifier: BSD-3-Clause */
/* Version, status texts and dtypes. */
#include <longconv/common.h>

#define TEXT_OF(number)                   #number
#define VERSION_TEXT(major, minor, patch) TEXT_OF(major) "." TEXT_OF(minor) "." TEXT_OF(patch)

int32_t lcv_version(void)
{
    return LCV_VERSION_NUMBER;
}

const char *lcv_version_text(void)
{
    return VERSION_TEXT(LCV_VERSION_MAJOR, LCV_VERSION_MINOR, LCV_VERSION_PATCH);
}

const char *lcv_status_text(lcv_status status)
{
    switch (status) {
#define LCVI_STATUS(name, text)                                                                              \
    case LCV_##name:                                                                                         \
        return text;
#include "status_list.inc"
#undef LCVI_STATUS
    }
    return "unknown status";
}

const char *lcv_status_name(lcv_status status)
{
    switch (status) {
#define LCVI_STATUS(name, text)                                                                              \
    case LCV_##name:                                                                                         \
        return #name;
#include "status_list.inc"
#undef LCVI_STATUS
    }
    return "UNKNOWN";
}

static const struct {
    const char *name;
    size_t size;
    lcv_dtype compute;
} dtypes[] = {
    [LCV_F32] = {"f32", 4, LCV_F32},
    [LCV_F64] = {"f64", 8, LCV_F64},
    [LCV_F16] = {"f16", 2, LCV_F32},
    [LCV_BF16] = {"bf16", 2, LCV_F32},
};

static int known(lcv_dtype dtype)
{
    return (size_t)dtype < sizeof dtypes / sizeof dtypes[0];
}

const char *lcv_dtype_name(lcv_dtype dtype)
{
    return known(dtype) ? dtypes[dtype].name : NULL;
}

size_t lcv_dtype_size(lcv_dtype dtype)
{
    return known(dtype) ? dtypes[dtype].size : 0;
}

lcv_dtype lcv_dtype_compute(lcv_dtype dtype)
{
    return known(dtype) ? dtypes[dtype].compute : LCV_F32;
}
