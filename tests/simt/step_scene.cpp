// SPDX-License-Identifier: BSD-3-Clause
// step_scene.cpp: see step_scene.h.
#include "step_scene.h"

Scene::Scene(const Kind &kind, const int64_t (&size)[4], int32_t dtype, Layout layout, bool odd_address,
             bool adds)
    : batch(size[0]), channels(size[1]), seqlen(size[2]), number(size[3]), kind_(kind), dtype_(dtype),
      compute_(dtype == LCV_F64 ? LCV_F64 : LCV_F32), layout_(layout), offset_(odd_address ? 1 : 0),
      adds_(adds)
{
    kind.set_up(*this);
}

void Scene::add(int operand, const std::function<Matrices()> &make)
{
    there_[operand] = true;
    operand_[operand] = make();
    gradient_[operand] = make();
    before_[operand] = gradient_[operand];
}

void Scene::add_data(int operand, int64_t rows)
{
    add(operand, [=] { return Matrices(dtype_, batch, rows, seqlen, layout_, offset_); });
}

void Scene::add_vector(int operand, int64_t entries)
{
    add(operand, [=] { return Matrices(compute_, 1, 1, entries, ROW_MAJOR, offset_); });
}

void Scene::add_matrix(int operand, int64_t rows, int64_t columns)
{
    add(operand, [=] { return Matrices(compute_, 1, rows, columns, ROW_MAJOR, offset_); });
}

void Scene::scale(int operand, double factor)
{
    operand_[operand].scale(factor);
}

void Scene::set_out_data(int64_t rows)
{
    out_ = Matrices(dtype_, batch, rows, seqlen, layout_, offset_);
    upstream_ = Matrices(dtype_, batch, rows, seqlen, layout_, offset_);
}

void Scene::set_out_vector(int64_t entries)
{
    out_ = Matrices(compute_, 1, 1, entries, ROW_MAJOR, offset_);
    upstream_ = Matrices(compute_, 1, 1, entries, ROW_MAJOR, offset_);
}

bool Scene::call(bool backward)
{
    const lcv_step_problem problem = {kind_.step->kind, lcv_dtype(dtype_), batch, channels, seqlen, &details};
    lcv_step_call call = {};
    int64_t doubles = 0;
    call.out = backward ? upstream_.array() : out_.array();
    for (int i = 0; i < LCV_STEP_OPERANDS; i++)
        if (there_[i]) {
            call.operand[i] = operand_[i].array();
            call.gradient[i] = gradient_[i].array();
            call.adds[i] = adds_;
        }
    if (kind_.step->workspace != nullptr && !kind_.step->workspace(&problem, backward, &doubles))
        return false;
    std::vector<double> workspace(size_t(doubles), std::nan(""));
    const auto run = backward ? kind_.step->backward : kind_.step->forward;
    return run(&problem, &call, workspace.data(), nullptr) == 0;
}

double Scene::run(bool forward, bool backward)
{
    forward_ = forward, backward_ = backward;
    if ((forward && !call(false)) || (backward && !call(true)))
        return HUGE_VAL;
    kind_.check(*this);
    return worst_;
}

long double Scene::value(int operand, int64_t b, int64_t i, int64_t j) const
{
    return operand_[operand].at(b, i, j);
}

long double Scene::upstream(int64_t b, int64_t i, int64_t j) const
{
    return upstream_.at(b, i, j);
}

// Roundings of the compute dtype in a few operations, of double in sums, and one of the dtype itself.
void Scene::compare(const Matrices &got, const Matrices *before, int64_t b, int64_t i, int64_t j,
                    const Sum &sum)
{
    const long double added = before != nullptr ? before->at(b, i, j) : 0.0L, exact = sum.value + added;
    const double magnitude = double(sum.magnitude + fabsl(added));
    const double few = magnitude * (8.0 * unit_of(compute_) + 0x1p-53 * double(16 + sum.terms));
    const double own = fabs(double(exact)) * unit_of(got.dtype()) + (got.dtype() == LCV_F16 ? 0x1p-25 : 0.0);
    const double error = fabs(double(got.at(b, i, j) - exact));
    const double ratio = error == 0.0 ? 0.0 : error / (few + own);
    worst_ = ratio <= worst_ ? worst_ : std::isnan(ratio) ? HUGE_VAL : ratio;
}

void Scene::expect_out(int64_t b, int64_t i, int64_t j, const Sum &sum)
{
    if (forward_)
        compare(out_, nullptr, b, i, j, sum);
}

void Scene::expect_gradient(int operand, int64_t b, int64_t i, int64_t j, const Sum &sum)
{
    if (backward_)
        compare(gradient_[operand], adds_ ? &before_[operand] : nullptr, b, i, j, sum);
}

void Scene::each_sample(const std::function<void(int64_t, int64_t, int64_t)> &f) const
{
    for (int64_t b = 0; b < batch; b++)
        for (int64_t c = 0; c < channels; c++)
            for (int64_t t = 0; t < seqlen; t++)
                f(b, c, t);
}
