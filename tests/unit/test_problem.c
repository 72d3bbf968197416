/* SPDX-License-Identifier: BSD-3-Clause */
/* Problem strings: what they mean, that the canonical text parses back, and that errors name the wrong word.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "problem.h"

static problem parsed(const char *text)
{
    problem p;
    char message[256] = "";
    if (!problem_parse(text, &p, message, sizeof message))
        fail_msg("%s: %s", text, message);
    return p;
}

static void defaults_are_as_documented(void **state)
{
    (void)state;
    const problem p = parsed("conv:f32:b2:d3:l100");
    assert_int_equal(p.kind, PROBLEM_CONV);
    assert_int_equal(p.dtype, LCV_F32);
    assert_int_equal(p.batch, 2);
    assert_int_equal(p.channels, 3);
    assert_int_equal(p.seqlen, 100);
    assert_int_equal(p.filter_len, 100);
    assert_int_equal(p.filter_future_len, 0);
    assert_int_equal(p.mode, LCV_CONV_CAUSAL);
    assert_int_equal(p.filter_form, LCV_FILTER_PER_CHANNEL);
    assert_int_equal(p.layout, LCV_LAYOUT_BDL);
    assert_int_equal(p.passes, PROBLEM_FORWARD);
    assert_int_equal(p.terms, 0);
    assert_int_equal(p.seed, 1);
    assert_int_equal(p.threads, 0);
    assert_string_equal(p.backend, "");
    assert_int_equal(parsed("conv:f32:b1:d1:l9:k4:twosided").filter_future_len, 4);
    assert_int_equal(parsed("conv:f32:b1:d1:l9:twosided").future_first_lag, 1);
}

static void every_word_is_understood(void **state)
{
    (void)state;
    problem p =
        parsed("conv:bf16:b1:d8:l7:k3:kf2:twosided:lag0:g4:skip:bias:gated:act=gelu_tanh:bld:inplace:fwdbwd"
               " backend=cpu engine=fftw vs=r2c threads=3 seed=18446744073709551615");
    assert_int_equal(p.dtype, LCV_BF16);
    assert_int_equal(p.filter_len, 3);
    assert_int_equal(p.filter_future_len, 2);
    assert_int_equal(p.mode, LCV_CONV_TWOSIDED);
    assert_int_equal(p.future_first_lag, 0);
    assert_int_equal(p.filter_form, LCV_FILTER_GROUPED);
    assert_int_equal(p.filter_groups, 4);
    assert_int_equal(p.terms, LCV_TERM_SKIP | LCV_TERM_BIAS | LCV_TERM_PRE_GATE | LCV_TERM_POST_GATE);
    assert_int_equal(p.activation, LCV_ACTIVATION_GELU_TANH);
    assert_int_equal(p.layout, LCV_LAYOUT_BLD);
    assert_true(p.inplace);
    assert_int_equal(p.passes, PROBLEM_FORWARD | PROBLEM_BACKWARD);
    assert_string_equal(p.backend, "cpu");
    assert_string_equal(p.engine, "fftw");
    assert_string_equal(p.vs, "r2c");
    assert_int_equal(p.threads, 3);
    assert_true(p.seed == UINT64_MAX);
    p = parsed("conv:f64:b0:d1:l0:k0:pre:state:chunk5:bwd");
    assert_int_equal(p.terms, LCV_TERM_PRE_GATE | LCV_TERM_STATE);
    assert_int_equal(p.chunk, 5);
    assert_int_equal(p.passes, PROBLEM_BACKWARD);
}

static void operators_are_understood(void **state)
{
    (void)state;
    problem p = parsed("op:short_conv:f16:b1:d2:l9:taps=4:order=correlation:bias:state:act=silu:bld:bwd");
    assert_int_equal(p.kind, PROBLEM_SHORT_CONV);
    assert_int_equal(p.filter_len, 4);
    assert_int_equal(p.tap_order, LCV_TAPS_CORRELATION);
    assert_int_equal(p.activation, LCV_ACTIVATION_SILU);
    assert_int_equal(p.terms, LCV_TERM_BIAS | LCV_TERM_STATE);
    assert_int_equal(parsed("op:short_conv:f32:b1:d2:l9").filter_len, 3);
    p = parsed("op:gate:f32:b1:d2:l9:fwdbwd threads=2");
    assert_int_equal(p.kind, PROBLEM_GATE);
    assert_int_equal(p.threads, 2);
    p = parsed("op:h3:f64:b1:d4:l9:head_dim=2:bwd:head_order=first");
    assert_int_equal(p.kind, PROBLEM_MIXER);
    assert_string_equal(p.name, "h3");
    assert_string_equal(p.options, "head_dim=2:head_order=first");
    assert_int_equal(p.passes, PROBLEM_BACKWARD);
}

static void canonical_text_parses_back(void **state)
{
    static const char *const texts[] = {
        "conv:f32:b1:d768:l8192:k8192:causal:gated backend=cpu",
        "conv:f64:b2:d6:l100:k7:kf9:twosided:lag0:g3:skip:bias:pre:act=gelu:bld:inplace:fwdbwd",
        "conv:f16:b2:d6:l100:k7:anticausal:shared:post:act=silu:bwd engine=direct vs=none",
        "conv:bf16:b2:d6:l100:k700:circular:persample threads=2 seed=0",
        "conv:f32:b0:d0:l0:k0:causal:state:chunk3",
        "op:short_conv:f32:b1:d2:l9:taps=4:order=correlation:bias:act=gelu_tanh:state:bld:fwdbwd backend=ref",
        "op:gate:bf16:b1:d2:l9:bwd seed=77",
        "op:hyena:f32:b1:d2:l9:order=3:short_taps=5:fwdbwd backend=cpu",
        "filter:modal:f64:d3:l100:modes=4:form=p_gamma:fwdbwd threads=2",
    };
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        char once[PROBLEM_TEXT_MAX], twice[PROBLEM_TEXT_MAX];
        const problem first = parsed(texts[i]);
        problem_print(&first, true, once);
        const problem second = parsed(once);
        assert_memory_equal(&first, &second, offsetof(problem, backend));
        assert_string_equal(first.backend, second.backend);
        assert_string_equal(first.engine, second.engine);
        assert_string_equal(first.vs, second.vs);
        assert_int_equal(first.threads, second.threads);
        assert_true(first.seed == second.seed);
        assert_string_equal(problem_print(&second, true, twice), once);
        assert_string_equal(first.name, second.name);
        assert_string_equal(first.options, second.options);
        /* These were written in the canonical form. */
        assert_true(strncmp(once, texts[i], strlen("conv:f32:b")) == 0);
    }
}

static void blanks_around_and_between_options_do_not_matter(void **state)
{
    (void)state;
    const problem p = parsed("  conv:f32:b1:d1:l5 \t backend=ref\n");
    assert_string_equal(p.backend, "ref");
    assert_int_equal(p.seqlen, 5);
}

static void errors_name_the_wrong_word(void **state)
{
    static const struct {
        const char *text, *word;
    } rows[] = {
        {"", "empty"},
        {"   ", "empty"},
        {"cnv:f32:b1:d1:l1", "'cnv'"},
        {"conv", "dtype"},
        {"conv:f33:b1:d1:l1", "'f33'"},
        {"conv:f32:b1:d1", "'l'"},
        {"conv:f32:d1:l1", "'b'"},
        {"conv:f32:b1:l1", "'d'"},
        {"conv:f32:b1:d1:l-1", "'l-1'"},
        {"conv:f32:b1:d1:l1x", "'l1x'"},
        {"conv:f32:b1:d1:l", "'l'"},
        {"conv:f32:b1:d1:l 5", "'l'"},
        {"conv:f32:b1:d1:l99999999999999999999", "'l99999999999999999999'"},
        {"conv:f32:b1:d1:l5:l6", "'l6'"},
        {"conv:f32:b1:d1:l5:", "''"},
        {"conv:f32:b1:d1:l5:causal:circular", "'circular'"},
        {"conv:f32:b1:d1:l5:shared:g1", "'g1'"},
        {"conv:f32:b1:d1:l5:g0", "'g0'"},
        {"conv:f32:b1:d1:l5:gated:pre", "'pre'"},
        {"conv:f32:b1:d1:l5:act=relu", "'act=relu'"},
        {"conv:f32:b1:d1:l5:kf3", "'kf'"},
        {"conv:f32:b1:d1:l5:lag0", "'lag'"},
        {"conv:f32:b1:d1:l5:chunk0", "'chunk0'"},
        {"conv:f32:b1:d1:l5:circular:chunk2", "'chunk2'"},
        {"conv:f32:b1:d1:l5:fwd:bwd", "'bwd'"},
        {"conv:f32:b1:d1:l5:taps=3", "'taps=3'"},
        {"conv:f32:b1:d1:l5 threads=0", "'threads=0'"},
        {"conv:f32:b1:d1:l5 seed=x", "'seed=x'"},
        {"conv:f32:b1:d1:l5 backend=", "'backend='"},
        {"conv:f32:b1:d1:l5 colour=red", "'colour=red'"},
        {"filter:hyena:f32:d1:l5", "'filter:hyena'"},
        {"filter", "'filter:'"},
        {"filter:modal:f16:d1:l5", "'f16'"},
        {"filter:modal:f32:b1:d1:l5", "'b1'"},
        {"filter:modal:f32:d1", "'l'"},
        {"filter:modal:f32:d1:l5:causal", "'causal'"},
        {"op:hyaena:f32:b1:d1:l5", "'op:hyaena'"},
        {"op:hyena:f32:b1:d1:l5:colour=red", "'colour=red'"},
        {"op:hyena:f32:b1:d1:l5:skip", "'skip'"},
        {"op:gate:f32:b1:d1:l5:order=3", "'order=3'"},
        {"op:gate:f32:b1:d1:l5:skip", "'skip'"},
        {"op", "'op:'"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        problem p;
        char message[256] = "";
        if (problem_parse(rows[i].text, &p, message, sizeof message))
            fail_msg("'%s' was taken", rows[i].text);
        if (strstr(message, rows[i].word) == NULL)
            fail_msg("'%s': the message does not say %s: %s", rows[i].text, rows[i].word, message);
    }
}

static void long_texts_are_refused(void **state)
{
    char text[2 * PROBLEM_TEXT_MAX], message[64];
    problem p;
    (void)state;
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    assert_false(problem_parse(text, &p, message, sizeof message));
    snprintf(text, sizeof text, "conv:f32:b1:d1:l5 backend=%0100d", 7);
    assert_false(problem_parse(text, &p, message, sizeof message));
}

static void facts_follow_from_the_words(void **state)
{
    (void)state;
    problem p = parsed("conv:f32:b2:d6:l10:k4:g3:skip:gated:state:bwd");
    assert_int_equal(problem_filters(&p), 3);
    assert_int_equal(problem_filter_of(&p, 1, 3), 1);
    assert_int_equal(problem_state_len(&p), 3);
    assert_int_equal(problem_grad_mask(&p), LCV_GRAD_U | LCV_GRAD_FILTER | LCV_GRAD_SKIP | LCV_GRAD_PRE_GATE |
                                                LCV_GRAD_POST_GATE | LCV_GRAD_STATE);
    p = parsed("conv:f32:b2:d6:l10:persample");
    assert_int_equal(problem_filters(&p), 12);
    assert_int_equal(problem_filter_of(&p, 1, 3), 9);
    assert_int_equal(problem_rows(&p), 12);
    p = parsed("conv:f32:b2:d6:l10:shared:k0");
    assert_int_equal(problem_filter_of(&p, 1, 3), 0);
    assert_int_equal(problem_state_len(&p), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_as_documented),
        cmocka_unit_test(every_word_is_understood),
        cmocka_unit_test(operators_are_understood),
        cmocka_unit_test(canonical_text_parses_back),
        cmocka_unit_test(blanks_around_and_between_options_do_not_matter),
        cmocka_unit_test(errors_name_the_wrong_word),
        cmocka_unit_test(long_texts_are_refused),
        cmocka_unit_test(facts_follow_from_the_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
