/* SPDX-License-Identifier: BSD-3-Clause */
/* A Monarch matrix for all times: two block-diagonal matrices with a transposition of the channels between
 * them. With k blocks of q x p, then l blocks of s x r (channels = k p, k q = l r, width = l s):
 *
 *     h[i q + m] = sum_n first[i, m, n] x[i p + n]
 *     y[j + l m] = sum_n second[j, m, n] h[j + l n] + bias[j + l m]
 *
 * Source: Dao et al., Monarch: Expressive Structured Matrices (2022), section 3. */
#include "mixer.h"

#include <math.h>

typedef enum { BLOCKS, MIDDLE, OUT_BLOCKS, WIDTH, BIAS, LAYOUT } option;

static const lcvi_option rows[] = {
    [BLOCKS] =
        LCVI_OPTION_INTEGER_ROW("blocks", "0", 0, 0x1p40,
                                "of the first matrix; divides channels and middle; 0: about sqrt(channels)"),
    [MIDDLE] = LCVI_OPTION_INTEGER_ROW("middle", "0", 0, 0x1p40,
                                       "rows between the matrices; 0: as many as channels"),
    [OUT_BLOCKS] = LCVI_OPTION_INTEGER_ROW("out_blocks", "0", 0, 0x1p40,
                                           "of the second matrix; divides middle and width; 0: as blocks"),
    [WIDTH] = LCVI_OPTION_INTEGER_ROW("width", "0", 0, 0x1p40, "channels of y; 0: as many as of x"),
    [BIAS] = LCVI_OPTION_BOOLEAN_ROW("bias", "0", "has it a bias?"),
    [LAYOUT] = LCVI_OPTION_CHOICE_ROW("layout", "bld", LCVI_LAYOUT_WORDS, "axes of x and y"),
};

/* Steps of a program are limited, and each block is one. */
enum { MOST_BLOCKS = LCVI_MIXER_STEPS / 2 };

typedef struct {
    int64_t blocks, middle, out_blocks, width;
} sizes;

static int64_t largest_divisor_below_root(int64_t channels)
{
    int64_t best = 1;
    for (int64_t i = 1; i <= MOST_BLOCKS && i <= channels / i; i++)
        best = channels % i == 0 ? i : best;
    return best;
}

static int64_t given_or(const lcvi_program *p, int32_t which, int64_t otherwise)
{
    const int64_t given = lcvi_mixer_integer(p, which);
    return given > 0 ? given : otherwise;
}

static void check_blocks(lcvi_program *p, const char *name, int64_t blocks, const char *first, int64_t a,
                         const char *second, int64_t b)
{
    if (blocks > MOST_BLOCKS || a % blocks != 0 || b % blocks != 0)
        lcvi_mixer_refuse(p, LCV_INVALID_ARG,
                          "%s: expected a divisor of %s %lld and %s %lld, at most %d, given %lld", name,
                          first, (long long)a, second, (long long)b, MOST_BLOCKS, (long long)blocks);
}

static sizes sizes_of(lcvi_program *p)
{
    const int64_t channels = p->params.channels;
    sizes s = {.blocks = given_or(p, BLOCKS, largest_divisor_below_root(channels)),
               .middle = given_or(p, MIDDLE, channels),
               .width = given_or(p, WIDTH, channels)};
    s.out_blocks = given_or(p, OUT_BLOCKS, s.blocks);
    check_blocks(p, "blocks", s.blocks, "channels", channels, "middle", s.middle);
    check_blocks(p, "out_blocks", s.out_blocks, "middle", s.middle, "width", s.width);
    return s;
}

static lcvi_initial uniform_of(int64_t fan_in)
{
    return (lcvi_initial){LCVI_UNIFORM, fan_in > 0 ? 1.0 / sqrt((double)fan_in) : 0.0};
}

static void build(lcvi_program *p)
{
    const int64_t channels = p->params.channels;
    const sizes s = sizes_of(p);
    if (p->status != LCV_OK)
        return;
    const int64_t p_in = channels / s.blocks, q = s.middle / s.blocks, r = s.middle / s.out_blocks,
                  out = s.width / s.out_blocks;
    lcvi_rows bias = LCVI_NO_ROWS;
    p->layout = lcvi_mixer_integer(p, LAYOUT) == 0 ? LCV_LAYOUT_BLD : LCV_LAYOUT_BDL;
    const lcvi_rows x = lcvi_mixer_input(p, "x", channels, "input");
    const lcvi_rows first = lcvi_mixer_matrix(p, "first", s.middle, p_in, "middle, channels / blocks",
                                              uniform_of(p_in), "blocks of the first matrix");
    const lcvi_rows second = lcvi_mixer_matrix(p, "second", s.width, r, "width, middle / out_blocks",
                                               uniform_of(r), "blocks of the second matrix");
    if (lcvi_mixer_integer(p, BIAS))
        bias = lcvi_mixer_vector(p, "bias", s.width, "width", uniform_of(r), "added at every time");
    const lcvi_rows y = lcvi_mixer_output(p, "y", s.width, "output"), h = lcvi_mixer_scratch(p, s.middle);
    for (int64_t i = 0; i < s.blocks; i++)
        lcvi_mixer_project(p, lcvi_rows_of(x, i * p_in, 1, p_in), lcvi_rows_of(first, i * q, 1, q),
                           LCVI_NO_ROWS, lcvi_rows_of(h, i * q, 1, q));
    for (int64_t j = 0; j < s.out_blocks; j++)
        lcvi_mixer_project(p, lcvi_rows_of(h, j, s.out_blocks, r), lcvi_rows_of(second, j * out, 1, out),
                           lcvi_rows_exist(bias) ? lcvi_rows_of(bias, j, s.out_blocks, out) : bias,
                           lcvi_rows_of(y, j, s.out_blocks, out));
}

const lcvi_mixer lcvi_mixer_monarch = {
    .name = "monarch",
    .summary = "two block-diagonal matrices with a transposition between them, for all times",
    .formula = "y = P second P first x, P: rows in columns",
    .source =
        "Dao et al., Monarch: Expressive Structured Matrices for Efficient and Accurate Training (2022)",
    .options = {rows, sizeof rows / sizeof rows[0]},
    .build = build,
};
