/* SPDX-License-Identifier: BSD-3-Clause */
/* Export and import of what measured planning learnt: the round trip, and a reader that no text can make
 * abort, as FFTW's own does on some. */
#define _POSIX_C_SOURCE 200809L
#include "arguments.h"
#include "conv.h"
#include "memory.h"
#include "numbers.h"
#include "planning.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef LONGCONV_HAVE_FFTW

static void a_build_without_fftw_says_so(void **state)
{
    size_t needed = 77;
    expect_error(*state, "export", lcv_planning_export(*state, NULL, NULL, 0, &needed), LCV_UNSUPPORTED,
                 "cpu backend: built without FFTW");
    assert_int_equal(needed, 77);
    expect_error(*state, "import", lcv_planning_import(*state, "cpu", "", 0), LCV_UNSUPPORTED,
                 "cpu backend: built without FFTW");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_build_without_fftw_says_so)};
    return cmocka_run_group_tests_name("wisdom", tests, open_context, close_context);
}

#else

#include <fftw3.h>
#include <pthread.h>
#include <time.h>

enum { MOST = 1 << 16 };

static void forget(void)
{
    fftwf_forget_wisdom();
    fftw_forget_wisdom();
}

/* The text, in memory of exactly its size. */
static char *export_all(lcv_context *context)
{
    size_t size = 0, again = 0;
    assert_int_equal(lcv_planning_export(context, NULL, NULL, 0, &size), LCV_OK);
    char *text = malloc(size);
    assert_non_null(text);
    assert_int_equal(lcv_planning_export(context, "cpu", text, size, &again), LCV_OK);
    assert_int_equal(again, size);
    assert_int_equal(strlen(text), size - 1);
    return text;
}

static int compare_lines(const void *a, const void *b)
{
    const char *first, *second;
    memcpy(&first, a, sizeof first);
    memcpy(&second, b, sizeof second);
    return strcmp(first, second);
}

/* Entries in one order: FFTW keeps them in that of its table. Headings have checksums of the order: left out.
 */
static void sort_entries(char *text)
{
    char *lines[2048], *rest = NULL, *copy = strdup(text);
    size_t count = 0, used = 0;
    assert_non_null(copy);
    for (char *line = strtok_r(copy, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest))
        if (strncmp(line, "fftw-", 5) != 0) {
            assert_true(count < COUNT_OF(lines));
            lines[count++] = line;
        }
    qsort(lines, count, sizeof lines[0], compare_lines);
    for (size_t i = 0; i < count; i++)
        used += (size_t)sprintf(text + used, "%s\n", lines[i]);
    free(copy);
}

static void expect_known(lcv_context *context, const char *text)
{
    char *now = export_all(context), *then = strdup(text);
    assert_non_null(then);
    sort_entries(now);
    sort_entries(then);
    assert_string_equal(now, then);
    free(now);
    free(then);
}

static lcv_conv_params measured(int64_t seqlen, lcv_dtype dtype)
{
    lcv_conv_params params = test_conv_params(1, 1, seqlen, seqlen);
    params.dtype = dtype;
    params.planning = LCV_PLANNING_MEASURED;
    return params;
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* What a measured plan computes; returns how long its creation took. */
static double compute(lcv_context *context, const lcv_conv_params *params, test_conv *c)
{
    const test_place plain = {TEST_PLAIN, 0, 1};
    const double start = seconds();
    lcv_plan *plan = test_conv_plan(context, params, "cpu", "fftw");
    const double taken = seconds() - start;
    test_conv_make(c, params, &plain, 1);
    test_conv_run(plan, c);
    lcv_plan_destroy(&plan);
    return taken;
}

/* Both parts with some entries, and nothing else, as most tests below begin. Measured once. */
static char *learn_something(lcv_context *context)
{
    static char text[MOST];
    forget();
    for (int dtype = LCV_F32; text[0] == '\0' && dtype <= LCV_F64; dtype++) {
        const lcv_conv_params params = measured(120, (lcv_dtype)dtype);
        lcv_plan *plan = test_conv_plan(context, &params, "cpu", "fftw");
        lcv_plan_destroy(&plan);
    }
    if (text[0] == '\0') {
        size_t size;
        assert_int_equal(lcv_planning_export(context, NULL, text, sizeof text, &size), LCV_OK);
    }
    assert_int_equal(lcv_planning_import(context, NULL, text, strlen(text)), LCV_OK);
    return export_all(context);
}

/* ---- The round trip ---- */

static void what_was_learnt_need_not_be_measured_again(void **state)
{
    for (int dtype = LCV_F32; dtype <= LCV_F64; dtype++) {
        const lcv_conv_params params = measured(8000, (lcv_dtype)dtype);
        test_conv first, second;
        forget();
        const double slow = compute(*state, &params, &first);
        char *text = export_all(*state);
        forget();
        assert_int_equal(lcv_planning_import(*state, NULL, text, strlen(text)), LCV_OK);
        expect_known(*state, text);
        const double quick = compute(*state, &params, &second);
        expect_known(*state, text);
        assert_true(test_conv_same(&second, &first)); /* measured plans of two processes may differ */
        if (quick > slow / 4)
            fail_msg("with wisdom %g s, without %g s", quick, slow);
        test_conv_free(&first);
        test_conv_free(&second);
        free(text);
    }
}

static void import_adds(void **state)
{
    char *small = learn_something(*state), *both;
    const lcv_conv_params params = measured(700, LCV_F32);
    forget();
    lcv_plan *plan = test_conv_plan(*state, &params, "cpu", "fftw");
    lcv_plan_destroy(&plan);
    assert_int_equal(lcv_planning_import(*state, "auto", small, strlen(small)), LCV_OK);
    both = export_all(*state);
    assert_true(strlen(both) > strlen(small));
    assert_int_equal(lcv_planning_import(*state, "auto", both, strlen(both)), LCV_OK); /* twice is once */
    expect_known(*state, both);
    free(small);
    free(both);
}

static void nothing_learnt_is_a_text_too(void **state)
{
    forget();
    char *text = export_all(*state);
    assert_int_equal(lcv_planning_import(*state, NULL, text, strlen(text)), LCV_OK);
    expect_known(*state, text);
    free(text);
}

/* ---- Arguments ---- */

static void arguments(void **state)
{
    char *text = learn_something(*state), few[8] = "as it w";
    size_t needed = 0;
#define EXPORT(...) lcv_planning_export(__VA_ARGS__)
#define IMPORT(...) lcv_planning_import(__VA_ARGS__)
    expect_error(NULL, "context", EXPORT(NULL, NULL, NULL, 0, &needed), LCV_INVALID_ARG, "context: ");
    expect_error(*state, "needed", EXPORT(*state, NULL, NULL, 0, NULL), LCV_INVALID_ARG, "needed: ");
    expect_error(*state, "text", EXPORT(*state, NULL, NULL, 5, &needed), LCV_INVALID_ARG, "text: ");
    expect_error(*state, "name", EXPORT(*state, "abacus", NULL, 0, &needed), LCV_NO_DEVICE, "backend: ");
    expect_error(*state, "ref", EXPORT(*state, "ref", NULL, 0, &needed), LCV_UNSUPPORTED, "backend: ref");
    assert_int_equal(needed, 0);
    expect_error(*state, "size", EXPORT(*state, NULL, few, sizeof few, &needed), LCV_INVALID_ARG, "size: ");
    assert_int_equal(needed, strlen(text) + 1);
    assert_string_equal(few, "as it w");
    expect_error(*state, "size", EXPORT(*state, NULL, text, needed - 1, &needed), LCV_INVALID_ARG, "size: ");
    expect_error(NULL, "context", IMPORT(NULL, NULL, text, 1), LCV_INVALID_ARG, "context: ");
    expect_error(*state, "text", IMPORT(*state, NULL, NULL, 0), LCV_INVALID_ARG, "text: ");
    expect_error(*state, "empty", IMPORT(*state, NULL, "", 0), LCV_INVALID_ARG, "text: line 1: ");
    expect_error(*state, "NUL", IMPORT(*state, NULL, text, strlen(text) + 1), LCV_INVALID_ARG, "text: line ");
    expect_error(*state, "ref", IMPORT(*state, "ref", text, strlen(text)), LCV_UNSUPPORTED, "backend: ref");
    setenv("LONGCONV_BACKEND", "ref", 1);
    lcv_context *only = NULL;
    assert_int_equal(lcv_context_create(NULL, &only), LCV_OK);
    expect_error(only, "environment", IMPORT(only, NULL, text, strlen(text)), LCV_UNSUPPORTED,
                 "backend: ref");
    assert_int_equal(IMPORT(only, "cpu", text, strlen(text)), LCV_OK);
    lcv_context_destroy(&only);
    unsetenv("LONGCONV_BACKEND");
    free(text);
}

/* ---- Texts that are wrong ---- */

static lcv_status import_copy(lcv_context *context, const char *bytes, size_t length)
{
    char *copy = malloc(length > 0 ? length : 1); /* of its own size: a sanitizer sees what is read beyond */
    assert_non_null(copy);
    memcpy(copy, bytes, length);
    const lcv_status status = lcv_planning_import(context, NULL, copy, length);
    free(copy);
    return status;
}

static void every_truncation_is_an_error(void **state)
{
    char *text = learn_something(*state);
    const size_t length = strlen(text);
    forget();
    char *before = export_all(*state);
    for (size_t cut = 0; cut < length; cut++)
        expect_error(*state, "cut", import_copy(*state, text, cut), LCV_INVALID_ARG, "text: line ");
    expect_known(*state, before);
    assert_int_equal(import_copy(*state, text, length), LCV_OK);
    free(before);
    free(text);
}

static void every_changed_byte_is_an_error(void **state)
{
    char *text = learn_something(*state);
    const size_t length = strlen(text);
    for (size_t i = 0; i < length; i++)
        for (int bit = 0; bit < 8; bit++) {
            text[i] = (char)(text[i] ^ 1 << bit);
            const lcv_status status = import_copy(*state, text, length);
            if (status != LCV_INVALID_ARG && status != LCV_VERSION_MISMATCH)
                fail_msg("byte %zu, bit %d: %s", i, bit, lcv_status_name(status));
            text[i] = (char)(text[i] ^ 1 << bit);
        }
    free(text);
}

/* Imports a text whose part `part` has `from` replaced by `to`, once, with a right checksum. */
static lcv_status import_with(lcv_context *context, const char *text, int part, const char *from,
                              const char *to)
{
    static char changed[MOST], joined[MOST];
    test_planning_parts parts = test_planning_split(text);
    const size_t length = parts.length[part];
    memcpy(changed, parts.bytes[part], length);
    changed[length] = '\0';
    char *place = strstr(changed, from);
    assert_non_null(place);
    memmove(place + strlen(to), place + strlen(from), strlen(place + strlen(from)) + 1);
    memcpy(place, to, strlen(to));
    parts.bytes[part] = changed;
    parts.length[part] = strlen(changed);
    const size_t all = test_planning_join(&parts, joined, sizeof joined);
    assert_true(all > 0);
    return import_copy(context, joined, all);
}

#define DIGEST " #x01234567 #x89abcdef #x01234567 #x89abcdef)\n)"

static void hostile_entries(void **state)
{
    static const char *const lines[] = {
        "\n  (fftwf_codelet_n1_2 0 #x111bdd #x11bdd #x0" DIGEST, /* 21 bits: FFTW would abort */
        "\n  (fftwf_codelet_n1_2 0 #x11bdd #x111bdd #x0" DIGEST,
        "\n  (fftwf_codelet_n1_2 0 #x0000000011bdd #x11bdd #x0" DIGEST,
        "\n  (fftwf_codelet_n1_2 0 #x11bdd #x11bdd #x200" DIGEST,
        "\n  (fftwf_codelet_n1_2 0 #x11bdd #x11bdd #x1" DIGEST,
        "\n  (fftwf_codelet_n1_2 0 #xfffff #x11bdd #x0" DIGEST, /* the first set is not within the second */
        "\n  (fftwf_codelet_n1_2 0 #x #x11bdd #x0" DIGEST,
        "\n  (fftwf_codelet_n1_2 0 #x11BDD #x11BDD #x0" DIGEST,
        "\n  (fftwf_codelet_n1_2 -1 #x11bdd #x11bdd #x0" DIGEST,
        "\n  (fftwf_codelet_n1_2 99999999999 #x11bdd #x11bdd #x0" DIGEST,
        "\n  (fftw_codelet_n1_2 0 #x11bdd #x11bdd #x0" DIGEST,
        "\n  (TIMEOUT 0 #x11bdd #x11bdd #x0" DIGEST,
        "\n  (fftwf_codelet n1_2 0 #x11bdd #x11bdd #x0" DIGEST,
        "\n  (fftwf_ 0 #x11bdd #x11bdd #x0" DIGEST,
        "\n  (fftwf_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx 0 #x0 #x0 #x0" DIGEST,
        "\n (fftwf_codelet_n1_2 0 #x11bdd #x11bdd #x0" DIGEST,
        "\n  (fftwf_codelet_n1_2 0 #x11bdd #x11bdd #x0 #x1 #x2 #x3 #x4)\n)",
        "\n  (fftwf_codelet_n1_2 0 #x11bdd #x11bdd #x0 #x01234567 #x89abcdef #x01234567)\n)",
        "\n  (fftwf_codelet_n1_2 0 #x11bdd #x11bdd #x0" DIGEST "\n",
        "\n\n)",
        "\r\n)",
        "",
    };
    char *text = learn_something(*state);
    for (size_t i = 0; i < COUNT_OF(lines); i++)
        expect_error(*state, lines[i], import_with(*state, text, 0, "\n)", lines[i]), LCV_INVALID_ARG,
                     "text: line ");
    expect_known(*state, text);
    /* The row itself is no reason to refuse: a true entry for a transform that nobody asks for. */
    assert_int_equal(
        import_with(*state, text, 0, "\n)", "\n  (fftwf_codelet_n1_2 0 #x11bdd #x11bdd #x0" DIGEST), LCV_OK);
    free(text);
}

static void other_versions(void **state)
{
    char *text = learn_something(*state), digest[] = "fftwf_wisdom #x00000000", *joined = strdup(text);
    assert_non_null(joined);
    joined[strlen("longconv-planning ")] = '2';
    expect_error(*state, "ours", import_copy(*state, joined, strlen(joined)), LCV_VERSION_MISMATCH,
                 "text: line 1: a version");
    free(joined);
    expect_error(*state, "FFTW's", import_with(*state, text, 0, "(fftw-3", "(fftw-2"), LCV_VERSION_MISMATCH,
                 "text: written for another version");
    const char *present = strstr(text, "fftwf_wisdom #x");
    assert_non_null(present);
    memcpy(digest + 15, present + 15, 8);
    char other[sizeof digest];
    memcpy(other, digest, sizeof digest);
    other[15] = digest[15] == '0' ? '1' : '0';
    expect_error(*state, "its solvers", import_with(*state, text, 0, digest, other), LCV_VERSION_MISMATCH,
                 "text: written for another version");
    free(text);
}

static void parts_in_the_wrong_place(void **state)
{
    static char joined[MOST];
    char *text = learn_something(*state);
    const test_planning_parts parts = test_planning_split(text);
    for (int twice = 0; twice < 2; twice++) {
        const test_planning_parts mixed = {{parts.bytes[1 - twice], parts.bytes[0]},
                                           {parts.length[1 - twice], parts.length[0]}};
        const size_t length = test_planning_join(&mixed, joined, sizeof joined);
        expect_error(*state, "mixed", import_copy(*state, joined, length), LCV_INVALID_ARG, "text: line ");
    }
    free(text);
}

/* FFTW itself refuses the second part: the first, which it has taken, goes again. */
static void a_refusal_of_fftw_changes_nothing(void **state)
{
    char *text = learn_something(*state);
    const lcv_conv_params params = measured(700, LCV_F32);
    forget();
    lcv_plan *plan = test_conv_plan(*state, &params, "cpu", "fftw");
    lcv_plan_destroy(&plan);
    char *before = export_all(*state);
    for (int part = 0; part < 2; part++) {
        expect_error(*state, "solver",
                     import_with(*state, text, part, part == 0 ? "\n)" : "\n)",
                                 part == 0 ? "\n  (fftwf_abacus 0 #x11bdd #x11bdd #x0" DIGEST
                                           : "\n  (fftw_abacus 0 #x11bdd #x11bdd #x0" DIGEST),
                     LCV_BACKEND_FAILED, "text: FFTW does not take part");
        expect_known(*state, before);
    }
    free(before);
    free(text);
}

/* ---- Mutations ---- */

static size_t mutate(char *bytes, size_t length, uint64_t *random)
{
    static const char letters[] = "0123456789abcdef#x() \n_ftwABZ\r\t\x80";
    for (uint64_t changes = 1 + test_bits(random) % 3; changes > 0; changes--) {
        const size_t at = (size_t)(test_bits(random) % length);
        switch (test_bits(random) % 4) {
        case 0: /* one letter more */
            memmove(bytes + at + 1, bytes + at, length - at);
            length++;
            bytes[at] = letters[test_bits(random) % (sizeof letters - 1)];
            break;
        case 1: /* one less */
            memmove(bytes + at, bytes + at + 1, length - at - 1);
            length--;
            break;
        case 2: { /* two that change places */
            const size_t other = (size_t)(test_bits(random) % length);
            const char kept = bytes[at];
            bytes[at] = bytes[other];
            bytes[other] = kept;
            break;
        }
        default:
            bytes[at] = letters[test_bits(random) % (sizeof letters - 1)];
        }
    }
    return length;
}

/* Where the entries of a part begin: what is before says only which FFTW this is. */
static size_t opening(const test_planning_parts *parts, int part)
{
    const char *newline = memchr(parts->bytes[part], '\n', parts->length[part]);
    return (size_t)(newline - parts->bytes[part]) + 1;
}

static void mutations_never_abort(void **state)
{
    enum { MUTATIONS = 20000, CHECK_EVERY = 20 };
    static char changed[MOST], joined[MOST];
    char *text = learn_something(*state);
    lcv_conv_params params = measured(120, LCV_F32);
    const test_planning_parts parts = test_planning_split(text);
    test_conv expected[2];
    uint64_t random = 20261124;
    int taken = 0, refused = 0;
    params.planning = LCV_PLANNING_QUICK; /* follows what was measured, and measures nothing itself */
    compute(*state, &params, &expected[0]);
    params.dtype = LCV_F64;
    compute(*state, &params, &expected[1]);
    for (int i = 0; i < MUTATIONS; i++) {
        test_planning_parts mutant = parts;
        const int part = i % 2;
        const size_t head = opening(&parts, part);
        memcpy(changed, parts.bytes[part], parts.length[part]);
        mutant.bytes[part] = changed;
        mutant.length[part] = head + mutate(changed + head, parts.length[part] - head, &random);
        const size_t length = test_planning_join(&mutant, joined, sizeof joined);
        const lcv_status status = import_copy(*state, joined, length);
        taken += status == LCV_OK;
        refused += status == LCV_INVALID_ARG || status == LCV_BACKEND_FAILED;
        if (status == LCV_OK && taken % CHECK_EVERY == 0) { /* FFTW follows it now: to a right plan */
            test_conv c;
            params.dtype = part == 0 ? LCV_F32 : LCV_F64;
            compute(*state, &params, &c);
            assert_true(test_conv_near(&c, &expected[part], "after a mutation"));
            test_conv_free(&c);
        }
        if (status == LCV_OK)
            forget();
    }
    assert_int_equal(taken + refused, MUTATIONS);
    assert_true(taken > MUTATIONS / 50 && refused > MUTATIONS / 50);
    test_conv_free(&expected[0]);
    test_conv_free(&expected[1]);
    free(text);
}

/* ---- Threads ---- */

typedef struct {
    lcv_context *context;
    const char *text;
    bool fine;
} worker;

static void *plan_and_exchange(void *arg)
{
    worker *w = arg;
    lcv_conv_params params = measured(120, LCV_F32);
    params.planning = LCV_PLANNING_QUICK;
    params.backend = "cpu";
    params.engine = "fftw";
    w->fine = true;
    for (int i = 0; i < 20; i++) {
        size_t size = 0;
        lcv_plan *plan = NULL;
        params.dtype = i % 2 == 0 ? LCV_F32 : LCV_F64;
        w->fine = w->fine && lcv_planning_import(w->context, NULL, w->text, strlen(w->text)) == LCV_OK &&
                  lcv_conv_plan_create(w->context, &params, &plan) == LCV_OK &&
                  lcv_planning_export(w->context, NULL, NULL, 0, &size) == LCV_OK && size > 0;
        lcv_plan_destroy(&plan);
    }
    return NULL;
}

static void threads_take_turns(void **state)
{
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    worker workers[THREADS];
    char *text = learn_something(*state);
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (worker){*state, text, false};
        assert_int_equal(pthread_create(&threads[i], NULL, plan_and_exchange, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_true(workers[i].fine);
    }
    free(text);
}

/* ---- Memory ---- */

static void without_memory_nothing_changes(void **state)
{
    test_memory memory = {0};
    const lcv_context_params params = test_memory_params(&memory);
    lcv_context *context = NULL;
    char *text = learn_something(*state);
    forget();
    char *before = export_all(*state);
    assert_int_equal(lcv_context_create(&params, &context), LCV_OK);
    const int64_t calls = memory.calls;
    for (int failing = 1; failing <= 2; failing++) { /* an import keeps a copy of both parts */
        memory.fail_at = memory.calls + failing;
        expect_error(context, "no memory", lcv_planning_import(context, NULL, text, strlen(text)),
                     LCV_OUT_OF_MEMORY, "cpu backend: no memory");
        expect_known(*state, before);
    }
    memory.fail_at = 0;
    assert_int_equal(memory.calls, calls + 3);
    assert_int_equal(lcv_planning_import(context, NULL, text, strlen(text)), LCV_OK);
    expect_known(*state, text);
    lcv_context_destroy(&context);
    assert_int_equal(memory.live_blocks, 0);
    assert_int_equal(memory.faults, 0);
    free(before);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_take_turns),
        cmocka_unit_test(without_memory_nothing_changes),
        cmocka_unit_test(what_was_learnt_need_not_be_measured_again),
        cmocka_unit_test(import_adds),
        cmocka_unit_test(nothing_learnt_is_a_text_too),
        cmocka_unit_test(arguments),
        cmocka_unit_test(every_truncation_is_an_error),
        cmocka_unit_test(every_changed_byte_is_an_error),
        cmocka_unit_test(hostile_entries),
        cmocka_unit_test(other_versions),
        cmocka_unit_test(parts_in_the_wrong_place),
        cmocka_unit_test(a_refusal_of_fftw_changes_nothing),
        cmocka_unit_test(mutations_never_abort),
    };
    return cmocka_run_group_tests_name("wisdom", tests, open_context, close_context);
}

#endif
