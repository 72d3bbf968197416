// SPDX-License-Identifier: BSD-3-Clause
// The kernels of direct sums on the CPU: rows that were noted against direct sums of the test's own, what is
// lost in them, what was not noted untouched, and proof that each barrier is needed.
//     test_mend [cases|barriers]
#include "check.h"
#include "gpu_fused.h"
#include "gpu_mend.h"

#include <cstdio>
#include <cstring>
#include <limits>
#include <simt.h>
#include <sys/wait.h>
#include <unistd.h>

namespace
{

// A problem whose row (1, 0) has a NaN at `lost` of its input and its gradient; all rows of a filter, or that
// row alone, are noted.
struct Case {
    Problem problem;
    int64_t lost; // -1: nothing is
    bool by_filter, in_shared;
};

struct Mended {
    Data data;
    std::vector<int32_t> rows, filters;
    std::vector<float> scratch, late_sums;
    std::vector<int32_t> late_used;
    bool in_shared;

    explicit Mended(const Case &k)
        : data(k.problem), rows(size_t(data.filters * data.rows_per_filter)), filters(size_t(data.filters)),
          scratch(rows.size() * size_t(stride()), std::numeric_limits<float>::quiet_NaN()),
          in_shared(k.in_shared)
    {
        lcv_gpu_mend_allow(false, lcv_gpu_mend_shared_bytes(false, stride()));
    }
    int64_t stride() const
    {
        return data.out_len + 5;
    }
    lcv_gpu_watch watch()
    {
        return {rows.data(), filters.data(), 0x1p50};
    }
    // The row of the chunk that (b, c) is.
    int64_t row_of(int64_t b, int64_t c) const
    {
        const int64_t group = data.problem.group;
        if (group == 0)
            return b * data.problem.channels + c;
        return c / group * data.rows_per_filter + b * group + c % group;
    }
    bool is_noted(int64_t b, int64_t c) const
    {
        return rows[size_t(row_of(b, c))] != 0 || filters[size_t(data.filter_of(b, c))] != 0;
    }
};

void mend(Mended &m, lcv_gpu_source in, const lcv_gpu_sink &sink, bool adjoint)
{
    lcv_gpu_mend_job job = {};
    job.chunk = m.data.chunk();
    job.watch = m.watch();
    job.in = in;
    job.taps = taps_of(m.data.problem, m.data.past, m.data.future);
    job.sink = sink;
    job.adjoint = adjoint;
    if (!m.in_shared) {
        job.rows = m.scratch.data();
        job.row_stride = m.stride();
    }
    lcv_gpu_mend_rows(false, &job, nullptr);
}

double error_of(double value, double expected, double bound)
{
    if (std::isnan(expected))
        return std::isnan(value) ? 0.0 : HUGE_VAL;
    return std::isnan(value) ? HUGE_VAL : std::fabs(value - expected) / bound;
}

double near(double expected)
{
    return 1e-5 * (1.0 + std::fabs(expected));
}

// Rows that were noted are right, and only those have changed.
void check_rows(Mended &m, Array &after, Array &before, bool adjoint, double &worst)
{
    const Problem &p = m.data.problem;
    for (int64_t b = 0; b < p.batch; b++)
        for (int64_t c = 0; c < p.channels; c++)
            for (int64_t t = 0; t < p.seqlen; t++) {
                double expected = before.value(b, c, t);
                if (m.is_noted(b, c) && adjoint)
                    expected = direct_adjoint(m.data, b, c, t) +
                               (p.skip ? m.data.skip[size_t(c)] * m.data.g(b, c, t) : 0.0);
                else if (m.is_noted(b, c))
                    expected = direct_output(m.data, b, c, t);
                const double bound =
                    m.is_noted(b, c) ? near(expected) + half_unit(p.dtype, expected) : 0x1p-149;
                worst = std::max(worst, error_of(after.value(b, c, t), expected, bound));
            }
    worst = std::max(worst, after.untouched_around() ? 0.0 : HUGE_VAL);
}

// What direct_tap_gradient has of rows that were not noted does not count: they add nothing here.
void check_late(Mended &m, double &worst)
{
    const Problem &p = m.data.problem;
    TapGradients got = {std::vector<float>(m.data.past.size()), std::vector<float>(m.data.future.size())};
    lcv_gpu_taps taps = taps_of(p, got.past, got.future);
    const int64_t known = taps.past_known + taps.future_known;
    m.late_sums.assign(size_t(m.data.filters * known), std::numeric_limits<float>::quiet_NaN());
    m.late_used.assign(size_t(m.data.filters * lcv_gpu_late_tiles(taps.past_known, taps.future_known)), 0);
    const lcv_gpu_late late = {m.late_sums.data(), m.late_used.data()};
    lcv_gpu_source x = source_of_x(m.data), g = source_of_g(m.data);
    for (int part = 0; part < 2; part++) // as if the same rows came twice
        lcv_gpu_gather_late(false, m.data.chunk(), m.watch(), x, g, taps, late, nullptr);
    lcv_gpu_add_late(false, m.data.chunk(), late, taps, nullptr);
    for (int64_t b = 0; b < p.batch; b++)
        for (int64_t c = 0; c < p.channels; c++)
            for (int64_t t = 0; m.rows[size_t(m.row_of(b, c))] == 0 && t < p.seqlen; t++) {
                m.data.u.set(b, c, t, 0.0);
                m.data.dy.set(b, c, t, 0.0);
            }
    for (int64_t f = 0; f < m.data.filters; f++) {
        for (int64_t j = 0; j < p.past; j++) {
            const double expected = 2 * direct_tap_gradient(m.data, f, false, j);
            worst = std::max(worst, error_of(got.past[size_t(f * p.past + j)], expected, near(expected)));
        }
        for (int64_t j = 0; j < p.future; j++) {
            const double expected = 2 * direct_tap_gradient(m.data, f, true, j);
            worst = std::max(worst, error_of(got.future[size_t(f * p.future + j)], expected, near(expected)));
        }
    }
}

double run(const Case &k)
{
    Mended m(k);
    double worst = 0.0;
    if (k.lost >= 0) {
        m.data.u.set(1, 0, k.lost, NAN);
        m.data.dy.set(1, 0, k.lost, NAN);
        if (k.problem.in_place)
            m.data.y.set(1, 0, k.lost, NAN);
    }
    if (k.by_filter)
        m.filters[size_t(m.data.filter_of(1, 0))] = 1;
    else
        m.rows[size_t(m.row_of(1, 0))] = 1;
    Array before = m.data.y;
    mend(m, source_of_x(m.data), sink_of_y(m.data), false);
    check_rows(m, m.data.y, before, false, worst);
    if (k.problem.in_place)
        m.data.dx = m.data.dy;
    if (k.problem.post || k.problem.pre)
        return worst;
    before = m.data.dx;
    mend(m, source_of_g(m.data), sink_of_dx(m.data), true);
    check_rows(m, m.data.dx, before, true, worst);
    if (!k.problem.in_place)
        check_late(m, worst);
    return worst;
}

std::vector<Problem> problems()
{
    std::vector<Problem> all;
    all.push_back(problem("one sample", 1, 1));
    all.push_back(problem("as many taps as samples", 700, 700));
    all.back().skip = all.back().bias = true;
    all.push_back(problem("short filter, shared", 1300, 300));
    all.back().group = 2, all.back().batch = 3;
    all.push_back(problem("filter per sample, time major, in place", 600, 50));
    all.back().group = 0, all.back().time_major = all.back().in_place = true;
    all.push_back(problem("gates, bfloat16", 520, 520));
    all.back().dtype = LCV_BF16, all.back().pre = all.back().post = true;
    all.push_back(problem("anticausal", 800, 0));
    all.back().future = 640, all.back().first_lag = 0;
    all.push_back(problem("two-sided", 600, 550));
    all.back().future = 570;
    all.push_back(problem("circular", 515, 300));
    all.back().period = 515;
    all.push_back(problem("circular, folded", 100, 250));
    all.back().period = 100;
    all.push_back(problem("state", 300, 290));
    all.back().state = true;
    return all;
}

int check_cases()
{
    int failures = 0, number = 0;
    for (const Problem &p : problems())
        for (int how = 0; how < 6; how++, number++) {
            const int64_t lost[] = {-1, 0, p.seqlen - 1, p.seqlen / 2, p.seqlen / 3, 0};
            const Case k = {p, lost[how], how % 3 == 2, how % 2 == 0};
            simt::set_order(simt::Order(number % 3), unsigned(number));
            const double worst = run(k);
            failures += !(worst <= 1.0);
            std::printf("%s %s, way %d: %.3g of the bound\n", worst <= 1.0 ? "ok  " : "FAIL", p.name, how,
                        worst);
        }
    return failures;
}

// In a process of its own: threads that go different ways at a barrier end it.
double run_apart(const Case &k)
{
    std::fflush(stdout);
    const pid_t child = fork();
    if (child == 0)
        _exit(run(k) <= 1.0 ? 0 : 1);
    int status = -1;
    waitpid(child, &status, 0);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0.0 : HUGE_VAL;
}

// As check_barriers, for kernels whose number of barriers depends on the data. The last one closes a loop
// that ends there.
int check_each_barrier(const Case &k)
{
    simt::drop_barrier(0);
    run(k);
    const long barriers = simt::drop_barrier(0);
    int unseen = 0;
    for (long i = 1; i < barriers; i++) {
        simt::drop_barrier(i);
        const bool seen = run_apart(k) > 1.0;
        std::printf("%s without barrier %ld\n", seen ? "seen  " : "UNSEEN", i);
        unseen += !seen;
    }
    simt::drop_barrier(0);
    return barriers < 4 ? 1 : unseen;
}

} // namespace

int main(int argc, char **argv)
{
    const bool barriers = argc > 1 && std::strcmp(argv[1], "barriers") == 0;
    const Case shared = {problems()[1], -1, false, true}, tiles = {problems()[1], -1, false, false};
    const int failures = barriers ? check_each_barrier(shared) + check_each_barrier(tiles) : check_cases();
    std::printf("%d failures\n", failures);
    return failures != 0;
}
