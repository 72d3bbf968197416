// SPDX-License-Identifier: BSD-3-Clause
// The kernels of the block engine on the CPU: convolutions of all kinds against direct sums, and proof that
// each barrier is needed.
//     test_block [cases|barriers] [LARGEST_SIZE]
#include "check.h"
#include "gpu_fused.h"
#include "ring_block.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <simt.h>

namespace
{

struct Plan {
    int64_t n;
    std::vector<float> table, spectra, kept_x, kept_g, grads;

    Plan(const Data &data, int64_t points)
        : n(points), table(lcv_gpu_block_table_bytes(n) / sizeof(float)),
          spectra(size_t(data.filters * 2 * n)), kept_x(size_t(data.filters * data.rows_per_filter * 2 * n)),
          kept_g(kept_x), grads(spectra)
    {
        lcv_gpu_block_fill_table(n, table.data());
        lcv_gpu_block_allow(n);
    }
};

lcv_gpu_block_rows rows_of(const Data &data, Plan &plan)
{
    lcv_gpu_block_rows rows = {};
    rows.chunk = data.chunk();
    rows.table = plan.table.data();
    rows.spectra = plan.spectra.data();
    rows.n = plan.n;
    return rows;
}

void forward(Data &data, Plan &plan)
{
    lcv_gpu_taps taps = taps_of(data.problem, data.past, data.future);
    lcv_gpu_load_taps(false, data.chunk(), taps, {}, 1.0, nullptr, plan.n, plan.spectra.data(), nullptr);
    lcv_gpu_block_transform(plan.n, plan.table.data(), data.filters, plan.spectra.data(), false, nullptr);
    lcv_gpu_block_rows rows = rows_of(data, plan);
    rows.source = source_of_x(data);
    rows.sink = sink_of_y(data);
    rows.kept = plan.kept_x.data();
    lcv_gpu_block_convolve(&rows, nullptr);
}

TapGradients backward(Data &data, Plan &plan)
{
    if (data.problem.in_place)
        data.dx = data.dy;
    lcv_gpu_block_rows rows = rows_of(data, plan);
    rows.source = source_of_g(data);
    rows.sink = sink_of_dx(data);
    rows.kept = plan.kept_g.data();
    rows.conjugate = 1;
    lcv_gpu_block_convolve(&rows, nullptr);
    lcv_gpu_gather_grads(false, data.chunk(), {}, plan.kept_x.data(), plan.kept_g.data(), false, plan.n,
                         plan.grads.data(), nullptr);
    lcv_gpu_block_transform(plan.n, plan.table.data(), data.filters, plan.grads.data(), true, nullptr);
    TapGradients gradients = {data.past, data.future};
    lcv_gpu_taps taps = taps_of(data.problem, gradients.past, gradients.future);
    lcv_gpu_store_taps(false, data.chunk(), plan.grads.data(), 1.0, nullptr, plan.n, taps, nullptr);
    return gradients;
}

// The worst error as a multiple of its bound.
Worst run(const Problem &problem, int64_t n)
{
    Data data(problem);
    Plan plan(data, n);
    Worst worst;
    forward(data, plan);
    check_forward(data, worst);
    if (problem.activation == LCV_ACTIVATION_NONE && !problem.state)
        check_backward(data, backward(data, plan), worst);
    return worst;
}

std::vector<Problem> problems(int64_t n)
{
    std::vector<Problem> all;
    all.push_back(problem("plain", n, n));
    all.push_back(problem("gated", n - 24, n - 24));
    all.back().pre = all.back().post = all.back().skip = all.back().bias = true;
    all.back().batch = 3;
    all.push_back(problem("longer than the ring's reals are complex", 2 * n - 100, 101));
    all.back().skip = all.back().pre = true;
    all.push_back(problem("constant", n, n));
    all.back().constant = true;
    return all;
}

// What does not depend on the size.
std::vector<Problem> small_problems()
{
    std::vector<Problem> all;
    all.push_back(problem("one sample", 1, 1));
    all.push_back(problem("filter longer than the sequence", 17, 50));
    all.push_back(problem("bfloat16, in place", 900, 700));
    all.back().dtype = LCV_BF16, all.back().in_place = all.back().post = all.back().skip = true;
    all.push_back(problem("float16, shared filter", 1000, 1000));
    all.back().dtype = LCV_F16, all.back().group = 2, all.back().pre = true;
    all.push_back(problem("filter per sample, time major", 777, 300));
    all.back().group = 0, all.back().time_major = all.back().post = all.back().pre = all.back().skip = true;
    all.push_back(problem("odd addresses", 300, 300));
    all.back().odd_address = true, all.back().dtype = LCV_BF16, all.back().pre = all.back().post = true;
    all.push_back(problem("anticausal", 600, 0));
    all.back().future = 600, all.back().first_lag = 0;
    all.push_back(problem("two-sided", 1024, 1024));
    all.back().future = 1023, all.back().skip = true;
    all.push_back(problem("circular", 1024, 1024));
    all.back().period = 1024, all.back().pre = true;
    all.push_back(problem("circular, folded", 100, 250));
    all.back().period = 100;
    all.push_back(problem("state", 1000, 900));
    all.back().state = all.back().post = all.back().bias = all.back().skip = true;
    all.push_back(problem("state longer than the sequence", 10, 2000));
    all.back().state = true;
    for (const int32_t activation : {LCV_ACTIVATION_GELU, LCV_ACTIVATION_GELU_TANH, LCV_ACTIVATION_SILU}) {
        all.push_back(problem("activation", 500, 100));
        all.back().activation = activation, all.back().post = all.back().bias = true;
    }
    return all;
}

int check_cases(int64_t largest)
{
    int failures = 0;
    for (const Problem &p : small_problems())
        failures += check_problem(run, p, 1024);
    for (int64_t n = 1024; n <= largest; n *= 2)
        for (const Problem &p : problems(n))
            failures += check_problem(run, p, n);
    simt::set_order(simt::ASCENDING, 1);
    failures += check_problem(run, problems(1024)[1], 1024);
    simt::set_order(simt::DESCENDING, 1);
    failures += check_problem(run, problems(1024)[1], 1024);
    return failures;
}

} // namespace

int main(int argc, char **argv)
{
    const bool barriers = argc > 1 && std::strcmp(argv[1], "barriers") == 0;
    const int failures = barriers ? check_barriers(run, problem("barriers", 1000, 1000), 1024)
                                  : check_cases(argc > 2 ? std::atoi(argv[2]) : 4096);
    std::printf("%d failures\n", failures);
    return failures != 0;
}
