// SPDX-License-Identifier: BSD-3-Clause
// problem.h: small convolutions for the tests of kernels, and their results by direct sums in double.
#ifndef LCV_SIMT_PROBLEM_H
#define LCV_SIMT_PROBLEM_H

#include "gpu_rows.h"

#include <string>
#include <vector>

// A convolution with taps at any lags: circular, two-sided and causal ones are the same here.
struct Problem {
    const char *name = "";
    int64_t batch = 2, channels = 2, seqlen = 0, past = 0, future = 0, first_lag = 1;
    int64_t period = 0; // circular: seqlen
    int64_t group = 1;  // channels that share a filter; 0: a filter for each row
    int32_t dtype = LCV_F32;
    int32_t activation = LCV_ACTIVATION_NONE;
    bool pre = false, post = false, skip = false, bias = false, state = false, in_place = false;
    bool time_major = false;  // [batch, seqlen, channels]
    bool odd_address = false; // no element is aligned
    bool constant = false;    // all samples are equal, all taps are equal: rounding errors add up
};

// One of so many samples, with so many taps of the past.
Problem problem(const char *name, int64_t seqlen, int64_t past);

// A strided array of the dtype, and what it holds as doubles in the order [batch][channel][time].
class Array
{
  public:
    Array(const Problem &problem, int64_t length, int32_t dtype, bool random, double scale = 1.0);
    lcv_gpu_signal signal();
    double value(int64_t b, int64_t c, int64_t t) const;
    void set(int64_t b, int64_t c, int64_t t, double value);
    bool untouched_around() const; // the bytes around the array are as they were

  private:
    const unsigned char *at(int64_t b, int64_t c, int64_t t) const;
    int32_t dtype_;
    int64_t stride_[3];
    size_t offset_, bytes_;
    std::vector<unsigned char> memory_;
};

// All arrays of one problem.
struct Data {
    explicit Data(const Problem &problem);
    const Problem problem;
    int64_t filters, rows_per_filter, state_len, out_len;
    Array u, pre, post, state, y, tail, dy, dx, dx2;
    std::vector<float> past, future, skip, bias; // taps: [filters][taps]
    lcv_gpu_chunk chunk() const;
    int64_t filter_of(int64_t b, int64_t c) const;

    double x(int64_t b, int64_t c, int64_t t) const; // gated input
    double g(int64_t b, int64_t c, int64_t t) const; // gated incoming gradient
};

// Results by direct sums.
double direct_linear(const Data &data, int64_t b, int64_t c, int64_t t);  // conv + state
double direct_output(const Data &data, int64_t b, int64_t c, int64_t t);  // y
double direct_adjoint(const Data &data, int64_t b, int64_t c, int64_t t); // gradient by x without skip
double direct_tap_gradient(const Data &data, int64_t filter, bool of_future, int64_t tap);

// Norms for the error bounds.
double norm_of_row(const Data &data, int64_t b, int64_t c, bool gradient);
double norm_of_filter(const Data &data, int64_t filter);

// The result of a comparison: the worst error as a multiple of its bound; NaN counts as infinite.
struct Worst {
    double ratio = 0.0;
    std::string where;
    void add(double error, double bound, const char *what, int64_t b, int64_t c, int64_t t);
};

double half_unit(int32_t dtype, double value); // half a unit in the last place of a stored value

#endif
