// SPDX-License-Identifier: BSD-3-Clause
// step_scene.h: the arrays of one step of a mixer, its forward and backward by the kernels, and the worst
// distance from what a formula expects.
#ifndef LCV_SIMT_STEP_SCENE_H
#define LCV_SIMT_STEP_SCENE_H

#include "arrays.h"
#include "gpu_steps.h"

#include <cmath>
#include <functional>

// A sum and the sum of its terms' magnitudes.
struct Sum {
    long double value = 0, magnitude = 0;
    int64_t terms = 1;

    Sum() = default;
    Sum(long double value_, long double magnitude_) : value(value_), magnitude(magnitude_)
    {
    }
    void add(long double term)
    {
        value += term;
        magnitude += fabsl(term);
        terms++;
    }
};

class Scene;

struct Kind {
    const lcv_gpu_step *step;
    void (*set_up)(Scene &scene); // declares the arrays
    void (*check)(Scene &scene);  // calls expect_out and expect_gradient for all elements
};

class Scene
{
  public:
    // size: batch, channels, seqlen, and the kind's own number.
    Scene(const Kind &kind, const int64_t (&size)[4], int32_t dtype, Layout layout, bool odd_address,
          bool adds);

    // Worst error as a multiple of its bound, of forward and of backward.
    double run(bool forward, bool backward);

    // For set_up.
    void add_data(int operand, int64_t rows);
    void add_vector(int operand, int64_t entries);
    void add_matrix(int operand, int64_t rows, int64_t columns);
    void scale(int operand, double factor); // a power of two
    void set_out_data(int64_t rows);
    void set_out_vector(int64_t entries);

    // For check: the operands, and the gradient of out.
    long double value(int operand, int64_t b, int64_t i, int64_t j) const;
    long double upstream(int64_t b, int64_t i, int64_t j) const;
    void expect_out(int64_t b, int64_t i, int64_t j, const Sum &sum);
    void expect_gradient(int operand, int64_t b, int64_t i, int64_t j, const Sum &sum);
    void each_sample(const std::function<void(int64_t, int64_t, int64_t)> &f) const;

    int64_t batch, channels, seqlen, number;
    union {
        lcv_blocks_step blocks;
        lcv_lagged_step lagged;
        lcv_norm_step norm;
        lcv_scan_step scan;
    } details = {};

  private:
    void add(int operand, const std::function<Matrices()> &make);
    bool call(bool backward);
    void compare(const Matrices &got, const Matrices *before, int64_t b, int64_t i, int64_t j,
                 const Sum &sum);

    const Kind &kind_;
    int32_t dtype_, compute_;
    Layout layout_;
    size_t offset_;
    bool adds_, forward_ = false, backward_ = false;
    Matrices operand_[LCV_STEP_OPERANDS], gradient_[LCV_STEP_OPERANDS], before_[LCV_STEP_OPERANDS];
    bool there_[LCV_STEP_OPERANDS] = {};
    Matrices out_, upstream_;
    double worst_ = 0.0;
};

#endif
