// SPDX-License-Identifier: BSD-3-Clause
// The kernels of the split engine on the CPU: convolutions against direct sums, and proof that each barrier
// is needed.
//     test_split [cases|barriers] [LARGEST_SIZE]
#include "check.h"
#include "gpu_fused.h"
#include "ring_split.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <simt.h>

namespace
{

struct Plan {
    int64_t n;
    std::vector<float4> table;
    std::vector<float> spectra, of_x, of_g, grads;

    Plan(const Data &data, int64_t points)
        : n(points), table((lcv_gpu_split_table_bytes(n) + sizeof(float4) - 1) / sizeof(float4)),
          spectra(size_t(data.filters * 2 * n)), of_x(size_t(data.filters * data.rows_per_filter * 2 * n)),
          of_g(of_x), grads(spectra)
    {
        lcv_gpu_split_fill_table(n, table.data());
        lcv_gpu_split_allow(n);
    }
};

lcv_gpu_split_second_pass second_pass(const Data &data, Plan &plan, std::vector<float> &elements)
{
    lcv_gpu_split_second_pass pass = {};
    pass.table = plan.table.data();
    pass.from = elements.data();
    pass.n = plan.n;
    pass.count = data.filters * data.rows_per_filter;
    pass.rows = data.rows_per_filter;
    return pass;
}

lcv_gpu_split_rows rows_of(const Data &data, Plan &plan, std::vector<float> &elements)
{
    lcv_gpu_split_rows rows = {};
    rows.chunk = data.chunk();
    rows.table = plan.table.data();
    rows.elements = elements.data();
    rows.n = plan.n;
    return rows;
}

void prepare(Data &data, Plan &plan)
{
    const lcv_gpu_taps taps = taps_of(data.problem, data.past, data.future);
    lcv_gpu_split_second_pass pass = second_pass(data, plan, plan.spectra);
    pass.count = data.filters;
    pass.rows = 1;
    pass.gain = 1;
    pass.product = plan.spectra.data();
    lcv_gpu_load_taps(false, data.chunk(), taps, {}, 1.0, nullptr, plan.n, plan.spectra.data(), nullptr);
    lcv_gpu_split_first_of(plan.n, plan.table.data(), data.filters, plan.spectra.data(), nullptr);
    lcv_gpu_split_second(&pass, nullptr);
}

void forward(Data &data, Plan &plan)
{
    lcv_gpu_split_rows rows = rows_of(data, plan, plan.of_x);
    rows.source = source_of_x(data);
    lcv_gpu_split_first(&rows, nullptr);
    lcv_gpu_split_second_pass pass = second_pass(data, plan, plan.of_x);
    pass.factors = plan.spectra.data();
    pass.kept = plan.of_x.data();
    pass.back = plan.of_g.data();
    lcv_gpu_split_second(&pass, nullptr);
    rows.elements = plan.of_g.data();
    rows.sink = sink_of_y(data);
    lcv_gpu_split_third(&rows, nullptr);
}

TapGradients backward(Data &data, Plan &plan)
{
    if (data.problem.in_place)
        data.dx = data.dy;
    lcv_gpu_split_rows rows = rows_of(data, plan, plan.of_g);
    rows.source = source_of_g(data);
    lcv_gpu_split_first(&rows, nullptr);
    lcv_gpu_split_second_pass keep = second_pass(data, plan, plan.of_g);
    keep.kept = plan.of_g.data();
    lcv_gpu_split_second(&keep, nullptr);
    lcv_gpu_gather_grads(false, data.chunk(), {}, plan.of_x.data(), plan.of_g.data(), false, plan.n,
                         plan.grads.data(), nullptr);
    lcv_gpu_split_second_pass pass = second_pass(data, plan, plan.of_g);
    pass.from_transforms = 1;
    pass.factors = plan.spectra.data();
    pass.conjugate = 1;
    pass.back = plan.of_g.data();
    lcv_gpu_split_second(&pass, nullptr);
    rows.sink = sink_of_dx(data);
    lcv_gpu_split_third(&rows, nullptr);

    lcv_gpu_split_second_pass sum = second_pass(data, plan, plan.grads);
    sum.count = data.filters;
    sum.rows = 1;
    sum.from_transforms = sum.gain = sum.conjugate = 1;
    sum.back = plan.grads.data();
    lcv_gpu_split_second(&sum, nullptr);
    lcv_gpu_split_third_of(plan.n, plan.table.data(), data.filters, plan.grads.data(), nullptr);
    TapGradients gradients = {data.past, data.future};
    const lcv_gpu_taps taps = taps_of(data.problem, gradients.past, gradients.future);
    lcv_gpu_store_taps(false, data.chunk(), plan.grads.data(), 1.0, nullptr, plan.n, taps, nullptr);
    return gradients;
}

// The worst error as a multiple of its bound.
Worst run(const Problem &problem, int64_t n)
{
    Data data(problem);
    Plan plan(data, n);
    Worst worst;
    prepare(data, plan);
    forward(data, plan);
    check_forward(data, worst);
    if (problem.activation == LCV_ACTIVATION_NONE && !problem.state)
        check_backward(data, backward(data, plan), worst);
    return worst;
}

Problem one_channel(const char *name, int64_t seqlen, int64_t past)
{
    Problem p = problem(name, seqlen, past);
    p.channels = 1;
    return p;
}

std::vector<Problem> problems(int64_t n)
{
    std::vector<Problem> all;
    all.push_back(one_channel("gated", n - 100, 1000));
    all.back().pre = all.back().post = all.back().skip = all.back().bias = all.back().in_place = true;
    all.push_back(one_channel("constant", n, n));
    all.back().constant = true, all.back().batch = 1;
    return all;
}

// What does not depend on the size.
std::vector<Problem> small_problems()
{
    std::vector<Problem> all;
    all.push_back(one_channel("plain", 32768, 32768));
    all.push_back(one_channel("longer than half of the reals", 65000, 500));
    all.back().skip = all.back().pre = true;
    all.push_back(one_channel("bfloat16, time major, filter per sample", 40000, 300));
    all.back().dtype = LCV_BF16, all.back().time_major = true, all.back().group = 0, all.back().channels = 2;
    all.push_back(one_channel("circular", 20000, 700));
    all.back().period = 20000;
    all.push_back(one_channel("two-sided", 30000, 500));
    all.back().future = 400, all.back().post = true;
    all.push_back(one_channel("state", 33000, 900));
    all.back().state = all.back().bias = true;
    all.push_back(one_channel("activation", 30000, 100));
    all.back().activation = LCV_ACTIVATION_SILU, all.back().post = true;
    return all;
}

int check_cases(int64_t largest)
{
    int failures = 0;
    for (const Problem &p : small_problems())
        failures += check_problem(run, p, 32768);
    for (int64_t n = 32768; n <= largest; n *= 2)
        for (const Problem &p : problems(n))
            failures += check_problem(run, p, n);
    return failures;
}

} // namespace

int main(int argc, char **argv)
{
    const bool barriers = argc > 1 && std::strcmp(argv[1], "barriers") == 0;
    const int64_t size = argc > 2 ? std::atoi(argv[2]) : 32768;
    // Of every kernel of a size with two passes over the columns.
    const int failures = barriers ? check_barriers(run, problems(size)[0], size) : check_cases(size);
    std::printf("%d failures\n", failures);
    return failures != 0;
}
