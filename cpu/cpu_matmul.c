/* SPDX-License-Identifier: BSD-3-Clause */
/* The driver of matrix products: cuts the result into blocks and hands them to threads. A block is computed
 * by one thread in its own scratch memory, and what an element is does not depend on the block it is in, so
 * the cut may follow the number of threads. */
#include "cpu_matmul.h"
#include "cpu_blas.h"
#include "cpu_conv.h"
#include "cpu_threads.h"

#include <stdatomic.h>

enum {
    ROWS = 96, /* of the largest block; with COLUMNS and LCV_MATMUL_INNER it fits a second-level cache */
    COLUMNS = 288,
    BLOCKS_PER_THREAD = 2
};

typedef struct {
    const lcv_matmul_params *params;
    const lcv_matmul_call *call;
    const lcv_dense_kernels *dense;
    const char *mask;
    bool is_double, blas;
    int32_t workers;
    int64_t rows, columns; /* of a block */
    int64_t row_blocks, column_blocks, blocks;
    lcv_matmul_scratch scratch;
    size_t worker_bytes;
    char *memory;
    _Atomic int64_t next;
} execution;

static int64_t round_up(int64_t count, int64_t to)
{
    return (count + to - 1) / to * to;
}

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void count_blocks(execution *e)
{
    const lcv_matmul_params *p = e->params;
    e->row_blocks = (p->rows + e->rows - 1) / e->rows;
    e->column_blocks = (p->columns + e->columns - 1) / e->columns;
    e->blocks = (p->sum_batch ? 1 : p->batch) * e->row_blocks * e->column_blocks;
}

/* Halves the blocks until every thread has some, down to a tile or two. */
static void cut(execution *e, int32_t threads)
{
    const int64_t rows = e->dense->tile_rows, columns = e->dense->tile_columns;
    e->rows = smaller(ROWS, round_up(e->params->rows, rows));
    e->columns = smaller(round_up(COLUMNS, columns), round_up(e->params->columns, columns));
    count_blocks(e);
    while (threads > 1 && e->blocks < (int64_t)threads * BLOCKS_PER_THREAD) {
        if (e->columns >= 2 * columns && e->columns >= e->rows)
            e->columns = round_up(e->columns / 2, columns);
        else if (e->rows >= 4 * rows)
            e->rows = round_up(e->rows / 2, rows);
        else
            break;
        count_blocks(e);
    }
}

/* The offset of a piece of scratch memory of `reals`. */
static int64_t reserve(int64_t *size, int64_t reals)
{
    const int64_t offset = *size;
    *size += round_up(reals, LCV_CPU_ALIGNMENT);
    return offset;
}

static void lay_out(execution *e)
{
    const int64_t inner = smaller(e->params->inner, LCV_MATMUL_INNER);
    const int64_t line = e->dense->tile_columns * inner;
    lcv_matmul_scratch *s = &e->scratch;
    s->left = reserve(&s->size, e->rows * inner);
    s->right = reserve(&s->size, e->columns * inner);
    s->tile = reserve(&s->size, e->rows * e->columns);
    s->line = reserve(&s->size, line > e->columns ? line : e->columns);
    e->worker_bytes = (size_t)s->size * (e->is_double ? sizeof(double) : sizeof(float));
}

static execution plan(const lcv_backend_host *host, const lcv_matmul_params *params)
{
    const int32_t threads = params->num_threads > 0 ? params->num_threads : host->num_threads;
    const bool is_double = params->c == LCV_F64;
    execution e = {.params = params,
                   .dense = lcv_cpu_dense_of(host->cpu_mask, is_double),
                   .mask = host->cpu_mask,
                   .is_double = is_double,
                   .blas = params->fixed_order == 0 && lcv_cpu_blas_is_usable()};
    if (params->rows == 0 || params->columns == 0 || (params->batch == 0 && !params->sum_batch))
        return e;
    cut(&e, e.blas ? 1 : threads); /* what a BLAS makes of an element may depend on its block */
    e.workers = (int32_t)smaller(threads, e.blocks);
    lay_out(&e);
    return e;
}

static void run_block(const execution *e, int64_t index, void *memory)
{
    const lcv_matmul_params *p = e->params;
    const int64_t per_product = e->row_blocks * e->column_blocks;
    const int64_t row = index % per_product / e->column_blocks * e->rows;
    const int64_t column = index % e->column_blocks * e->columns;
    const lcv_matmul_block block = {
        .params = p,
        .call = e->call,
        .dense = e->dense,
        .mask = e->mask,
        .blas = e->blas,
        .product = index / per_product,
        .row = row,
        .rows = smaller(e->rows, p->rows - row),
        .column = column,
        .columns = smaller(e->columns, p->columns - column),
        .scratch = &e->scratch,
        .memory = memory,
    };
    (e->is_double ? lcv_cpu_matmul_block_f64 : lcv_cpu_matmul_block_f32)(&block);
}

static void work(void *arg, int64_t worker)
{
    execution *e = arg;
    for (int64_t i; (i = atomic_fetch_add(&e->next, 1)) < e->blocks;)
        run_block(e, i, e->memory + (size_t)worker * e->worker_bytes);
}

/* Rows of the result are written one after the other; where its columns are contiguous instead, the
 * transposed product is computed. */
static lcv_matmul_params transposed_params(const lcv_matmul_params *params)
{
    lcv_matmul_params p = *params;
    p.left = params->right;
    p.right = params->left;
    p.rows = params->columns;
    p.columns = params->rows;
    return p;
}

static lcv_array transposed(const lcv_array *a)
{
    return (lcv_array){a->data, {a->stride[0], a->stride[2], a->stride[1]}};
}

static lcv_matmul_call transposed_call(const lcv_matmul_call *call)
{
    lcv_matmul_call c = *call;
    c.left = transposed(&call->right);
    c.right = transposed(&call->left);
    c.c = transposed(&call->c);
    c.bias = transposed(&call->bias);
    return c;
}

static size_t bytes_of(const lcv_backend_host *host, const lcv_matmul_params *params)
{
    const execution e = plan(host, params);
    return e.workers > 0 ? (size_t)e.workers * e.worker_bytes + LCV_CPU_ALIGNMENT : 0;
}

lcv_status lcv_cpu_matmul_query(void *device, const lcv_matmul_params *params, size_t *workspace_bytes)
{
    const lcv_backend_host *host = ((const lcv_cpu_device *)device)->host;
    const lcv_matmul_params other = transposed_params(params);
    const size_t as_given = bytes_of(host, params), as_other = bytes_of(host, &other);
    *workspace_bytes = as_given > as_other ? as_given : as_other;
    return LCV_OK;
}

static void run(const lcv_backend_host *host, const lcv_matmul_params *params, const lcv_matmul_call *call)
{
    execution e = plan(host, params);
    e.call = call;
    if (e.workers == 0)
        return;
    e.memory = (char *)lcv_cpu_round_up((uintptr_t)call->exec.workspace);
    const lcv_cpu_team team = lcv_cpu_team_of(&call->exec, e.workers);
    atomic_init(&e.next, 0);
    lcv_cpu_team_run(&team, e.workers, work, &e);
}

lcv_status lcv_cpu_matmul(void *device, const lcv_matmul_params *params, const lcv_matmul_call *call)
{
    const lcv_backend_host *host = ((const lcv_cpu_device *)device)->host;
    if (call->c.stride[1] == 1 && call->c.stride[2] != 1) {
        const lcv_matmul_params other = transposed_params(params);
        const lcv_matmul_call turned = transposed_call(call);
        run(host, &other, &turned);
    } else {
        run(host, params, call);
    }
    return LCV_OK;
}
