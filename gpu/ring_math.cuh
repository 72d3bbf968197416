/* SPDX-License-Identifier: BSD-3-Clause */
/* ring_math.cuh: the tree of splits that transforms an element of C[z]/(z^N - i), in registers.
 *
 * A node z^n - rho splits in two with w = sqrt(rho): z^n - rho = (z^(n/2) - w)(z^(n/2) + w), so that one
 * butterfly with one constant for all of the node is (a, t) -> (a + w t, a - w t). Everything is in place;
 * the leaves stay in tree order, and there is no bit reversal. A pass of radix R is log2(R) levels of the
 * tree on R points that one thread holds. Constants are numbered for a pass: number 0 belongs to its first
 * level, number 2^(m-1) + b/2 to node b (even) of level m; node b + 1 uses i times it.
 */
#ifndef LCV_GPU_RING_MATH_CUH
#define LCV_GPU_RING_MATH_CUH

#include "gpu_launch.cuh"

namespace ring
{

/* Constants of the first levels of every tree: sqrt(i) and the roots below it. */
LCV_GPU_DEVICE float2 first_constant(int number)
{
    switch (number) {
    case 0:
        return make_float2(7.071067812e-01f, 7.071067812e-01f);
    case 1:
        return make_float2(9.238795325e-01f, 3.826834324e-01f);
    case 2:
        return make_float2(9.807852804e-01f, 1.950903220e-01f);
    case 3:
        return make_float2(5.555702330e-01f, 8.314696123e-01f);
    case 4:
        return make_float2(9.951847267e-01f, 9.801714033e-02f);
    case 5:
        return make_float2(6.343932842e-01f, 7.730104534e-01f);
    case 6:
        return make_float2(8.819212643e-01f, 4.713967368e-01f);
    case 7:
        return make_float2(2.902846773e-01f, 9.569403357e-01f);
    case 8:
        return make_float2(9.987954562e-01f, 4.906767433e-02f);
    case 9:
        return make_float2(6.715589548e-01f, 7.409511254e-01f);
    case 10:
        return make_float2(9.039892931e-01f, 4.275550934e-01f);
    case 11:
        return make_float2(3.368898534e-01f, 9.415440652e-01f);
    case 12:
        return make_float2(9.700312532e-01f, 2.429801799e-01f);
    case 13:
        return make_float2(5.141027442e-01f, 8.577286100e-01f);
    case 14:
        return make_float2(8.032075315e-01f, 5.956993045e-01f);
    default:
        return make_float2(1.467304745e-01f, 9.891765100e-01f);
    }
}

/* Where the constants of a pass come from: those of the tree's top are part of the code ... */
struct FirstConstants {
    LCV_GPU_DEVICE_MEMBER float2 operator()(int number) const
    {
        return first_constant(number);
    }
};

/* ... those of a node further down come from the table: R/2 of them, two a float4, [R/4][nodes]. */
template <int R> struct NodeConstants {
    float4 pair[R / 4];
    LCV_GPU_DEVICE_MEMBER void load(const float4 *table, int nodes, int node)
    {
        LCV_GPU_UNROLL for (int i = 0; i < R / 4; i++) pair[i] = __ldg(table + i * nodes + node);
    }
    LCV_GPU_DEVICE_MEMBER float2 operator()(int number) const
    {
        const float4 both = pair[number / 2];
        return number % 2 ? make_float2(both.z, both.w) : make_float2(both.x, both.y);
    }
};

__host__ __device__ constexpr int constant_number(int level, int node)
{
    return level == 0 ? 0 : (1 << (level - 1)) + node / 2;
}

LCV_GPU_DEVICE float2 times_i_if(bool odd, float2 w)
{
    return odd ? make_float2(-w.y, w.x) : w;
}

LCV_GPU_DEVICE float2 multiply(float2 a, float2 b)
{
    return make_float2(fmaf(-a.y, b.y, a.x * b.x), fmaf(a.y, b.x, a.x * b.y));
}

LCV_GPU_DEVICE float2 scaled(float2 a, float scale)
{
    return make_float2(a.x * scale, a.y * scale);
}

/* a times the conjugate of b */
LCV_GPU_DEVICE float2 multiply_conjugate(float2 a, float2 b)
{
    return make_float2(fmaf(a.y, b.y, a.x * b.x), fmaf(a.y, b.x, -a.x * b.y));
}

/* (a, t) <- (a + w t, a - w t), six fused multiply-adds */
LCV_GPU_DEVICE void split(float2 &a, float2 &t, float2 w)
{
    const float2 sum = make_float2(fmaf(-w.y, t.y, fmaf(w.x, t.x, a.x)), fmaf(w.y, t.x, fmaf(w.x, t.y, a.y)));
    t = make_float2(fmaf(2.0f, a.x, -sum.x), fmaf(2.0f, a.y, -sum.y));
    a = sum;
}

/* (a, t) <- (a + t, conj(w) (a - t)): undoes split, but for a factor of two */
LCV_GPU_DEVICE void join(float2 &a, float2 &t, float2 w)
{
    const float2 difference = make_float2(a.x - t.x, a.y - t.y);
    a = make_float2(a.x + t.x, a.y + t.y);
    t = multiply_conjugate(difference, w);
}

/* Levels `Level` and up of a pass. Each level is one loop of constant length, so that every index is known to
 * the compiler and x stays in registers. */
template <int Level, int R, class Constants>
LCV_GPU_DEVICE void split_levels(float2 (&x)[R], const Constants &constants)
{
    if constexpr ((1 << Level) < R) {
        constexpr int half = R >> (Level + 1);
        LCV_GPU_UNROLL for (int i = 0; i < R / 2; i++)
        {
            const int node = i / half, at = node * 2 * half + i % half;
            split(x[at], x[at + half], times_i_if(node % 2, constants(constant_number(Level, node))));
        }
        split_levels<Level + 1>(x, constants);
    }
}

template <int Level, int R, class Constants>
LCV_GPU_DEVICE void join_levels(float2 (&x)[R], const Constants &constants)
{
    if constexpr ((1 << Level) < R) {
        join_levels<Level + 1>(x, constants);
        constexpr int half = R >> (Level + 1);
        LCV_GPU_UNROLL for (int i = 0; i < R / 2; i++)
        {
            const int node = i / half, at = node * 2 * half + i % half;
            join(x[at], x[at + half], times_i_if(node % 2, constants(constant_number(Level, node))));
        }
    }
}

} // namespace ring

#endif
