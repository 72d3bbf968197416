/* SPDX-License-Identifier: BSD-3-Clause */
/* gpu_chunks.cuh: recurrences along time in parallel. A row is cut into chunks, a thread for each: first they compute
 * what their chunks add to a state that begins at nothing, then a thread for each row carries the states from chunk to
 * chunk, then the chunks run again from their true states. All of it is in double, in an order that the sizes alone
 * decide. */
#ifndef LCV_GPU_CHUNKS_CUH
#define LCV_GPU_CHUNKS_CUH

#include "gpu_step.cuh"

enum { LCV_GPU_CHUNK = 32 };

/* Rows of a recurrence: shape.channels for each batch entry. */
struct lcv_gpu_chunks {
    lcv_gpu_shape shape;
    int64_t count; /* of a row */
};

/* A thread's chunk: samples [first, first + count) of a row. */
struct lcv_gpu_item {
    lcv_gpu_place at;
    int64_t first, count;
    int64_t index; /* among all items */
    int64_t part;  /* among the items of a channel */
};

static inline lcv_gpu_chunks lcv_gpu_chunks_of(const lcv_gpu_shape &shape)
{
    return {shape, shape.seqlen / LCV_GPU_CHUNK + (shape.seqlen % LCV_GPU_CHUNK != 0)};
}

static inline int64_t lcv_gpu_parts_of(const lcv_gpu_chunks &chunks)
{
    return chunks.shape.batch * chunks.count;
}

static inline int64_t lcv_gpu_items_of(const lcv_gpu_chunks &chunks)
{
    return lcv_gpu_parts_of(chunks) * chunks.shape.channels;
}

LCV_GPU_DEVICE int64_t lcv_gpu_index_of(const lcv_gpu_chunks &chunks, int64_t b, int64_t c, int64_t chunk)
{
    if (chunks.shape.turned)
        return (b * chunks.count + chunk) * chunks.shape.channels + c;
    return (b * chunks.shape.channels + c) * chunks.count + chunk;
}

LCV_GPU_DEVICE lcv_gpu_item lcv_gpu_item_at(const lcv_gpu_chunks &chunks, int64_t b, int64_t c, int64_t chunk)
{
    const int64_t first = chunk * LCV_GPU_CHUNK, left = chunks.shape.seqlen - first;
    return {{0, b, c},
            first,
            left < LCV_GPU_CHUNK ? left : static_cast<int64_t>(LCV_GPU_CHUNK),
            lcv_gpu_index_of(chunks, b, c, chunk),
            b * chunks.count + chunk};
}

/* Calls f(item) for the chunks of a thread. */
template <class F> LCV_GPU_DEVICE void lcv_gpu_each_chunk(const lcv_gpu_chunks &chunks, F f)
{
    const int64_t channels = chunks.shape.channels, all = chunks.shape.batch * chunks.count * channels;
    for (int64_t i = lcv_gpu_first_column(); i < all; i += lcv_gpu_column_step()) {
        if (chunks.shape.turned)
            f(lcv_gpu_item_at(chunks, i / channels / chunks.count, i % channels, i / channels % chunks.count));
        else
            f(lcv_gpu_item_at(chunks, i / chunks.count / channels, i / chunks.count % channels, i % chunks.count));
    }
}

/* Calls f(b, c) for the rows of a thread. */
template <class F> LCV_GPU_DEVICE void lcv_gpu_each_row(const lcv_gpu_chunks &chunks, F f)
{
    const int64_t rows = chunks.shape.batch * chunks.shape.channels;
    for (int64_t row = lcv_gpu_first_column(); row < rows; row += lcv_gpu_column_step())
        f(row / chunks.shape.channels, row % chunks.shape.channels);
}

/* Replaces what each chunk of a row adds by the state that the chunk begins from: state, then join(state, own) behind each
 * chunk; `backwards` from the row's end. */
template <class S, class F>
LCV_GPU_DEVICE void lcv_gpu_carry(const lcv_gpu_chunks &chunks, S *states, int64_t b, int64_t c, bool backwards, S state,
                                  F join)
{
    for (int64_t i = 0; i < chunks.count; i++) {
        S *place = states + lcv_gpu_index_of(chunks, b, c, backwards ? chunks.count - 1 - i : i);
        const S own = *place;
        *place = state;
        state = join(state, own);
    }
}

static inline dim3 lcv_gpu_chunk_grid(const lcv_gpu_chunks &chunks)
{
    return lcv_gpu_grid(lcv_gpu_items_of(chunks), 1);
}

static inline dim3 lcv_gpu_row_grid(const lcv_gpu_chunks &chunks)
{
    return lcv_gpu_grid(chunks.shape.batch * chunks.shape.channels, 1);
}

/* doubles = items * each + more; false: too many. */
static inline bool lcv_gpu_doubles(const lcv_step_problem *p, int64_t rows, int64_t each, int64_t more, int64_t *doubles)
{
    const int64_t chunks = p->seqlen / LCV_GPU_CHUNK + 1;
    return !__builtin_mul_overflow(p->batch, rows, doubles) && !__builtin_mul_overflow(*doubles, chunks, doubles) &&
           !__builtin_mul_overflow(*doubles, each, doubles) && !__builtin_add_overflow(*doubles, more, doubles);
}

#endif
