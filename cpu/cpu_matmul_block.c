/* SPDX-License-Identifier: BSD-3-Clause */
/* One block of a matrix product, compiled for each type: operands are packed (and converted) piece by piece
 * of k, the block is summed up in scratch memory, and goes to the result at the end. */
#include "cpu_blas.h"
#include "cpu_matmul.h"
#include "kernels.h"

#include <string.h>

typedef struct {
    const lcv_matmul_block *block;
    const TYPED(lcv_cpu_kernels) * kernels;
    real *left, *right, *tile, *line;
    int64_t tile_step; /* whole tiles */
} worker;

/* A matrix seen as vectors along k: `count` of them, `step` apart, elements k_step apart. */
typedef struct {
    const char *data;
    lcv_dtype dtype;
    int64_t step, k_step;
} view;

static bool is_plain(const view *v)
{
    return lcv_dtype_size(v->dtype) == sizeof(real) && (uintptr_t)v->data % sizeof(real) == 0;
}

/* to[k * width + i] = vector i at k, for i < count; zeros up to width. */
static void pack_panel(const worker *w, const view *v, int64_t count, int64_t width, int64_t inner, real *to)
{
    const TYPED(lcv_cpu_kernels) *kernels = w->kernels;
    const int64_t size = (int64_t)lcv_dtype_size(v->dtype);
    if (count < width)
        memset(to, 0, (size_t)(width * inner) * sizeof(real));
    if (v->k_step == 1 && v->step != 1) {
        const real *from = w->line;
        if (is_plain(v))
            from = (const real *)(const void *)v->data;
        else
            kernels->load(v->data, v->dtype, v->step, count, 1, inner, w->line);
        kernels->transpose(from, from == w->line ? inner : v->step, count, inner, to, width);
    } else if (count == width) {
        kernels->load(v->data, v->dtype, v->k_step, inner, v->step, width, to);
    } else {
        for (int64_t k = 0; k < inner; k++)
            kernels->load(v->data + k * v->k_step * size, v->dtype, 0, 1, v->step, count, to + k * width);
    }
}

static void pack(const worker *w, view v, int64_t count, int64_t width, int64_t inner, real *to)
{
    const int64_t panel_bytes = width * v.step * (int64_t)lcv_dtype_size(v.dtype);
    for (int64_t i = 0; i < count; i += width) {
        pack_panel(w, &v, count - i < width ? count - i : width, width, inner, to);
        v.data += panel_bytes;
        to += width * inner;
    }
}

static const char *place(const lcv_array *array, lcv_dtype dtype, int64_t b, int64_t i, int64_t j)
{
    return (const char *)array->data + (b * array->stride[0] + i * array->stride[1] + j * array->stride[2]) *
                                           (int64_t)lcv_dtype_size(dtype);
}

/* tile = (add: tile +) rows times columns by a BLAS, which packs for itself; false where the operands are
 * none that it knows. */
static bool multiply_by_blas(const worker *w, const view *rows, const view *columns, int64_t inner, bool add)
{
    const lcv_matmul_block *block = w->block;
    const lcv_blas_matrix left = {rows->data, rows->step, rows->k_step};
    const lcv_blas_matrix right = {columns->data, columns->k_step, columns->step};
    return block->blas && is_plain(rows) && is_plain(columns) &&
           TYPED(lcv_cpu_blas_multiply)(block->rows, block->columns, inner, &left, &right, add, w->tile,
                                        w->tile_step);
}

/* A few rows read the right operand once or twice: packing it would cost more. How many of its columns, whole
 * tiles, can be read where they lie? */
static int64_t columns_as_they_lie(const worker *w, const view *columns)
{
    const lcv_dense_kernels *dense = w->block->dense;
    if (w->block->rows > dense->tile_rows || columns->step != 1 || !is_plain(columns))
        return 0;
    return w->block->columns / dense->tile_columns * dense->tile_columns;
}

typedef struct {
    int64_t inner;
    bool add;
} piece;

/* The tiles of `count` columns, from column `first` of the block on, whose left operand is packed; `lie`: the
 * columns are read where they are. */
static void multiply_columns(const worker *w, const piece *p, view columns, int64_t first, int64_t count,
                             bool lie)
{
    const lcv_matmul_block *block = w->block;
    const lcv_dense_kernels *dense = block->dense;
    if (count == 0)
        return;
    columns.data += first * columns.step * (int64_t)lcv_dtype_size(columns.dtype);
    if (!lie)
        pack(w, columns, count, dense->tile_columns, p->inner, w->right);
    dense->multiply(&(lcv_dense_product){
        .inner = p->inner,
        .left = w->left,
        .left_panels = (block->rows + dense->tile_rows - 1) / dense->tile_rows,
        .left_panel = p->inner * dense->tile_rows,
        .right = lie ? (const void *)columns.data : w->right,
        .right_panels = (count + dense->tile_columns - 1) / dense->tile_columns,
        .right_panel = lie ? dense->tile_columns : p->inner * dense->tile_columns,
        .right_step = lie ? columns.k_step : dense->tile_columns,
        .to = w->tile + first,
        .to_step = w->tile_step,
        .add = p->add,
        .one_row = block->rows == 1,
    });
}

/* tile = (add: tile +) left[b, :, k..] right[b, k.., :] */
static void multiply_piece(const worker *w, int64_t b, int64_t k, int64_t inner, bool add)
{
    const lcv_matmul_block *block = w->block;
    const lcv_matmul_params *p = block->params;
    const lcv_array *left = &block->call->left, *right = &block->call->right;
    const lcv_dense_kernels *dense = block->dense;
    const view rows = {place(left, p->left, b, block->row, k), p->left, left->stride[1], left->stride[2]};
    const view columns = {place(right, p->right, b, k, block->column), p->right, right->stride[2],
                          right->stride[1]};
    if (multiply_by_blas(w, &rows, &columns, inner, add))
        return;
    pack(w, rows, block->rows, dense->tile_rows, inner, w->left);
    const piece this_piece = {inner, add};
    const int64_t there = columns_as_they_lie(w, &columns);
    multiply_columns(w, &this_piece, columns, 0, there, true);
    multiply_columns(w, &this_piece, columns, there, block->columns - there, false);
}

static void add_row(const worker *w, const char *data, lcv_dtype dtype, int64_t stride, real *row)
{
    w->kernels->load(data, dtype, 0, 1, stride, w->block->columns, w->line);
    w->kernels->add(w->line, w->block->columns, row);
}

static void deliver(const worker *w)
{
    const lcv_matmul_block *block = w->block;
    const lcv_matmul_call *call = block->call;
    const lcv_dtype dtype = block->params->c, own = REAL_IS_DOUBLE ? LCV_F64 : LCV_F32;
    const int64_t stride = call->c.stride[2];
    for (int64_t i = 0; i < block->rows; i++) {
        real *row = w->tile + i * w->tile_step;
        const char *to = place(&call->c, dtype, block->product, block->row + i, block->column);
        if (call->bias.data != NULL)
            add_row(w, place(&call->bias, own, block->product, block->row + i, block->column), own,
                    call->bias.stride[2], row);
        if (call->accumulate)
            add_row(w, to, dtype, stride, row);
        w->kernels->store((void *)(uintptr_t)to, dtype, 0, 1, stride, block->columns, row);
    }
}

void TYPED(lcv_cpu_matmul_block)(const lcv_matmul_block *block)
{
    const lcv_matmul_params *p = block->params;
    const int64_t columns = block->dense->tile_columns;
    real *memory = block->memory;
    const worker w = {
        .block = block,
        .kernels = TYPED(lcv_cpu_kernels_of)(block->mask),
        .left = memory + block->scratch->left,
        .right = memory + block->scratch->right,
        .tile = memory + block->scratch->tile,
        .line = memory + block->scratch->line,
        .tile_step = (block->columns + columns - 1) / columns * columns,
    };
    const int64_t first = block->product, last = p->sum_batch ? p->batch : first + 1;
    bool any = false;
    for (int64_t b = first; b < last; b++)
        for (int64_t k = 0; k < p->inner; k += LCV_MATMUL_INNER, any = true)
            multiply_piece(&w, b, k, p->inner - k < LCV_MATMUL_INNER ? p->inner - k : LCV_MATMUL_INNER, any);
    if (!any)
        memset(w.tile, 0, (size_t)(block->rows * w.tile_step) * sizeof(real));
    deliver(&w);
}
