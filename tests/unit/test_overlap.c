/* SPDX-License-Identifier: BSD-3-Clause */
/* The overlap functions against sets of addresses, for all small views. */
#include "overlap.h"
#include "test.h"

#include <string.h>

enum { BYTES = 512, ORIGIN = 128 }; /* addresses are numbers here: nothing is ever read */

typedef struct {
    unsigned char touched[BYTES];
    int elements, distinct; /* visits, and different first bytes */
} footprint;

static uintptr_t base(void)
{
    static char memory[BYTES];
    return (uintptr_t)memory;
}

static footprint footprint_of(const lcv_tensor *view)
{
    footprint f;
    unsigned char starts[BYTES] = {0};
    const int64_t size = (int64_t)lcv_dtype_size(view->dtype);
    memset(&f, 0, sizeof f);
    for (int64_t i = 0; i < view->shape[0]; i++)
        for (int64_t j = 0; j < (view->rank > 1 ? view->shape[1] : 1); j++)
            for (int64_t k = 0; k < (view->rank > 2 ? view->shape[2] : 1); k++) {
                const int64_t offset = i * view->strides[0] + (view->rank > 1 ? j * view->strides[1] : 0) +
                                       (view->rank > 2 ? k * view->strides[2] : 0);
                const int64_t at = (int64_t)((uintptr_t)view->data - base()) + offset * size;
                assert_true(at >= 0 && at + size <= BYTES);
                f.elements++;
                f.distinct += !starts[at];
                starts[at] = 1;
                memset(f.touched + at, 1, (size_t)size);
            }
    return f;
}

static bool meet(const footprint *a, const footprint *b)
{
    for (int i = 0; i < BYTES; i++)
        if (a->touched[i] && b->touched[i])
            return true;
    return false;
}

static int first(const footprint *f)
{
    int i = 0;
    while (i < BYTES && !f->touched[i])
        i++;
    return i;
}

static int last(const footprint *f)
{
    int i = BYTES - 1;
    while (i >= 0 && !f->touched[i])
        i--;
    return i;
}

static lcv_tensor view_of(int64_t at, lcv_dtype dtype, int32_t rank, const int64_t *shape,
                          const int64_t *strides)
{
    lcv_tensor view = {.data = (void *)(base() + (uintptr_t)at), .dtype = dtype, .rank = rank};
    memcpy(view.shape, shape, (size_t)rank * sizeof *shape);
    memcpy(view.strides, strides, (size_t)rank * sizeof *strides);
    return view;
}

/* Number `index` in base `radix`, one digit for each of six places. */
static void digits(int index, int radix, int64_t out[6])
{
    for (int i = 0; i < 6; i++, index /= radix)
        out[i] = index % radix;
}

enum { RADIX = 4, ALL_VIEWS = 4096 };

/* Shapes 0 to 3 and strides of 0, 1, 3 and 5 or so. */
static lcv_tensor numbered(int index, int64_t at, lcv_dtype dtype)
{
    static const int64_t strides_of[RADIX] = {0, 1, 3, 5};
    int64_t d[6];
    digits(index, RADIX, d);
    const int64_t shape[3] = {d[0], d[1], d[2]};
    const int64_t strides[3] = {strides_of[d[3]], strides_of[d[4]], strides_of[d[5]]};
    return view_of(at, dtype, 3, shape, strides);
}

/* Never false when two indices reach one element; true without cause only where strides interleave. */
static void views_with_themselves(void **state)
{
    int doubtful = 0, overlapping = 0;
    (void)state;
    for (int i = 0; i < ALL_VIEWS; i++) {
        const lcv_tensor view = numbered(i, ORIGIN, LCV_F32);
        const footprint f = footprint_of(&view);
        const bool truth = f.distinct < f.elements, said = lcvi_view_overlaps_itself(&view);
        if (truth && !said)
            fail_msg("view %d overlaps itself", i);
        overlapping += truth;
        doubtful += said && !truth;
    }
    assert_true(overlapping > 500);
    assert_true(doubtful < overlapping / 4);
}

/* A view that is nested (each stride passes over all that is below it) is never suspected. */
static void nested_views_are_clear(void **state)
{
    (void)state;
    for (int order = 0; order < 6; order++)
        for (int gaps = 0; gaps < 27; gaps++) {
            static const int orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                             {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
            int64_t shape[3] = {2, 3, 2}, strides[3], step = 1;
            for (int place = 0, g = gaps; place < 3; place++, g /= 3) {
                const int axis = orders[order][place];
                strides[axis] = step + g % 3;
                step = shape[axis] * strides[axis];
            }
            const lcv_tensor view = view_of(0, LCV_F16, 3, shape, strides);
            const footprint f = footprint_of(&view);
            assert_int_equal(f.distinct, f.elements);
            assert_false(lcvi_view_overlaps_itself(&view));
        }
}

/* Views of one geometry at all distances: exact. */
static void equal_geometries(void **state)
{
    int met = 0, apart = 0;
    (void)state;
    for (int i = 0; i < ALL_VIEWS; i++) {
        const lcv_tensor a = numbered(i, ORIGIN, LCV_F16);
        const footprint fa = footprint_of(&a);
        for (int64_t bytes = -48; bytes <= 48; bytes += 1 + i % 2) {
            const lcv_tensor b = numbered(i, ORIGIN + bytes, LCV_F16);
            const footprint fb = footprint_of(&b);
            const bool truth = meet(&fa, &fb), said = lcvi_views_overlap(&a, &b);
            const bool in_steps = bytes % 2 == 0; /* halves of elements may be doubted */
            if (truth != said && (truth || in_steps))
                fail_msg("view %d and itself %lld bytes later: they do%s meet", i, (long long)bytes,
                         truth ? "" : " not");
            met += truth;
            apart += !truth && said == truth;
        }
    }
    assert_true(met > 10000 && apart > 10000);
}

/* Views of different geometries: by the range of bytes. */
static void different_geometries(void **state)
{
    (void)state;
    for (int i = 0; i < ALL_VIEWS; i += 7)
        for (int k = 0; k < ALL_VIEWS; k += 61)
            for (int64_t bytes = -30; bytes <= 30; bytes += 5) {
                const lcv_tensor a = numbered(i, ORIGIN, LCV_F32), b = numbered(k, ORIGIN + bytes, LCV_F16);
                const footprint fa = footprint_of(&a), fb = footprint_of(&b);
                const bool empty = fa.elements == 0 || fb.elements == 0;
                const bool ranges = !empty && first(&fa) <= last(&fb) && first(&fb) <= last(&fa);
                assert_int_equal(lcvi_views_overlap(&a, &b), ranges);
                assert_int_equal(lcvi_views_overlap(&b, &a), ranges);
            }
}

static void equal_views(void **state)
{
    const int64_t shape[] = {2, 1, 3}, strides[] = {3, 7, 1}, others[] = {3, 8, 1}, more[] = {4, 7, 1};
    const lcv_tensor a = view_of(0, LCV_F32, 3, shape, strides), b = view_of(0, LCV_F32, 3, shape, others),
                     c = view_of(0, LCV_F32, 3, shape, more), d = view_of(4, LCV_F32, 3, shape, strides);
    lcv_tensor other_dtype = a, other_rank = a;
    (void)state;
    assert_true(lcvi_views_equal(&a, &a));
    assert_true(lcvi_views_equal(&a, &b)); /* the stride of one element does not matter */
    assert_false(lcvi_views_equal(&a, &c));
    assert_false(lcvi_views_equal(&a, &d));
    other_dtype.dtype = LCV_F64;
    assert_false(lcvi_views_equal(&a, &other_dtype));
    other_rank.rank = 2;
    assert_false(lcvi_views_equal(&a, &other_rank));
}

/* Extremes that check.c lets through: no overflow in here (the sanitizers watch). */
static void huge_strides(void **state)
{
    const int64_t shape[] = {2, 2, 2}, strides[] = {INT64_MAX / 16, INT64_MAX / 64, 1};
    const lcv_tensor a = view_of(0, LCV_F64, 3, shape, strides), b = view_of(8, LCV_F64, 3, shape, strides),
                     c = view_of(16, LCV_F64, 3, shape, strides);
    (void)state;
    assert_false(lcvi_view_overlaps_itself(&a));
    assert_true(lcvi_views_overlap(&a, &b));
    assert_false(lcvi_views_overlap(&a, &c));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(views_with_themselves), cmocka_unit_test(nested_views_are_clear),
        cmocka_unit_test(equal_geometries),      cmocka_unit_test(different_geometries),
        cmocka_unit_test(equal_views),           cmocka_unit_test(huge_strides),
    };
    return cmocka_run_group_tests_name("overlap", tests, NULL, NULL);
}
