/* SPDX-License-Identifier: BSD-3-Clause */
/* From the results of the filter family implicit_mlp to taps and from their gradients back: the normalisation over the
 * filters, at each position. A thread has a position and goes over the filters; sums are in double and ascending. */
#include "gpu_strip.cuh"

/* What a position's statistics are. */
enum {
    SUM = 0,  /* of magnitudes */
    MEAN = 0,
    INVERSE = 1,
    SLOPE = 2,  /* sum of the gradients */
    PRODUCT = 3 /* sum of the gradients times q */
};

template <class R> LCV_GPU_DEVICE double weight_of(const lcv_gpu_norm &norm, int64_t row)
{
    return static_cast<double>(lcv_gpu_load<R>(norm.weight, lcv_gpu_reals<R>::dtype, row));
}

template <class R> LCV_GPU_DEVICE double sum_of_magnitudes(const lcv_gpu_strip &strip, const R *q)
{
    double sum = 0.0;
    for (int64_t row = 0; row < strip.rows; row++)
        sum += fabs(static_cast<double>(q[row * strip.pitch]));
    return sum;
}

template <class R>
LCV_GPU_DEVICE void mean_and_inverse(const lcv_gpu_strip &strip, double epsilon, const R *q, double *statistics)
{
    const double count = static_cast<double>(strip.rows);
    double sum = 0.0, squares = 0.0;
    for (int64_t row = 0; row < strip.rows; row++)
        sum += static_cast<double>(q[row * strip.pitch]);
    const double mean = sum / count;
    for (int64_t row = 0; row < strip.rows; row++) {
        const double distance = static_cast<double>(q[row * strip.pitch]) - mean;
        squares += distance * distance;
    }
    statistics[MEAN] = mean;
    statistics[INVERSE] = 1.0 / sqrt(squares / count + epsilon);
}

template <class R> __global__ void measure(lcv_gpu_strip strip, lcv_gpu_norm norm, const R *q)
{
    for (int64_t t = lcv_gpu_first_column(); t < strip.count; t += lcv_gpu_column_step()) {
        double *statistics = norm.statistics + t * LCV_GPU_STATISTICS;
        if (norm.kind == LCV_MLP_NORM_L1)
            statistics[SUM] = sum_of_magnitudes(strip, q + t);
        else
            mean_and_inverse(strip, norm.epsilon, q + t, statistics);
    }
}

template <class R> __global__ void measure_gradients(lcv_gpu_strip strip, lcv_gpu_norm norm, const R *q, const R *g)
{
    for (int64_t t = lcv_gpu_first_column(); t < strip.count; t += lcv_gpu_column_step()) {
        double slope = 0.0, product = 0.0;
        for (int64_t row = 0; row < strip.rows; row++) {
            double value = static_cast<double>(g[row * strip.pitch + t]);
            if (norm.kind == LCV_MLP_NORM_LAYER)
                value *= weight_of<R>(norm, row);
            slope += value;
            product += value * static_cast<double>(q[row * strip.pitch + t]);
        }
        norm.statistics[t * LCV_GPU_STATISTICS + SLOPE] = slope;
        norm.statistics[t * LCV_GPU_STATISTICS + PRODUCT] = product;
    }
}

/* ---- Elements ---- */

template <class R>
LCV_GPU_DEVICE R normalised(const lcv_gpu_norm &norm, int64_t row, const double *statistics, R q)
{
    if (norm.kind == LCV_MLP_NORM_L1)
        return statistics[SUM] > 0.0 ? static_cast<R>(static_cast<double>(q) / statistics[SUM]) : q;
    if (norm.kind != LCV_MLP_NORM_LAYER)
        return q;
    const double bias = static_cast<double>(lcv_gpu_load<R>(norm.bias, lcv_gpu_reals<R>::dtype, row));
    const double unit = (static_cast<double>(q) - statistics[MEAN]) * statistics[INVERSE];
    return static_cast<R>(weight_of<R>(norm, row) * unit + bias);
}

template <class R>
LCV_GPU_DEVICE R unnormalised(const lcv_gpu_norm &norm, const lcv_gpu_strip &strip, int64_t row,
                              const double *statistics, R q, R g)
{
    const double value = static_cast<double>(q);
    if (norm.kind == LCV_MLP_NORM_L1) {
        const double sum = statistics[SUM], sign = (value > 0.0) - (value < 0.0);
        return sum > 0.0 ? static_cast<R>((static_cast<double>(g) - sign * statistics[PRODUCT] / sum) / sum) : g;
    }
    const double shared = (statistics[SLOPE] + value * statistics[PRODUCT]) / static_cast<double>(strip.rows);
    return static_cast<R>(statistics[INVERSE] * (static_cast<double>(g) * weight_of<R>(norm, row) - shared));
}

template <class R> __global__ void store_strip(lcv_gpu_strip strip, lcv_gpu_norm norm, const R *q, lcv_array taps)
{
    lcv_gpu_each_element(strip, [&](int64_t row, int64_t t, int64_t i) {
        const R value = normalised(norm, row, norm.statistics + t * LCV_GPU_STATISTICS, q[i]);
        lcv_gpu_store(taps.data, lcv_gpu_reals<R>::dtype, row * taps.stride[1] + t * taps.stride[2], value);
    });
}

template <class R> __global__ void load_strip(lcv_gpu_strip strip, lcv_array taps, R *g)
{
    lcv_gpu_each_element(strip, [&](int64_t row, int64_t t, int64_t i) {
        g[i] = lcv_gpu_load<R>(taps.data, lcv_gpu_reals<R>::dtype, row * taps.stride[1] + t * taps.stride[2]);
    });
}

template <class R> __global__ void to_units(lcv_gpu_strip strip, lcv_gpu_norm norm, R *q)
{
    lcv_gpu_each_element(strip, [&](int64_t, int64_t t, int64_t i) {
        const double *statistics = norm.statistics + t * LCV_GPU_STATISTICS;
        q[i] = static_cast<R>((static_cast<double>(q[i]) - statistics[MEAN]) * statistics[INVERSE]);
    });
}

template <class R> __global__ void unnormalise(lcv_gpu_strip strip, lcv_gpu_norm norm, const R *q, R *g)
{
    lcv_gpu_each_element(strip, [&](int64_t row, int64_t t, int64_t i) {
        g[i] = unnormalised(norm, strip, row, norm.statistics + t * LCV_GPU_STATISTICS, q[i], g[i]);
    });
}

/* ---- Launches ---- */

int lcv_gpu_mlp_measure(bool is_double, lcv_gpu_strip strip, lcv_gpu_norm norm, const void *q, void *stream)
{
    if (norm.kind == LCV_MLP_NORM_NONE)
        return 0;
#define ARGUMENTS(R) norm, static_cast<const R *>(q)
    return LCV_GPU_LAUNCH_STRIP(1, measure, ARGUMENTS);
#undef ARGUMENTS
}

int lcv_gpu_mlp_store(bool is_double, lcv_gpu_strip strip, lcv_gpu_norm norm, const void *q, lcv_array taps,
                      void *stream)
{
#define ARGUMENTS(R) norm, static_cast<const R *>(q), taps
    return LCV_GPU_LAUNCH_STRIP(strip.rows, store_strip, ARGUMENTS);
#undef ARGUMENTS
}

int lcv_gpu_mlp_load(bool is_double, lcv_gpu_strip strip, lcv_array taps, void *g, void *stream)
{
#define ARGUMENTS(R) taps, static_cast<R *>(g)
    return LCV_GPU_LAUNCH_STRIP(strip.rows, load_strip, ARGUMENTS);
#undef ARGUMENTS
}

int lcv_gpu_mlp_unit(bool is_double, lcv_gpu_strip strip, lcv_gpu_norm norm, void *q, void *stream)
{
#define ARGUMENTS(R) norm, static_cast<R *>(q)
    return LCV_GPU_LAUNCH_STRIP(strip.rows, to_units, ARGUMENTS);
#undef ARGUMENTS
}

int lcv_gpu_mlp_unnormalise(bool is_double, lcv_gpu_strip strip, lcv_gpu_norm norm, const void *q, void *g,
                            void *stream)
{
    if (norm.kind == LCV_MLP_NORM_NONE)
        return 0;
#define ARGUMENTS(R) norm, static_cast<const R *>(q), static_cast<const R *>(g)
    const int error = LCV_GPU_LAUNCH_STRIP(1, measure_gradients, ARGUMENTS);
#undef ARGUMENTS
    if (error != 0)
        return error;
#define ARGUMENTS(R) norm, static_cast<const R *>(q), static_cast<R *>(g)
    return LCV_GPU_LAUNCH_STRIP(strip.rows, unnormalise, ARGUMENTS);
#undef ARGUMENTS
}
