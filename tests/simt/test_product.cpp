// SPDX-License-Identifier: BSD-3-Clause
// The kernels of matrix products on the CPU: against sums in long double, and proof that each barrier is
// needed.
//     test_product [cases|barriers]
#include "check.h"
#include "gpu_product.h"

#include <cstdio>
#include <cstring>
#include <longconv/half.h>
#include <random>
#include <simt.h>

namespace
{

std::mt19937 generator(3);

double unit_of(int32_t dtype)
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

size_t size_of(int32_t dtype)
{
    return dtype == LCV_F64 ? 8 : dtype == LCV_F32 ? 4 : 2;
}

enum Layout { ROW_MAJOR, COLUMN_MAJOR, SPREAD, LAYOUTS };

// A batch of matrices of random numbers, anywhere in memory that ends with its last element.
class Matrices
{
  public:
    Matrices(int32_t dtype, int64_t batch, int64_t rows, int64_t columns, Layout layout, size_t offset)
        : dtype_(dtype), offset_(offset)
    {
        const int64_t gap = layout == SPREAD ? 2 : 1, pitch = layout == SPREAD ? 3 : 0;
        const bool by_columns = layout == COLUMN_MAJOR;
        view.stride[by_columns ? 1 : 2] = gap;
        view.stride[by_columns ? 2 : 1] = (by_columns ? rows : columns) * gap + pitch;
        view.stride[0] = (by_columns ? columns : rows) * view.stride[by_columns ? 2 : 1];
        const bool empty = batch * rows * columns == 0;
        const int64_t reach = empty ? 0
                                    : (batch - 1) * view.stride[0] + (rows - 1) * view.stride[1] +
                                          (columns - 1) * view.stride[2] + 1;
        memory_.assign(offset + size_t(reach) * size_of(dtype), 0x5c);
        std::uniform_real_distribution<double> uniform(-1.0, 1.0);
        for (int64_t i = 0; i < reach; i++)
            put(i, uniform(generator));
    }

    lcv_array array()
    {
        lcv_array a = view;
        a.data = memory_.data() + offset_;
        return a;
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

    int32_t dtype_;
    size_t offset_;
    std::vector<unsigned char> memory_;
};

struct Case {
    int32_t left, right, c;
    int64_t batch, rows, columns, inner, slices;
    bool sum_batch, accumulate, biased;
    Layout layout[3];
    size_t offset;
};

// The worst error as a multiple of its bound.
double run(const Case &k)
{
    const int64_t results = k.sum_batch ? 1 : k.batch, parts = k.sum_batch ? k.batch : 1;
    const int32_t compute = k.c == LCV_F64 ? LCV_F64 : LCV_F32;
    Matrices left(k.left, k.batch, k.rows, k.inner, k.layout[0], k.offset);
    Matrices right(k.right, k.batch, k.inner, k.columns, k.layout[1], k.offset);
    Matrices c(k.c, results, k.rows, k.columns, k.layout[2], k.offset), before = c;
    Matrices bias(compute, 1, k.rows, 1, ROW_MAJOR, 0);
    std::vector<unsigned char> partial(size_t(k.slices * results * k.rows * k.columns) * size_of(compute),
                                       0xff);
    lcv_gpu_product p = {};
    p.left = left.array(), p.right = right.array(), p.c = c.array();
    if (k.biased) {
        p.bias = bias.array();
        p.bias.stride[0] = p.bias.stride[2] = 0;
    }
    p.left_dtype = k.left, p.right_dtype = k.right, p.c_dtype = k.c, p.accumulate = k.accumulate;
    p.results = results, p.parts = parts, p.rows = k.rows, p.columns = k.columns, p.inner = k.inner;
    p.slices = k.slices;
    p.partial = k.slices > 1 ? partial.data() : nullptr;
    double worst = lcv_gpu_run_product(p, nullptr) == 0 ? 0.0 : HUGE_VAL;
    for (int64_t b = 0; b < results; b++)
        for (int64_t i = 0; i < k.rows; i++)
            for (int64_t j = 0; j < k.columns; j++) {
                long double sum = 0, magnitude = 0;
                const auto add = [&](long double term) {
                    sum += term;
                    magnitude += fabsl(term);
                };
                for (int64_t part = 0; part < parts; part++)
                    for (int64_t t = 0; t < k.inner; t++)
                        add((long double)left.at(b + part, i, t) * (long double)right.at(b + part, t, j));
                add(k.biased ? bias.at(0, i, 0) : 0.0);
                add(k.accumulate ? before.at(b, i, j) : 0.0);
                /* Runs of 256 terms, one after the other. */
                const double rounded = unit_of(compute) * (256.0 + double(parts * k.inner) / 256.0);
                const double tiny = k.c == LCV_F16 ? 0x1p-25 : 0.0;
                const double bound = double(magnitude) * rounded + fabs(double(sum)) * unit_of(k.c) + tiny;
                const double error = fabs(c.at(b, i, j) - double(sum));
                const double ratio = error == 0.0 ? 0.0 : error / bound;
                worst = ratio <= worst ? worst : std::isnan(ratio) ? HUGE_VAL : ratio;
            }
    return worst;
}

const int32_t types[][3] = {{LCV_F32, LCV_F32, LCV_F32},
                            {LCV_F64, LCV_F64, LCV_F64},
                            {LCV_F32, LCV_F16, LCV_F16},
                            {LCV_BF16, LCV_BF16, LCV_F32}};

const int64_t sizes[][4] = {
    /* batch, rows, columns, inner */
    {1, 1, 1, 1},     {2, 3, 5, 7},   {1, 64, 64, 16}, {3, 17, 70, 33}, {1, 65, 150, 200}, {2, 24, 70, 16},
    {1, 130, 1, 600}, {4, 1, 90, 50}, {2, 5, 6, 0},    {0, 3, 4, 5},    {3, 0, 4, 5},
};

int check_cases()
{
    int failures = 0, number = 0;
    for (const auto &type : types)
        for (const auto &size : sizes)
            for (int how = 0; how < 12; how++, number++) {
                const Case k = {
                    type[0],
                    type[1],
                    type[2],
                    size[0],
                    size[1],
                    size[2],
                    size[3],
                    how % 4 == 3 ? 3 : 1,
                    how % 2 == 1,
                    how % 3 == 1,
                    how % 4 != 2,
                    {Layout(how % LAYOUTS), Layout(how / 2 % LAYOUTS), Layout((how + number) % LAYOUTS)},
                    how % 5 == 4 ? size_t(1) : size_t(0)};
                simt::set_order(simt::Order(number % 3), unsigned(number));
                const double ratio = run(k);
                if (ratio <= 1.0)
                    continue;
                failures++;
                std::printf("FAILED b%lld r%lld c%lld k%lld, types %d %d %d, way %d: %.3g of the bound\n",
                            (long long)size[0], (long long)size[1], (long long)size[2], (long long)size[3],
                            type[0], type[1], type[2], how, ratio);
            }
    std::printf("%d products\n", number);
    return failures;
}

} // namespace

int main(int argc, char **argv)
{
    const bool barriers = argc > 1 && std::strcmp(argv[1], "barriers") == 0;
    const Case k = {LCV_F32, LCV_F32, LCV_F32, 1,     70,   80,
                    70,      1,       false,   false, true, {ROW_MAJOR, ROW_MAJOR, ROW_MAJOR},
                    0};
    const int failures = barriers ? check_barriers([&] { return run(k); }) : check_cases();
    std::printf("%d failures\n", failures);
    return failures != 0;
}
