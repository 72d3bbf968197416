// SPDX-License-Identifier: BSD-3-Clause
// arrays.h: strided arrays of random numbers in every dtype, as kernels take them.
#ifndef LCV_SIMT_ARRAYS_H
#define LCV_SIMT_ARRAYS_H

#include <cstring>
#include <longconv/backend.h>
#include <longconv/half.h>
#include <random>
#include <vector>

inline std::mt19937 &generator()
{
    static std::mt19937 only(3);
    return only;
}

inline double unit_of(int32_t dtype)
{
    switch (dtype) {
    case LCV_F64:
        return 0x1p-53;
    case LCV_F16:
        return 0x1p-11;
    case LCV_BF16:
        return 0x1p-8;
    default:
        return 0x1p-24;
    }
}

inline size_t size_of(int32_t dtype)
{
    return dtype == LCV_F64 ? 8 : dtype == LCV_F32 ? 4 : 2;
}

enum Layout { ROW_MAJOR, COLUMN_MAJOR, SPREAD, LAYOUTS };

// A batch of matrices of random numbers, anywhere in memory that ends with its last element.
class Matrices
{
  public:
    Matrices() = default;
    Matrices(int32_t dtype, int64_t batch, int64_t rows, int64_t columns, Layout layout, size_t offset)
        : dtype_(dtype), offset_(offset)
    {
        const int64_t gap = layout == SPREAD ? 2 : 1, pitch = layout == SPREAD ? 3 : 0;
        const bool by_columns = layout == COLUMN_MAJOR;
        view.stride[by_columns ? 1 : 2] = gap;
        view.stride[by_columns ? 2 : 1] = (by_columns ? rows : columns) * gap + pitch;
        view.stride[0] = (by_columns ? columns : rows) * view.stride[by_columns ? 2 : 1];
        const bool empty = batch * rows * columns == 0;
        reach_ = empty ? 0
                       : (batch - 1) * view.stride[0] + (rows - 1) * view.stride[1] +
                             (columns - 1) * view.stride[2] + 1;
        memory_.assign(offset + size_t(reach_) * size_of(dtype), 0x5c);
        std::uniform_real_distribution<double> uniform(-1.0, 1.0);
        for (int64_t i = 0; i < reach_; i++)
            put(i, uniform(generator()));
    }

    lcv_array array()
    {
        lcv_array a = view;
        a.data = memory_.data() + offset_;
        return a;
    }

    // Makes all elements larger by a power of two.
    void scale(double factor)
    {
        for (int64_t i = 0; i < reach_; i++)
            put(i, factor * get(i));
    }

    int32_t dtype() const
    {
        return dtype_;
    }

    double at(int64_t b, int64_t i, int64_t j) const
    {
        return get(b * view.stride[0] + i * view.stride[1] + j * view.stride[2]);
    }

    lcv_array view = {};

  private:
    double get(int64_t index) const
    {
        const unsigned char *from = memory_.data() + offset_ + size_t(index) * size_of(dtype_);
        double wide;
        float value;
        uint16_t bits;
        switch (dtype_) {
        case LCV_F64:
            std::memcpy(&wide, from, sizeof wide);
            return wide;
        case LCV_F32:
            std::memcpy(&value, from, sizeof value);
            return double(value);
        default:
            std::memcpy(&bits, from, sizeof bits);
            return double(dtype_ == LCV_F16 ? lcv_f16_to_f32(bits) : lcv_bf16_to_f32(bits));
        }
    }

    void put(int64_t index, double value)
    {
        unsigned char *to = memory_.data() + offset_ + size_t(index) * size_of(dtype_);
        const float narrow = float(value);
        const uint16_t bits = dtype_ == LCV_F16 ? lcv_f32_to_f16(narrow) : lcv_f32_to_bf16(narrow);
        if (dtype_ == LCV_F64)
            std::memcpy(to, &value, sizeof value);
        else if (dtype_ == LCV_F32)
            std::memcpy(to, &narrow, sizeof narrow);
        else
            std::memcpy(to, &bits, sizeof bits);
    }

    int32_t dtype_ = LCV_F32;
    size_t offset_ = 0;
    int64_t reach_ = 0;
    std::vector<unsigned char> memory_;
};

#endif
