/* SPDX-License-Identifier: BSD-3-Clause */
/* Compiled for each type. The design is in cpu_lean.h. */
#include "cpu_lean.h"
#include "cpu_sheet.h"
#include "cpu_threads.h"

#include <math.h>

static const lcv_cpu_engine *const inner_engine = &lcv_cpu_engine_simd;

enum {
    PARTS = 16,
    HALF = PARTS / 2, /* parts c and c + HALF have opposite roots: they differ in the sign of odd columns */
    PIECE = 256,      /* places of all columns that are handled at a time */
    TASKS = 64        /* that a team shares; whether it does or not, so that sums are the same */
};

typedef struct {
    const lcv_backend_host *host;
    int64_t points; /* n, of one part */
    lcv_cpu_engine_info inner;
    void *inner_self;
    cplx twist[PARTS][PIECE];     /* o^j of each part, from any place that is a multiple of PIECE */
    real split[HALF][2][2][HALF]; /* of a part: cos and sin, of even and odd columns */
    real join[PARTS][HALF][2];    /* of a column: cos and sin of each part, over P */
} lean;

/* Turns of a part's w. */
static double turn_of(int part)
{
    return (0.25 + part) / PARTS;
}

static cplx circle(double turns)
{
    const double angle = 6.283185307179586477 * (turns - floor(turns));
    return (cplx){(real)cos(angle), (real)sin(angle)};
}

/* ---- Life ---- */

static lcv_cpu_geometry part_geometry(bool is_double, int64_t points)
{
    return (lcv_cpu_geometry){.seqlen = points,
                              .out_len = 2 * points,
                              .taps = 2 * points,
                              .rows = 1,
                              .filters = 1,
                              .is_double = is_double,
                              .reproducible = true,
                              .middle = true};
}

/* The points of a part, and what the simd engine says of it. */
static int64_t choose_points(const lcv_backend_host *host, const lcv_cpu_geometry *g,
                             lcv_cpu_engine_info *inner)
{
    const char *reason;
    lcv_cpu_geometry part = part_geometry(g->is_double, (g->seqlen + PARTS - 1) / PARTS);
    if (!inner_engine->query(host, &part, inner, &reason))
        return 0;
    part = part_geometry(g->is_double, inner->fft_size);
    return inner_engine->query(host, &part, inner, &reason) ? inner->fft_size : 0;
}

/* Places in the workspace. */
typedef struct {
    size_t imaginary;       /* parts' imaginary parts, one after the other */
    size_t real;            /* and the real parts of those that find no room in the output */
    size_t apart;           /* one part's, where outputs are not side by side */
    size_t spectrum, inner; /* of the part in work */
    size_t filter;          /* the filter's part that comes later; the one in work is where `inner` will be */
    size_t lost;            /* a bit for each sample */
    size_t bytes;
} places;

/* Columns that lie in the outputs with all of their places. */
static int64_t whole_columns(const lcv_cpu_geometry *g, int64_t points)
{
    return min64(g->seqlen / points, PARTS);
}

static places lay_out(const lcv_cpu_geometry *g, int64_t points, const lcv_cpu_engine_info *inner)
{
    const size_t column = lcv_cpu_round_up((size_t)points * sizeof(real));
    places at = {.imaginary = 0};
    at.real = PARTS * column;
    at.apart = at.real + (size_t)(PARTS - whole_columns(g, points)) * column;
    at.spectrum = at.apart + column;
    at.inner = at.spectrum + lcv_cpu_round_up(inner->spectrum_bytes);
    at.filter = at.inner + lcv_cpu_round_up(inner->scratch_bytes);
    at.lost = at.filter + lcv_cpu_round_up(2 * (size_t)points * sizeof(real));
    at.bytes = at.lost + lcv_cpu_round_up((size_t)g->seqlen / 8 + 1);
    return at;
}

static bool query(const lcv_backend_host *host, const lcv_cpu_geometry *g, lcv_cpu_engine_info *info,
                  const char **reason)
{
    lcv_cpu_engine_info inner;
    *reason = NULL;
    if (g->is_double != (bool)REAL_IS_DOUBLE)
        return false;
    *reason = "it is for filters of the past, and forward only";
    if (g->taps_future > 0 || g->out_len != g->seqlen || g->backward || g->middle)
        return false;
    *reason = "the row is too long";
    const int64_t points = choose_points(host, g, &inner);
    if (points == 0)
        return false;
    *info = (lcv_cpu_engine_info){.fft_size = PARTS * points,
                                  .spectrum_bytes = lcv_cpu_round_up((size_t)g->taps * sizeof(real)),
                                  .scratch_bytes = lay_out(g, points, &inner).bytes,
                                  .team = true,
                                  .cost = 4.0 * PARTS * inner.cost};
    return true;
}

static void destroy(void *self)
{
    lean *l = self;
    if (l->inner_self != NULL)
        inner_engine->destroy(l->inner_self);
    l->host->release(l->host, l, sizeof *l);
}

static void fill_tables(lean *l)
{
    for (int part = 0; part < PARTS; part++) {
        for (int j = 0; j < PIECE; j++)
            l->twist[part][j] = circle((turn_of(part) - 0.25) * j / (double)l->points);
        for (int column = 0; part < HALF && column < PARTS; column++) {
            const cplx root = circle(turn_of(part) * column);
            l->split[part][0][column % 2][column / 2] = root.re;
            l->split[part][1][column % 2][column / 2] = root.im;
            l->join[column][part][0] = root.re / PARTS;
            l->join[column][part][1] = root.im / PARTS;
        }
    }
}

static lcv_status create(const lcv_backend_host *host, const lcv_cpu_geometry *geometry, void **self)
{
    lean *l = host->allocate(host, sizeof *l, LCV_CPU_ALIGNMENT);
    if (l == NULL)
        return host->fail(host, LCV_OUT_OF_MEMORY, "lean engine: no memory for %zu bytes", sizeof *l);
    memset(l, 0, sizeof *l);
    l->host = host;
    l->points = choose_points(host, geometry, &l->inner);
    const lcv_cpu_geometry part = part_geometry(geometry->is_double, l->points);
    const lcv_status status = inner_engine->create(host, &part, &l->inner_self);
    if (status != LCV_OK) {
        l->inner_self = NULL;
        destroy(l);
        return status;
    }
    fill_tables(l);
    *self = l;
    return LCV_OK;
}

const lcv_cpu_engine TYPED(lcv_cpu_engine_lean) = {
    .name = "lean",
    .lean = true,
    .query = query,
    .create = create,
    .destroy = destroy,
};

/* ---- One row ---- */

typedef struct job job;
typedef void load_function(const job *w, int64_t t, int64_t count, real *tile);

struct job {
    const lcv_cpu_plan *p;
    const lean *l;
    const TYPED(lcv_cpu_kernels) * kernels;
    places at;
    char *workspace;
    const lcv_cpu_team *team;
    sheet u, pre_gate, filter, y, post_gate;
    int64_t filter_len; /* elements of `filter` that are there */
    double bias;
    /* Rows and filters that are not of moderate size: the powers of two that they are over, without what is
     * not finite. */
    bool careful;
    int x_exponent, filter_exponent;
    int64_t lost_tap;         /* the first that is not finite */
    int part;                 /* in work */
    load_function *load_tile; /* whose energy is added up, over so many samples or taps */
    int64_t total;
    double energy[TASKS];
};

static void run(job *w, lcv_task_fn task)
{
    if (w->team->threads > 1)
        lcv_cpu_team_run(w->team, TASKS, task, w);
    else
        for (int64_t i = 0; i < TASKS; i++)
            task(w, i);
}

/* Bounds of a task's share, multiples of PIECE but for the end. */
static int64_t share(int64_t total, int64_t task)
{
    const int64_t pieces = (total + PIECE - 1) / PIECE;
    return min64(pieces * task / TASKS * PIECE, total);
}

static real *memory_at(const job *w, size_t place, int64_t reals)
{
    return (real *)(void *)(w->workspace + place) + reals;
}

static unsigned char *lost_bits(const job *w)
{
    return (unsigned char *)w->workspace + w->at.lost;
}

/* Sixteen columns at a time are too many streams for a processor to foresee: the next piece of each is
 * fetched while this one is computed. */
static void fetch_next(const sheet *s, int64_t t, int64_t end)
{
    if (!is_plain(s) || s->data == NULL || t + 2 * PIECE > end)
        return;
    for (size_t i = 0; i < PIECE * sizeof(real); i += LCV_CPU_LINE)
        lcv_cpu_fetch(place(s, 0, t + PIECE) + i);
}

/* Samples [t, t + count) of x, and zeros beyond the end; as they are. */
static void load_x(const job *w, int64_t t, int64_t count, real *tile)
{
    const int64_t there = max64(0, min64(count, w->p->geometry.seqlen - t));
    const stretch at = {t, there};
    if (there > 0) {
        fetch_next(&w->u, t, w->p->geometry.seqlen);
        load(w->kernels, &w->u, at, tile, there);
        multiply_by(w->kernels, &w->pre_gate, at, tile, there);
    }
    memset(tile + there, 0, (size_t)(count - there) * sizeof(real));
}

static void load_taps(const job *w, int64_t tap, int64_t count, real *tile)
{
    const int64_t there = max64(0, min64(count, min64(w->filter_len, w->p->geometry.taps) - tap));
    fetch_next(&w->filter, tap, w->filter_len);
    if (there > 0)
        load(w->kernels, &w->filter, (stretch){tap, there}, tile, there);
    memset(tile + there, 0, (size_t)(count - there) * sizeof(real));
}

static void clean(real *tile, int64_t count, int exponent)
{
    for (int64_t i = 0; i < count; i++)
        tile[i] = isfinite(tile[i]) ? (real)scalbn((double)tile[i], -exponent) : REAL(0.0);
}

/* ---- Care ---- */

/* Squares of moderate rows sum to less: nothing in a transform overflows then. */
static const double moderate = REAL_IS_DOUBLE ? 1e240 : 1e24;

static void add_energy(void *arg, int64_t task)
{
    job *w = arg;
    real tile[PIECE];
    w->energy[task] = 0.0;
    for (int64_t t = share(w->total, task); t < share(w->total, task + 1); t += PIECE) {
        const int64_t count = min64(PIECE, w->total - t);
        w->load_tile(w, t, count, tile);
        w->kernels->energy(tile, NULL, count, &w->energy[task]);
    }
}

static bool is_moderate(job *w, load_function *load_tile, int64_t total)
{
    double energy = 0.0;
    w->load_tile = load_tile;
    w->total = total;
    run(w, add_energy);
    for (int i = 0; i < TASKS; i++)
        energy += w->energy[i];
    return energy < moderate;
}

/* The power of two that all finite values are below, and where the others are: bits, or the first. */
static int look_at(const job *w, load_function *load_tile, int64_t total, unsigned char *bits, int64_t *first)
{
    real tile[PIECE];
    double most = 0.0;
    *first = total;
    for (int64_t t = 0; t < total; t += PIECE) {
        const int64_t count = min64(PIECE, total - t);
        load_tile(w, t, count, tile);
        for (int64_t i = 0; i < count; i++) {
            if (isfinite(tile[i])) {
                most = fmax(most, fabs((double)tile[i]));
                continue;
            }
            *first = min64(*first, t + i);
            if (bits != NULL)
                bits[(t + i) / 8] = (unsigned char)(bits[(t + i) / 8] | 1u << (t + i) % 8);
        }
    }
    return most > 0.0 ? ilogb(most) + 1 : 0;
}

/* From samples that are not finite to the outputs that depend on them. */
static void spread_lost(const job *w)
{
    unsigned char *bits = lost_bits(w);
    int64_t last = -w->p->geometry.taps;
    for (int64_t t = 0; t < w->p->geometry.seqlen; t++) {
        const unsigned bit = 1u << t % 8;
        if ((bits[t / 8] & bit) != 0)
            last = t;
        if (t - last < w->p->geometry.taps || t >= w->lost_tap)
            bits[t / 8] = (unsigned char)(bits[t / 8] | bit);
    }
}

static void take_care(job *w)
{
    int64_t unused;
    w->careful =
        !is_moderate(w, load_x, w->p->geometry.seqlen) || !is_moderate(w, load_taps, w->p->geometry.taps);
    if (!w->careful)
        return;
    memset(lost_bits(w), 0, (size_t)w->p->geometry.seqlen / 8 + 1);
    w->x_exponent = look_at(w, load_x, w->p->geometry.seqlen, lost_bits(w), &unused);
    w->filter_exponent = look_at(w, load_taps, w->p->geometry.taps, NULL, &w->lost_tap);
    if (w->lost_tap == w->p->geometry.taps)
        w->lost_tap = w->p->geometry.seqlen;
    spread_lost(w);
}

static void take_care_of_outputs(const job *w, int64_t t, int64_t count, real *tile)
{
    const unsigned char *bits = lost_bits(w);
    for (int64_t i = 0; i < count; i++) {
        const bool lost = (bits[(t + i) / 8] >> (t + i) % 8 & 1u) != 0;
        tile[i] = lost ? (real)NAN : (real)scalbn((double)tile[i], w->x_exponent + w->filter_exponent);
    }
}

/* ---- Parts ---- */

/* The base of the twist of a part at place j, a multiple of PIECE. */
static cplx twist_at(const lean *l, int part, int64_t j)
{
    return circle((turn_of(part) - 0.25) * (double)j / (double)l->points);
}

/* Real and imaginary parts of one part, where they are computed. */
typedef struct {
    real *re, *im;
} pair;

/* Parts `part` and part + HALF of `count` places of all columns, from place j on. */
static void split_piece(const job *w, real columns[PARTS][PIECE], int part, int64_t j, int64_t count,
                        pair first, pair second)
{
    const lean *l = w->l;
    real *const to[2][2] = {{first.re, first.im}, {second.re, second.im}};
    real odd[PIECE];
    for (int i = 0; i < 2; i++) {
        w->kernels->weigh(columns[0], 2 * PIECE, l->split[part][i][0], HALF, count, to[0][i]);
        w->kernels->weigh(columns[1], 2 * PIECE, l->split[part][i][1], HALF, count, odd);
        w->kernels->butterfly(count, to[0][i], odd);
        memcpy(to[1][i], odd, (size_t)count * sizeof(real));
    }
    for (int i = 0; i < 2; i++)
        w->kernels->rotate(l->twist[part + i * HALF], twist_at(l, part + i * HALF, j), REAL(1.0), count,
                           to[i][0], to[i][1]);
}

/* Places [j, j + count) of a part's real parts. */
static void load_real(const job *w, int part, int64_t j, int64_t count, real *tile)
{
    const int64_t whole = whole_columns(&w->p->geometry, w->l->points);
    if (part < whole)
        load(w->kernels, &w->y, (stretch){part * w->l->points + j, count}, tile, count);
    else
        memcpy(tile, memory_at(w, w->at.real, (part - whole) * w->l->points + j),
               (size_t)count * sizeof(real));
}

static void store_real(const job *w, int part, int64_t j, int64_t count, const real *tile)
{
    const int64_t whole = whole_columns(&w->p->geometry, w->l->points);
    if (part < whole)
        store_tile(w->kernels, &w->y, (stretch){part * w->l->points + j, count}, tile, count);
    else
        memcpy(memory_at(w, w->at.real, (part - whole) * w->l->points + j), tile,
               (size_t)count * sizeof(real));
}

static void split_row(void *arg, int64_t task)
{
    const job *w = arg;
    const int64_t points = w->l->points;
    real columns[PARTS][PIECE], re[2][PIECE];
    for (int64_t j = share(points, task); j < share(points, task + 1); j += PIECE) {
        const int64_t count = min64(PIECE, points - j);
        for (int k = 0; k < PARTS; k++) {
            load_x(w, k * points + j, count, columns[k]);
            if (w->careful)
                clean(columns[k], count, w->x_exponent);
        }
        for (int part = 0; part < HALF; part++) {
            real *im = memory_at(w, w->at.imaginary, part * points + j);
            split_piece(w, columns, part, j, count, (pair){re[0], im}, (pair){re[1], im + HALF * points});
            store_real(w, part, j, count, re[0]);
            store_real(w, part + HALF, j, count, re[1]);
        }
    }
}

/* The filter's part in work, to where the simd engine's scratch is, and its partner. */
static void split_filter(void *arg, int64_t task)
{
    const job *w = arg;
    const int64_t points = w->l->points;
    real columns[PARTS][PIECE];
    for (int64_t j = share(points, task); j < share(points, task + 1); j += PIECE) {
        const int64_t count = min64(PIECE, points - j);
        for (int k = 0; k < PARTS; k++) {
            load_taps(w, k * points + j, count, columns[k]);
            if (w->careful)
                clean(columns[k], count, w->filter_exponent);
        }
        real *now = memory_at(w, w->at.inner, j), *later = memory_at(w, w->at.filter, j);
        split_piece(w, columns, w->part, j, count, (pair){now, now + points}, (pair){later, later + points});
    }
}

/* Between a part's place and a row side by side. */
static void gather_real(void *arg, int64_t task)
{
    const job *w = arg;
    for (int64_t j = share(w->l->points, task); j < share(w->l->points, task + 1); j += PIECE)
        load_real(w, w->part, j, min64(PIECE, w->l->points - j), memory_at(w, w->at.apart, j));
}

static void scatter_real(void *arg, int64_t task)
{
    const job *w = arg;
    for (int64_t j = share(w->l->points, task); j < share(w->l->points, task + 1); j += PIECE)
        store_real(w, w->part, j, min64(PIECE, w->l->points - j), memory_at(w, w->at.apart, j));
}

/* Where the real parts of the part in work are side by side; NULL: nowhere yet. */
static real *plain_real(const job *w)
{
    const int64_t whole = whole_columns(&w->p->geometry, w->l->points);
    if (w->part >= whole)
        return memory_at(w, w->at.real, (w->part - whole) * w->l->points);
    return is_plain(&w->y) ? (real *)plain_row(&w->y, 0) + w->part * w->l->points : NULL;
}

/* `taps`: the part of the filter. */
static void convolve_part(job *w, const void *taps)
{
    const lcv_cpu_work work = {.scratch = w->workspace + w->at.inner,
                               .team = w->team->threads > 1 ? w->team : NULL};
    void *spectrum = w->workspace + w->at.spectrum;
    real *plain = plain_real(w), *re = plain != NULL ? plain : memory_at(w, w->at.apart, 0);
    real *im = memory_at(w, w->at.imaginary, w->part * w->l->points);
    inner_engine->prepare(w->l->inner_self, taps, NULL, spectrum, &work);
    if (plain == NULL)
        run(w, gather_real);
    const lcv_cpu_row row = {.x = re, .tail = im};
    const lcv_cpu_sink sink = {.out = re, .tail = im};
    inner_engine->forward(w->l->inner_self, spectrum, &row, &sink, NULL, &work);
    if (plain == NULL)
        run(w, scatter_real);
}

static void convolve_parts(job *w)
{
    for (int part = 0; part < HALF; part++) {
        w->part = part;
        run(w, split_filter);
        convolve_part(w, w->workspace + w->at.inner);
        w->part = part + HALF;
        convolve_part(w, w->workspace + w->at.filter);
    }
}

/* ---- Outputs ---- */

static void store_outputs(const job *w, int64_t t, int64_t count, real *tile)
{
    const stretch at = {t, count};
    if (w->careful)
        take_care_of_outputs(w, t, count, tile);
    for (int64_t i = 0; w->bias != 0.0 && i < count; i++)
        tile[i] += (real)w->bias;
    w->kernels->activate(w->p->params.activation, count, tile);
    multiply_by(w->kernels, &w->post_gate, at, tile, count);
    store_tile(w->kernels, &w->y, at, tile, count);
}

static void join_row(void *arg, int64_t task)
{
    const job *w = arg;
    const lean *l = w->l;
    const int64_t points = l->points, seqlen = w->p->geometry.seqlen;
    real parts[PARTS][2][PIECE], tile[PIECE];
    for (int64_t j = share(points, task); j < share(points, task + 1); j += PIECE) {
        const int64_t count = min64(PIECE, points - j);
        for (int part = 0; part < PARTS; part++) {
            cplx back = twist_at(l, part, j);
            back.im = -back.im;
            load_real(w, part, j, count, parts[part][0]);
            memcpy(parts[part][1], memory_at(w, w->at.imaginary, part * points + j),
                   (size_t)count * sizeof(real));
            w->kernels->rotate(l->twist[part], back, REAL(-1.0), count, parts[part][0], parts[part][1]);
        }
        for (int part = 0; part < HALF; part++)
            for (int i = 0; i < 2; i++)
                w->kernels->butterfly(count, parts[part][i], parts[part + HALF][i]);
        for (int k = 0; k < PARTS; k++) { /* even columns see sums of partners, odd ones differences */
            const int64_t there = max64(0, min64(count, seqlen - k * points - j));
            w->kernels->weigh(parts[k % 2 * HALF][0], PIECE, l->join[k][0], PARTS, there, tile);
            if (there > 0)
                store_outputs(w, k * points + j, there, tile);
        }
    }
}

/* ---- All rows ---- */

static sheet filter_sheet(const lcv_cpu_plan *p, const lcv_conv_call *call, int64_t f)
{
    const bool per_sample = p->params.filter_form == LCV_FILTER_PER_SAMPLE;
    const int64_t channels = p->params.channels;
    return sheet_of(&call->filter, p->compute, per_sample ? f / channels : 0, per_sample ? f % channels : f,
                    1);
}

void TYPED(lcv_cpu_lean_prepare)(const lcv_cpu_plan *p, const lcv_conv_call *call, void *taps)
{
    for (int64_t f = 0; f < p->filters; f++) {
        const sheet filter = filter_sheet(p, call, f);
        load_row(p->kernels, &filter, p->params.filter_len, p->geometry.taps,
                 (real *)(void *)((char *)taps + (size_t)f * p->info.spectrum_bytes));
    }
}

static void find_filter(job *w, const lcv_conv_call *call, const void *taps, int64_t f)
{
    w->filter = filter_sheet(w->p, call, f);
    w->filter_len = w->p->params.filter_len;
    if (taps == NULL)
        return;
    w->filter = (sheet){.data = (char *)(uintptr_t)taps + (size_t)f * w->p->info.spectrum_bytes,
                        .dtype = (lcv_dtype)REAL_DTYPE,
                        .stride = 1,
                        .width = 1};
    w->filter_len = w->p->geometry.taps;
}

void TYPED(lcv_cpu_lean_forward)(const lcv_cpu_plan *p, const lcv_conv_call *call, char *workspace,
                                 const void *taps, const lcv_cpu_team *team)
{
    const lean *l = p->engine_self;
    const int64_t channels = p->params.channels;
    job w = {.p = p, .l = l, .kernels = p->kernels, .workspace = workspace, .team = team};
    w.at = lay_out(&p->geometry, l->points, &l->inner);
    for (int64_t row = 0; row < p->geometry.rows; row++) {
        const int64_t b = row / channels, c = row % channels;
        const sheet bias = sheet_of(&call->bias, p->compute, 0, 0, 1);
        real value = REAL(0.0);
        if (bias.data != NULL)
            load(w.kernels, &bias, (stretch){c, 1}, &value, 1);
        w.bias = (double)value;
        w.u = sheet_of(&call->u, p->params.dtype, b, c, 1);
        w.pre_gate = sheet_of(&call->pre_gate, p->params.dtype, b, c, 1);
        w.y = sheet_of(&call->y, p->params.dtype, b, c, 1);
        w.post_gate = sheet_of(&call->post_gate, p->params.dtype, b, c, 1);
        find_filter(&w, call, taps, lcv_cpu_filter_of(p, b, c));
        take_care(&w);
        run(&w, split_row);
        convolve_parts(&w);
        run(&w, join_row);
    }
}
