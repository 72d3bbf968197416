/* SPDX-License-Identifier: BSD-3-Clause */
/* dlpack_layout.h: the few declarations of the DLPack standard that the adapter uses, so that it can be
 * tested on machines without DLPack's own header. Source: https://dmlc.github.io/dlpack/latest/c_api.html */
#ifndef DLPACK_LAYOUT_H
#define DLPACK_LAYOUT_H

#include <stdint.h>

#define DLPACK_MAJOR_VERSION 1

typedef enum { kDLCPU = 1, kDLCUDA = 2, kDLMetal = 8 } DLDeviceType;
typedef enum { kDLInt = 0, kDLFloat = 2, kDLBfloat = 4 } DLDataTypeCode;

typedef struct {
    DLDeviceType device_type;
    int32_t device_id;
} DLDevice;

typedef struct {
    uint8_t code;
    uint8_t bits;
    uint16_t lanes;
} DLDataType;

typedef struct {
    void *data;
    DLDevice device;
    int32_t ndim;
    DLDataType dtype;
    int64_t *shape;
    int64_t *strides;
    uint64_t byte_offset;
} DLTensor;

#endif
