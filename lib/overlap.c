/* SPDX-License-Identifier: BSD-3-Clause */
#include "overlap.h"

typedef struct {
    int32_t count;                /* axes of more than one element */
    int64_t extent[LCV_MAX_RANK]; /* by rising stride */
    int64_t stride[LCV_MAX_RANK];
    int64_t reach[LCV_MAX_RANK + 1]; /* reach[i]: largest offset that axes below i can add */
} lattice;

static bool is_empty(const lcv_tensor *view)
{
    for (int32_t axis = 0; axis < view->rank; axis++)
        if (view->shape[axis] == 0)
            return true;
    return view->rank == 0;
}

static lattice lattice_of(const lcv_tensor *view)
{
    lattice l = {0};
    for (int32_t axis = 0; axis < view->rank; axis++) {
        if (view->shape[axis] <= 1)
            continue;
        int32_t place = l.count++;
        for (; place > 0 && l.stride[place - 1] > view->strides[axis]; place--) {
            l.stride[place] = l.stride[place - 1];
            l.extent[place] = l.extent[place - 1];
        }
        l.stride[place] = view->strides[axis];
        l.extent[place] = view->shape[axis];
    }
    for (int32_t i = 0; i < l.count; i++)
        l.reach[i + 1] = l.reach[i] + (l.extent[i] - 1) * l.stride[i];
    return l;
}

static bool same_geometry(const lcv_tensor *a, const lcv_tensor *b)
{
    if (a->dtype != b->dtype || a->rank != b->rank)
        return false;
    for (int32_t axis = 0; axis < a->rank; axis++) {
        if (a->shape[axis] != b->shape[axis])
            return false;
        if (a->shape[axis] > 1 && a->strides[axis] != b->strides[axis])
            return false;
    }
    return true;
}

static int64_t floor_div(int64_t a, int64_t b)
{
    int64_t q = a / b;
    return q * b > a ? q - 1 : q;
}

/* Is `distance` a difference of two offsets of the lattice's axes below `axes`? May say true in doubt. */
static bool is_difference(const lattice *l, int32_t axes, int64_t distance)
{
    enum { FEW = 4 };
    if (distance > l->reach[axes] || distance < -l->reach[axes])
        return false;
    if (axes == 0)
        return true;
    int64_t stride = l->stride[axes - 1], limit = l->extent[axes - 1] - 1, inner = l->reach[axes - 1];
    if (stride == 0)
        return is_difference(l, axes - 1, distance);
    int64_t first = -floor_div(inner - distance, stride), last = floor_div(distance + inner, stride);
    first = first < -limit ? -limit : first;
    last = last > limit ? limit : last;
    if (last - first > FEW)
        return true;
    for (int64_t step = first; step <= last; step++)
        if (is_difference(l, axes - 1, distance - step * stride))
            return true;
    return false;
}

bool lcvi_views_overlap(const lcv_tensor *a, const lcv_tensor *b)
{
    if (is_empty(a) || is_empty(b))
        return false;
    lattice la = lattice_of(a), lb = lattice_of(b);
    int64_t size_a = (int64_t)lcv_dtype_size(a->dtype), size_b = (int64_t)lcv_dtype_size(b->dtype);
    uintptr_t start_a = (uintptr_t)a->data, end_a = start_a + (uintptr_t)((la.reach[la.count] + 1) * size_a);
    uintptr_t start_b = (uintptr_t)b->data, end_b = start_b + (uintptr_t)((lb.reach[lb.count] + 1) * size_b);
    if (end_a <= start_b || end_b <= start_a)
        return false;
    int64_t distance = (int64_t)(start_b - start_a);
    if (!same_geometry(a, b) || distance % size_a != 0)
        return true;
    return is_difference(&la, la.count, distance / size_a);
}

bool lcvi_view_overlaps_itself(const lcv_tensor *view)
{
    if (is_empty(view))
        return false;
    lattice l = lattice_of(view);
    for (int32_t i = 0; i < l.count; i++)
        if (l.stride[i] <= l.reach[i])
            return true;
    return false;
}

bool lcvi_views_equal(const lcv_tensor *a, const lcv_tensor *b)
{
    return a->data == b->data && same_geometry(a, b);
}
