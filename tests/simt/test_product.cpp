// SPDX-License-Identifier: BSD-3-Clause
// The kernels of matrix products on the CPU: against sums in long double, and proof that each barrier is
// needed.
//     test_product [cases|barriers]
#include "arrays.h"
#include "check.h"
#include "gpu_product.h"

#include <cstdio>
#include <cstring>
#include <simt.h>

namespace
{

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
