/* SPDX-License-Identifier: BSD-3-Clause */
/* The step blocks (longconv/backend.h): learned block transforms. With G = F dout / N, where there is a filter,
 *
 *     d(T_x in) = G conj(T_f filter),   d(T_f filter) = sum over the batch of G conj(T_x in),   dskip = sum dout in
 *
 * Spectra are multiplied in the order that the stages leave. The rows are taken in parts, some batch entries of some
 * channels, so that the workspace does not grow with the batch; sums of parameters' gradients go on from part to part. */
#include "gpu_blocks_rows.cuh"

namespace
{

/* ---- The workspace ---- */

enum { DATA, FILTER, BOTH }; /* T_x and T_f */

/* Places of the pieces, in complex numbers. */
struct places {
    int64_t exact, matrices[BOTH], stages[BOTH], slopes[BOTH], partials;
    int64_t sums[BOTH], skip, sums_end; /* sums of gradients lie together */
    int64_t end;
};

struct blocks {
    const lcv_step_problem *p;
    const lcv_step_call *call;
    transform t;
    bool filtered, backward;
    int64_t taps, channels;              /* channels: of IN */
    int64_t most_channels, most_entries; /* of a part */
    places at;
    complex *memory;
};

/* Rows of points that stages go through: backward needs all of them, else two take turns. */
int64_t buffers_of(const blocks &k)
{
    return k.backward ? k.t.levels + 2 : 2;
}

int64_t take(int64_t *end, int64_t count)
{
    const int64_t place = *end;
    *end += count;
    return place;
}

/* Pieces of a part of so many channels and entries. */
places lay_out(const blocks &k, int64_t channels, int64_t entries)
{
    places at = {};
    const int64_t points = channels * k.t.points, numbers = channels * k.t.numbers;
    at.exact = take(&at.end, k.t.numbers);
    for (int of = DATA; of <= (k.filtered ? FILTER : DATA); of++) {
        const int64_t rows = of == DATA ? entries * points : points;
        at.matrices[of] = take(&at.end, numbers);
        at.stages[of] = take(&at.end, buffers_of(k) * rows);
        at.slopes[of] = take(&at.end, k.backward ? 2 * rows : 0);
    }
    if (!k.backward)
        return at;
    at.partials = take(&at.end, channels * groups_of(entries * k.t.points) * BLOCK_MATRIX);
    at.sums[DATA] = take(&at.end, numbers);
    at.sums[FILTER] = take(&at.end, k.filtered ? numbers : 0);
    at.skip = take(&at.end, channels);
    at.sums_end = at.end;
    return at;
}

/* As many batch entries as there is room for, then as many channels. */
void cut(blocks *k)
{
    const int64_t row = (buffers_of(*k) + (k->backward ? 2 : 0)) * k->t.points;
    const int64_t entries = ROOM / row > 1 ? ROOM / row : 1;
    k->most_entries = entries < k->p->batch ? entries : k->p->batch;
    const int64_t channel = lay_out(*k, 1, k->most_entries).end;
    const int64_t channels = ROOM / channel > 1 ? ROOM / channel : 1;
    k->most_channels = channels < k->channels ? channels : k->channels;
    k->at = lay_out(*k, k->most_channels, k->most_entries);
}

/* false: too large */
bool set_up(const lcv_step_problem *p, bool backward, blocks *k)
{
    const lcv_blocks_step *how = static_cast<const lcv_blocks_step *>(p->details);
    int64_t least = p->seqlen;
    k->p = p;
    k->backward = backward;
    k->filtered = how->filtered != 0;
    k->taps = how->taps;
    k->channels = k->filtered ? p->channels : p->channels / 2;
    if ((k->filtered && __builtin_add_overflow(least, k->taps, &least)) || !find_transform(least, &k->t))
        return false;
    cut(k);
    return true;
}

bool workspace(const lcv_step_problem *p, bool backward, int64_t *doubles)
{
    blocks k = {};
    if (!set_up(p, backward, &k))
        return false;
    *doubles = 2 * k.at.end;
    return true;
}

/* ---- The host's side ---- */

/* Launches kernels one after the other, as long as none fails. */
class launches
{
  public:
    explicit launches(void *stream) : stream_(stream)
    {
    }
    template <class... P> void run(void (*kernel)(P...), int64_t threads, P... args)
    {
        if (error_ == 0 && threads > 0)
            error_ =
                lcv_gpu_launch(kernel, lcv_gpu_grid(threads, 1), dim3(LCV_GPU_THREADS), 0, stream_, args...);
    }
    template <class... P> void run_blocks(void (*kernel)(P...), int64_t blocks, size_t of_thread, P... args)
    {
        if (error_ == 0)
            error_ = lcv_gpu_launch(kernel, dim3(static_cast<unsigned>(blocks)), dim3(LCV_GPU_THREADS),
                                    LCV_GPU_THREADS * of_thread, stream_, args...);
    }
    int error() const
    {
        return error_;
    }

  private:
    void *stream_;
    int error_ = 0;
};

#define OF_REALS(k, kernel) (lcv_gpu_is_double((k).p) ? kernel<double> : kernel<float>)

int64_t rows_of(const part &p)
{
    return p.channels * p.entries;
}

/* The rows of a part's filters. */
part filters_of(const part &p)
{
    return {p.first_channel, p.channels, 0, 1};
}

/* Buffers take turns. */
complex *stages_of(const blocks &k, int of, const part &rows, int64_t i)
{
    return k.memory + k.at.stages[of] + i % buffers_of(k) * rows_of(rows) * k.t.points;
}

complex *slopes_of(const blocks &k, int of, const part &rows, int64_t i)
{
    return k.memory + k.at.slopes[of] + i % 2 * rows_of(rows) * k.t.points;
}

lcv_gpu_signal parameter(const blocks &k, const lcv_array &array)
{
    const int32_t dtype = lcv_gpu_is_double(k.p) ? LCV_F64 : LCV_F32;
    return {array.data, {0, array.stride[1], array.stride[2]}, dtype, 0};
}

samples samples_of(const blocks &k, const part &rows)
{
    samples s = {};
    s.rows = rows;
    s.t = k.t;
    s.length = k.p->seqlen;
    s.imaginary = k.channels;
    s.from = lcv_gpu_data(k.p, k.call->operand[LCV_STEP_IN]);
    s.skip = k.call->operand[LCV_STEP_SKIP];
    return s;
}

pass pass_of(const blocks &k, const part &rows, int64_t level)
{
    pass p = {};
    p.now = stage_of(k.t, level);
    p.before = level > 0 ? stage_of(k.t, level - 1) : stage{1, k.t.points, 0};
    p.points = k.t.points;
    p.count = rows_of(rows) * k.t.points;
    p.per_channel = rows.entries;
    return p;
}

typedef complex *(*buffers)(const blocks &k, int of, const part &rows, int64_t i);

/* From buffer `first` of rows to levels + 1 buffers further. */
void transform_rows(const blocks &k, launches &q, const part &rows, int of, buffers of_rows, int64_t first,
                    bool exact)
{
    for (int64_t level = 0; level <= k.t.levels; level++) {
        pass p = pass_of(k, rows, level);
        p.matrices = k.memory + (exact ? k.at.exact : k.at.matrices[of]);
        p.pitch = exact ? 0 : k.t.numbers;
        p.in = of_rows(k, of, rows, first + level);
        p.out = of_rows(k, of, rows, first + level + 1);
        q.run(apply, p.count, p);
    }
}

/* From slopes levels + 1 to slopes 2 levels + 2, with sums of the matrices' gradients. */
void transform_back(const blocks &k, launches &q, const part &rows, int of)
{
    for (int64_t level = k.t.levels, i = level + 1; level >= 0; level--, i++) {
        pass p = pass_of(k, rows, level);
        p.matrices = k.memory + k.at.matrices[of];
        p.pitch = k.t.numbers;
        p.in = slopes_of(k, of, rows, i);
        p.out = slopes_of(k, of, rows, i + 1);
        const summing m = {p.now,
                           stages_of(k, of, rows, level),
                           p.in,
                           k.memory + k.at.partials,
                           k.memory + k.at.sums[of],
                           k.t.points,
                           rows.entries,
                           rows.channels,
                           groups_of(rows.entries * k.t.points),
                           k.t.numbers};
        q.run_blocks(sum_group, m.channels * m.groups, sizeof(complex), m);
        q.run(add_groups, m.channels * m.now.side * m.now.side, m);
        q.run(apply_back, p.count, p);
    }
}

/* Matrices of a part's channels, and the spectra of its filters. */
void begin_channels(const blocks &k, launches &q, const part &filters)
{
    const lcv_step_operand operands[BOTH] = {LCV_STEP_BIAS, LCV_STEP_FUTURE};
    samples s = samples_of(k, filters);
    for (int of = DATA; of <= (k.filtered ? FILTER : DATA); of++) {
        s.from = parameter(k, k.call->operand[operands[of]]);
        s.out = k.memory + k.at.matrices[of];
        q.run(OF_REALS(k, load_pairs), filters.channels * k.t.numbers, s);
    }
    if (!k.filtered)
        return;
    s.from = parameter(k, k.call->operand[LCV_STEP_WEIGHT]);
    s.length = k.taps;
    s.out = stages_of(k, FILTER, filters, 0);
    q.run(OF_REALS(k, load_reals), filters.channels * k.t.points, s);
    transform_rows(k, q, filters, FILTER, stages_of, 0, false);
}

void transform_data(const blocks &k, launches &q, const part &rows)
{
    samples s = samples_of(k, rows);
    s.out = stages_of(k, DATA, rows, 0);
    q.run(OF_REALS(k, load_reals), rows_of(rows) * k.t.points, s);
    transform_rows(k, q, rows, DATA, stages_of, 0, false);
}

product product_of(const blocks &k, const part &rows)
{
    const int64_t end = k.t.levels + 1;
    product p = {};
    p.t = k.t;
    p.data = stages_of(k, DATA, rows, end);
    p.filter = stages_of(k, FILTER, filters_of(rows), end);
    p.channels = rows.channels;
    p.per_channel = rows.entries;
    return p;
}

void forward_part(const blocks &k, launches &q, const part &rows)
{
    const int64_t end = k.t.levels + 1, threads = rows_of(rows) * k.p->seqlen;
    samples s = samples_of(k, rows);
    s.to = lcv_gpu_data(k.p, k.call->out);
    transform_data(k, q, rows);
    if (!k.filtered) {
        s.in = stages_of(k, DATA, rows, end);
        q.run(OF_REALS(k, store_parts), threads, s);
        return;
    }
    product p = product_of(k, rows);
    p.out = stages_of(k, DATA, rows, end + 1);
    q.run(multiply, rows_of(rows) * k.t.points, p);
    transform_rows(k, q, rows, DATA, stages_of, end + 1, true);
    s.in = stages_of(k, DATA, rows, 2 * end + 1);
    q.run(OF_REALS(k, store_out), threads, s);
}

/* Leaves the gradient of the data's spectrum in slopes levels + 1. */
void load_upstream(const blocks &k, launches &q, const part &rows)
{
    const int64_t end = k.t.levels + 1, threads = rows_of(rows) * k.t.points;
    samples s = samples_of(k, rows);
    s.from = lcv_gpu_data(k.p, k.call->out);
    s.out = slopes_of(k, DATA, rows, k.filtered ? 0 : end);
    q.run(k.filtered ? OF_REALS(k, load_reals) : OF_REALS(k, load_parts), threads, s);
    if (!k.filtered)
        return;
    transform_rows(k, q, rows, DATA, slopes_of, 0, true);
    product p = product_of(k, rows);
    p.slope = slopes_of(k, DATA, rows, end);
    p.filter_slope = slopes_of(k, FILTER, filters_of(rows), end);
    q.run(multiply_back, rows.channels * k.t.points, p);
}

void backward_part(const blocks &k, launches &q, const part &rows)
{
    samples s = samples_of(k, rows);
    transform_data(k, q, rows);
    load_upstream(k, q, rows);
    transform_back(k, q, rows, DATA);
    if (s.skip.data != nullptr) {
        s.to = lcv_gpu_data(k.p, k.call->out);
        s.out = k.memory + k.at.skip;
        q.run_blocks(OF_REALS(k, sum_skip), rows.channels, sizeof(double), s);
    }
    s.from = lcv_gpu_data(k.p, k.call->out);
    s.to = lcv_gpu_data(k.p, k.call->gradient[LCV_STEP_IN]);
    s.in = slopes_of(k, DATA, rows, 2 * (k.t.levels + 1));
    s.add = k.call->adds[LCV_STEP_IN];
    q.run(OF_REALS(k, store_din), rows_of(rows) * k.p->seqlen, s);
}

/* Rows of `width` complex numbers as the gradient of a parameter of `length` reals a channel. */
void store(const blocks &k, launches &q, const part &filters, lcv_step_operand operand, const complex *from,
           int64_t width, int64_t length)
{
    gradient g = {};
    lcv_array array = k.call->gradient[operand];
    if (operand == LCV_STEP_SKIP)
        array.stride[1] = array.stride[2];
    g.rows = filters;
    g.to = parameter(k, array);
    g.from = reinterpret_cast<const double *>(from);
    g.length = length;
    g.pitch = 2 * width;
    g.step = operand == LCV_STEP_WEIGHT ? 2 : 1;
    g.add = k.call->adds[operand];
    q.run(OF_REALS(k, store_gradient), filters.channels * length, g);
}

void store_parameters(const blocks &k, launches &q, const part &filters)
{
    const int64_t numbers = k.t.numbers;
    store(k, q, filters, LCV_STEP_BIAS, k.memory + k.at.sums[DATA], numbers, 2 * numbers);
    if (k.call->operand[LCV_STEP_SKIP].data != nullptr)
        store(k, q, filters, LCV_STEP_SKIP, k.memory + k.at.skip, 1, 1);
    if (!k.filtered)
        return;
    store(k, q, filters, LCV_STEP_FUTURE, k.memory + k.at.sums[FILTER], numbers, 2 * numbers);
    store(k, q, filters, LCV_STEP_WEIGHT, slopes_of(k, FILTER, filters, 2 * (k.t.levels + 1)), k.t.points,
          k.taps);
}

/* All batch entries of a part's channels. */
void run_channels(const blocks &k, launches &q, part rows)
{
    begin_channels(k, q, filters_of(rows));
    for (rows.first_entry = 0; rows.first_entry < k.p->batch; rows.first_entry += rows.entries) {
        const int64_t left = k.p->batch - rows.first_entry;
        rows.entries = left < k.most_entries ? left : k.most_entries;
        if (k.backward)
            backward_part(k, q, rows);
        else
            forward_part(k, q, rows);
    }
    if (k.backward && k.filtered)
        transform_back(k, q, filters_of(rows), FILTER);
}

/* Sums over no rows are 0. */
void clear_sums(const blocks &k, launches &q, const part &filters)
{
    const int64_t sums = k.at.sums_end - k.at.sums[DATA], points = filters.channels * k.t.points;
    q.run(clear, sums, k.memory + k.at.sums[DATA], sums);
    for (int64_t i = 0; i < 2 && k.filtered; i++)
        q.run(clear, points, slopes_of(k, FILTER, filters, i), points);
}

int run(const lcv_step_problem *p, const lcv_step_call *call, bool backward, double *memory, void *stream)
{
    blocks k = {};
    launches q(stream);
    (void)set_up(p, backward, &k); /* the query said that it can be */
    k.call = call;
    k.memory = reinterpret_cast<complex *>(memory);
    const bool has_rows = p->batch > 0 && p->seqlen > 0;
    part rows = {0, 0, 0, 0};
    q.run(fill_exact, k.filtered ? k.t.numbers : 0, k.t, k.memory + k.at.exact);
    for (; rows.first_channel < k.channels; rows.first_channel += rows.channels) {
        const int64_t left = k.channels - rows.first_channel;
        rows.channels = left < k.most_channels ? left : k.most_channels;
        if (backward)
            clear_sums(k, q, filters_of(rows));
        if (has_rows)
            run_channels(k, q, rows);
        if (backward)
            store_parameters(k, q, filters_of(rows));
    }
    return q.error();
}

int forward(const lcv_step_problem *p, const lcv_step_call *call, double *memory, void *stream)
{
    return run(p, call, false, memory, stream);
}

int backward(const lcv_step_problem *p, const lcv_step_call *call, double *memory, void *stream)
{
    return run(p, call, true, memory, stream);
}

} // namespace

const lcv_gpu_step lcv_gpu_step_blocks = {"blocks", workspace, forward, backward};
