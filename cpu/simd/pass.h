/* SPDX-License-Identifier: BSD-3-Clause */
/* pass.h: the first and the last pass over a row, and, where the row is long, the first split and the last
 * join with them. */
#ifndef LCV_CPU_SIMD_PASS_H
#define LCV_CPU_SIMD_PASS_H

#include "edge.h"
#include "row.h"
#include "tree.h"

enum {
    CHUNK = LANES == 16 ? 16 : 32, /* vectors of a column that are handled at a time */
    EDGE_PIECES = 32 /* of the first and last pass of a row that a team may share; whether it does or not, so
                      * that sums are the same */
};

_Static_assert((int)PORTION <= (int)CHUNK, "a portion goes through the buffers of a chunk");

/* Vectors in a column, the distance of two residues. */
static size_t column_vectors(const lcv_simd_plan *plan)
{
    return (size_t)(plan->shape.size / plan->shape.radix) / LANES;
}

typedef struct edge_job {
    const lcv_simd_plan *plan;
    const source *from;
    const target *to;
    cvec *data;
    int64_t pieces;
    void (*range)(struct edge_job *job, int64_t piece, size_t from, size_t to);
    bool splits_around;         /* the split's result goes around the caches */
    bool around;                /* something does */
    bool look;                  /* first pass: for values that are not finite or too large */
    double energy[EDGE_PIECES]; /* then the sum of the squares, or not finite */
} edge_job;

/* Is the work array so long that what is written to it leaves all caches before it is read? */
static bool is_past_all(const lcv_simd_plan *plan)
{
    return work_bytes(plan) >= LCV_SIMD_PAST_BYTES;
}

static size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

static double sum_of(vec x)
{
    real lane[LANES];
    memcpy(lane, &x, sizeof lane);
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int k = 0; k < half; k++)
            lane[k] += lane[k + half];
    return (double)lane[0];
}

/* The first pass of a row that is plainly real up to the transform's end: no piece needs a buffer. */
static void first_plain(edge_job *job, int64_t index, size_t from, size_t to)
{
    const lcv_simd_plan *plan = job->plan;
    const size_t stride = column_vectors(plan);
    const int64_t radix = plan->shape.radix;
    const void *column[LCV_SIMD_MAX_RADIX];
    vec energy = splat(1); /* as below */
    for (int64_t k = 0; k < radix; k++)
        column[k] = (const real *)job->from->row->x + ((size_t)k * stride + from) * LANES;
    first_functions[radix][false][job->look](column, job->data + from, stride, from, to - from, plan->stagger,
                                             &energy);
    job->energy[index] = sum_of(energy);
}

/* Room for a column's part of a chunk. All of them are the caller's: the frame of a function that is called
 * for each chunk should be small, because hardened builds touch every page of it. */
typedef real chunk_buffer[CHUNK * LANES];

enum { MOST_COLUMNS = 2 * LCV_SIMD_MAX_RADIX, MOST_SPLIT_COLUMNS = 2 * MOST_PIECES / 4 };

/* Residues of `count` vectors of each column, from vector `at` on; residue r goes to y + r * stride. */
static void first_chunk(const edge_job *job, size_t at, size_t count, cvec *y, size_t stride,
                        chunk_buffer *buffer, vec *energy)
{
    const lcv_simd_plan *plan = job->plan;
    const source *s = job->from;
    const int64_t size = plan->shape.size, radix = plan->shape.radix, column_reals = size / radix;
    const bool complex = s->end > size || s->future_count > 0;
    const int64_t columns = complex ? 2 * radix : radix;
    const int64_t t = (int64_t)(at * LANES), reals = (int64_t)(count * LANES);
    const bool half = job->look && !complex && is_plainly_half(s, (columns - 1) * column_reals + t + reals);
    first_function *const pass =
        half ? first_half_functions[radix][s->row->form] : first_functions[radix][complex][job->look];
    const void *column[MOST_COLUMNS];
    for (int64_t k = 0; k < columns; k++)
        column[k] = half ? (const char *)s->row->x + 2 * (k * column_reals + t)
                         : piece(s, k * column_reals + t, reals, buffer[k]);
    pass(column, y, stride, at, count, plan->stagger, energy);
}

static void first_range(edge_job *job, int64_t index, size_t from, size_t to)
{
    chunk_buffer buffer[MOST_COLUMNS];
    vec energy = splat(1); /* not 0: next to it, squares too small for a normal number cost no time */
    for (size_t at = from; at < to; at += CHUNK)
        first_chunk(job, at, min_size(to - at, CHUNK), job->data + at, column_vectors(job->plan), buffer,
                    &energy);
    job->energy[index] = sum_of(energy);
}

/* Asks for what a portion with the first split reads: no hardware follows so many pieces at once. */
static void fetch_portion(const edge_job *job, size_t at, size_t count)
{
    const size_t pieces = 4 * (size_t)job->plan->shape.radix, step = column_vectors(job->plan) / 4;
    for (size_t i = 0; i < pieces; i++)
        fetch_piece(job->from, (int64_t)((i * step + at) * LANES), (int64_t)(count * LANES));
}

/* With the first split: vectors [from, to) of each quarter of the columns. */
static void first_split(edge_job *job, int64_t index, size_t from, size_t to)
{
    const lcv_simd_plan *plan = job->plan;
    const size_t stride = column_vectors(plan), quarter = stride / 4, radix = (size_t)plan->shape.radix;
    cvec meeting[MEETING];
    chunk_buffer buffer[MOST_SPLIT_COLUMNS];
    vec energy = splat(1); /* as above */
    for (size_t at = from; at < to; at += PORTION) {
        const size_t count = min_size(to - at, PORTION), next = at + count;
        fetch_portion(job, next, min_size(to - next, PORTION));
        for (size_t i = 0; i < 4; i++)
            first_chunk(job, i * quarter + at, count, meeting + i * PORTION, 4 * PORTION, buffer, &energy);
        for (size_t r = 0; r < radix; r++)
            (job->splits_around ? split_around : split_across)(job->data + r * stride + at, quarter,
                                                               meeting + r * 4 * PORTION, PORTION,
                                                               split_table(plan, 0, (int64_t)r), count);
    }
    job->energy[index] = sum_of(energy);
}

/* The last pass where all of the result has a plain place. */
static void last_plain(edge_job *job, int64_t index, size_t from, size_t to)
{
    (void)index;
    const size_t stride = column_vectors(job->plan);
    const int64_t radix = job->plan->shape.radix;
    real *const place = plain_place(job->to, 0, job->plan->shape.size);
    real *column[LCV_SIMD_MAX_RADIX];
    for (int64_t k = 0; k < radix; k++)
        column[k] = place + ((size_t)k * stride + from) * LANES;
    last_functions[radix][false](job->data + from, column, stride, to - from);
}

/* The adjoint of first_chunk, up to where the result goes. */
static void last_chunk(const edge_job *job, size_t at, size_t count, const cvec *y, size_t stride,
                       chunk_buffer *buffer)
{
    const lcv_simd_plan *plan = job->plan;
    const target *t = job->to;
    const int64_t size = plan->shape.size, radix = plan->shape.radix, column_reals = size / radix;
    const bool complex = t->end > size;
    const int64_t columns = complex ? 2 * radix : radix;
    const int64_t t0 = (int64_t)(at * LANES), reals = (int64_t)(count * LANES);
    real *column[MOST_COLUMNS];
    column[0] = buffer[0]; /* the compiler does not see that there are columns */
    for (int64_t k = 0; k < columns; k++) {
        real *const place = plain_place(t, k * column_reals + t0, reals);
        column[k] = place != NULL ? place : buffer[k];
    }
    last_functions[radix][complex](y, column, stride, count);
    for (int64_t k = 0; k < columns; k++)
        if (column[k] == buffer[k])
            deliver(t, k * column_reals + t0, reals, buffer[k]);
}

static void last_range(edge_job *job, int64_t index, size_t from, size_t to)
{
    (void)index;
    chunk_buffer buffer[MOST_COLUMNS];
    for (size_t at = from; at < to; at += CHUNK)
        last_chunk(job, at, min_size(to - at, CHUNK), job->data + at, column_vectors(job->plan), buffer);
}

/* With the last join. */
static void last_join(edge_job *job, int64_t index, size_t from, size_t to)
{
    (void)index;
    const lcv_simd_plan *plan = job->plan;
    const size_t stride = column_vectors(plan), quarter = stride / 4, radix = (size_t)plan->shape.radix;
    cvec meeting[MEETING];
    chunk_buffer buffer[MOST_SPLIT_COLUMNS];
    for (size_t at = from; at < to; at += PORTION) {
        const size_t count = min_size(to - at, PORTION);
        for (size_t r = 0; r < radix; r++)
            join_across(meeting + r * 4 * PORTION, PORTION, job->data + r * stride + at, quarter,
                        split_table(plan, 0, (int64_t)r), count);
        for (size_t i = 0; i < 4; i++)
            last_chunk(job, i * quarter + at, count, meeting + i * PORTION, 4 * PORTION, buffer);
    }
}

static void edge_task(void *arg, int64_t index)
{
    edge_job *job = arg;
    const size_t vectors = column_vectors(job->plan) / (splits_at_edges(job->plan) ? 4 : 1);
    const size_t pieces = (size_t)job->pieces;
    job->range(job, index, vectors * (size_t)index / pieces, vectors * (size_t)(index + 1) / pieces);
    if (job->around)
        settle();
}

static void run_edge(edge_job *job, const lcv_cpu_team *team)
{
    job->pieces = job->plan->shape.size >= LCV_SIMD_TEAM_SIZE ? EDGE_PIECES : 1;
    if (team != NULL)
        lcv_cpu_team_run(team, job->pieces, edge_task, job);
    else
        for (int64_t piece = 0; piece < job->pieces; piece++)
            edge_task(job, piece);
}

/* False when the source is beyond its limit (0: none); NaN is. */
static bool first_pass(const lcv_simd_plan *plan, const source *from, double limit, cvec *data,
                       const lcv_cpu_team *team)
{
    edge_job job; /* its energies need no zeros */
    job.plan = plan;
    job.from = from;
    job.data = data;
    const int64_t size = plan->shape.size;
    const bool plain = is_plainly_real(from, size) && from->end <= size && from->row->product == NULL;
    const bool splits = splits_at_edges(plan);
    job.range = splits ? first_split : plain ? first_plain : first_range;
    job.splits_around = splits && is_past_all(plan);
    job.around = (from->row->product != NULL && from->past) || job.splits_around;
    job.look = limit > 0.0;
    double energy = 0.0;
    run_edge(&job, team);
    for (int64_t piece = 0; piece < job.pieces; piece++)
        energy += job.energy[piece];
    return !job.look || energy < limit;
}

static void last_pass(const lcv_simd_plan *plan, cvec *data, const target *to, const lcv_cpu_team *team)
{
    edge_job job;
    job.plan = plan;
    job.to = to;
    job.data = data;
    const bool plain = to->end <= plan->shape.size && plain_place(to, 0, plan->shape.size) != NULL;
    job.range = splits_at_edges(plan) ? last_join : plain ? last_plain : last_range;
    job.around = to->past || to->past2;
    run_edge(&job, team);
}

#endif
