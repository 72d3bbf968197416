// SPDX-License-Identifier: BSD-3-Clause
// The kernels of mixers' steps on the CPU: against their formulas in long double, and proof that each barrier
// is needed.
//     test_steps [cases|barriers]
#include "check.h"
#include "step_formulas.h"

#include <cstdio>
#include <cstring>
#include <simt.h>

namespace
{

// ---- The formulas: what a scene's arrays must hold ----

void set_up_pair(Scene &s)
{
    s.add_data(LCV_STEP_IN, s.channels);
    s.add_data(LCV_STEP_PRE_GATE, s.channels);
    s.set_out_data(s.channels);
}

void check_glu(Scene &s)
{
    s.each_sample([&](int64_t b, int64_t c, int64_t t) {
        const Exact in = s.value(LCV_STEP_IN, b, c, t), gate = s.value(LCV_STEP_PRE_GATE, b, c, t);
        const Exact out = in * sigmoid(gate), dout = s.upstream(b, c, t);
        const Exact dgate = sigmoid(gate) * sigmoid(-gate) * in * dout;
        s.expect_out(b, c, t, {out, fabsl(out)});
        s.expect_gradient(LCV_STEP_IN, b, c, t, {sigmoid(gate) * dout, fabsl(dout)});
        s.expect_gradient(LCV_STEP_PRE_GATE, b, c, t, {dgate, fabsl(dgate)});
    });
}

void set_up_lagged(Scene &s)
{
    set_up_pair(s);
    s.details.lagged.lag = s.number;
}

void check_lagged(Scene &s)
{
    const auto at = [&](int operand, int64_t b, int64_t c, int64_t t) {
        const bool inside = t >= 0 && t < s.seqlen;
        return !inside ? 0 : operand < 0 ? s.upstream(b, c, t) : s.value(operand, b, c, t);
    };
    const int64_t lag = s.number;
    s.each_sample([&](int64_t b, int64_t c, int64_t t) {
        const Exact earlier = at(LCV_STEP_PRE_GATE, b, c, t - lag);
        const Exact out = s.value(LCV_STEP_IN, b, c, t) * earlier, din = s.upstream(b, c, t) * earlier;
        const Exact dgate = at(-1, b, c, t + lag) * at(LCV_STEP_IN, b, c, t + lag);
        s.expect_out(b, c, t, {out, fabsl(out)});
        s.expect_gradient(LCV_STEP_IN, b, c, t, {din, fabsl(din)});
        s.expect_gradient(LCV_STEP_PRE_GATE, b, c, t, {dgate, fabsl(dgate)});
    });
}

void set_up_spread(Scene &s)
{
    s.add_vector(LCV_STEP_IN, 1);
    s.set_out_vector(s.channels);
}

void check_spread(Scene &s)
{
    Sum sum;
    for (int64_t c = 0; c < s.channels; c++) {
        const Exact value = s.value(LCV_STEP_IN, 0, 0, 0);
        s.expect_out(0, 0, c, {value, fabsl(value)});
        sum.add(s.upstream(0, 0, c));
    }
    s.expect_gradient(LCV_STEP_IN, 0, 0, 0, sum);
}

void set_up_norm(Scene &s)
{
    s.add_data(LCV_STEP_IN, s.channels);
    s.add_vector(LCV_STEP_SKIP, s.channels);
    s.add_vector(LCV_STEP_BIAS, s.channels);
    s.set_out_data(s.channels);
    s.details.norm.epsilon = 1e-3;
}

// Mean and 1 / deviation of one time, and how many roundings of n = (x - mean) / deviation one of x makes,
// where all x are close to each other.
struct Moments {
    Exact mean = 0, scale = 0, strain = 1;
};

Moments moments_of(const Scene &s, int64_t b, int64_t t)
{
    Moments m;
    Exact squares = 0;
    for (int64_t c = 0; c < s.channels; c++)
        m.mean += s.value(LCV_STEP_IN, b, c, t) / s.channels;
    for (int64_t c = 0; c < s.channels; c++)
        squares += powl(s.value(LCV_STEP_IN, b, c, t) - m.mean, 2) / s.channels;
    m.scale = 1 / sqrtl(squares + 1e-3);
    for (int64_t c = 0; c < s.channels; c++)
        m.strain = std::max(m.strain, fabsl(s.value(LCV_STEP_IN, b, c, t)) * m.scale);
    return m;
}

// A sum whose terms have roundings of their own.
void add(Sum &sum, Exact term, Exact magnitude)
{
    sum.value += term;
    sum.magnitude += magnitude;
    sum.terms++;
}

void check_norm(Scene &s)
{
    std::vector<Sum> by_weight(size_t(s.channels)), by_bias(size_t(s.channels));
    for (int64_t b = 0; b < s.batch; b++)
        for (int64_t t = 0; t < s.seqlen; t++) {
            const Moments m = moments_of(s, b, t);
            const auto n = [&](int64_t c) { return (s.value(LCV_STEP_IN, b, c, t) - m.mean) * m.scale; };
            const auto rounded = [&](int64_t c) { return (fabsl(n(c)) + 1) * m.strain; }; // in n
            const auto g = [&](int64_t c) { return s.value(LCV_STEP_SKIP, 0, 0, c) * s.upstream(b, c, t); };
            Sum slope, product;
            for (int64_t c = 0; c < s.channels; c++) {
                slope.add(g(c) / s.channels);
                add(product, g(c) * n(c) / s.channels, fabsl(g(c)) * rounded(c) / s.channels);
            }
            for (int64_t c = 0; c < s.channels; c++) {
                const Exact weight = s.value(LCV_STEP_SKIP, 0, 0, c), dout = s.upstream(b, c, t);
                Sum out, din;
                add(out, weight * n(c), fabsl(weight) * rounded(c));
                out.add(s.value(LCV_STEP_BIAS, 0, 0, c));
                add(din, (g(c) - slope.value) * m.scale,
                    (fabsl(g(c)) + slope.magnitude) * m.scale * m.strain);
                add(din, -n(c) * product.value * m.scale, rounded(c) * product.magnitude * m.scale);
                s.expect_out(b, c, t, out);
                s.expect_gradient(LCV_STEP_IN, b, c, t, din);
                add(by_weight[size_t(c)], dout * n(c), fabsl(dout) * rounded(c));
                by_bias[size_t(c)].add(dout);
            }
        }
    for (int64_t c = 0; c < s.channels; c++) {
        s.expect_gradient(LCV_STEP_SKIP, 0, 0, c, by_weight[size_t(c)]);
        s.expect_gradient(LCV_STEP_BIAS, 0, 0, c, by_bias[size_t(c)]);
    }
}

// ---- Cases ----

const Kind kinds[] = {
    {&lcv_gpu_step_glu, set_up_pair, check_glu},         {&lcv_gpu_step_lagged, set_up_lagged, check_lagged},
    {&lcv_gpu_step_spread, set_up_spread, check_spread}, {&lcv_gpu_step_norm, set_up_norm, check_norm},
    {&lcv_gpu_step_wkv, set_up_wkv, check_wkv},          {&lcv_gpu_step_scan, set_up_scan, check_scan},
    {&lcv_gpu_step_blocks, set_up_blocks, check_blocks},
};

const int64_t sizes[][4] = {
    /* batch, channels, seqlen, number */
    {1, 1, 1, 0},     {2, 3, 5, 1},    {1, 7, 70, 3},  {3, 40, 9, 2},  {2, 300, 3, 1},
    {2, 33, 150, 17}, {1, 3, 600, 4},  {1, 2, 10, 12}, {0, 3, 4, 1},   {2, 0, 5, 1},
    {2, 3, 0, 1},     {2, 20, 33, 40}, {1, 9, 64, 63}, {1, 12, 65, 0}, {27, 1, 20, 9},
};

int check_cases()
{
    int failures = 0, number = 0;
    for (const Kind &kind : kinds)
        for (const auto &size : sizes)
            for (int how = 0; how < 12; how++, number++) {
                const int32_t dtypes[] = {LCV_F32, LCV_F64, LCV_F16, LCV_BF16};
                simt::set_order(simt::Order(number % 3), unsigned(number));
                Scene scene(kind, size, dtypes[how % 4], Layout(how % LAYOUTS), how % 5 == 4, how % 2 == 1);
                const double ratio = scene.run(true, true);
                if (ratio <= 1.0)
                    continue;
                failures++;
                std::printf("FAILED %s b%lld d%lld l%lld number %lld, way %d: %.3g of the bound\n",
                            kind.step->kind, (long long)size[0], (long long)size[1], (long long)size[2],
                            (long long)size[3], how, ratio);
            }
    std::printf("%d steps\n", number);
    return failures;
}

// With threads in every order.
double worst_of_orders(const Kind &kind, const int64_t (&size)[4], Layout layout, bool forward)
{
    double worst = 0.0;
    for (const simt::Order order : {simt::ASCENDING, simt::DESCENDING, simt::SHUFFLED}) {
        simt::set_order(order, 1);
        Scene scene(kind, size, LCV_F32, layout, false, false);
        worst = std::max(worst, scene.run(forward, !forward));
    }
    return worst;
}

// Forward and backward of the kinds whose threads meet, each by itself.
int check_all_barriers()
{
    const struct {
        const Kind *kind;
        bool forward;
        int64_t size[4];
    } rows[] = {
        {&kinds[2], false, {1, 600, 1, 0}},  {&kinds[3], true, {1, 70, 40, 0}},
        {&kinds[3], false, {1, 70, 40, 0}},  {&kinds[4], false, {3, 40, 130, 0}},
        {&kinds[5], false, {3, 40, 130, 0}}, {&kinds[6], false, {6, 1, 100, 9}},
    };
    int failures = 0;
    for (const auto &row : rows)
        for (const Layout layout : {ROW_MAJOR, COLUMN_MAJOR})
            failures +=
                check_barriers([&] { return worst_of_orders(*row.kind, row.size, layout, row.forward); });
    return failures;
}

} // namespace

int main(int argc, char **argv)
{
    const bool barriers = argc > 1 && std::strcmp(argv[1], "barriers") == 0;
    const int failures = barriers ? check_all_barriers() : check_cases();
    std::printf("%d failures\n", failures);
    return failures != 0;
}
