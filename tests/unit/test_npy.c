/* SPDX-License-Identifier: BSD-3-Clause */
/* The .npy reader and writer, with files that are cut off, damaged or lie about themselves; and the sequence
 * reader that stands on it. */
#define _POSIX_C_SOURCE 200809L
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "npy.h"
#include "sequence.h"

static char path[] = "longconv_test_npy_XXXXXX";

static int make_path(void **state)
{
    (void)state;
    const int file = mkstemp(path);
    return file < 0 ? -1 : close(file);
}

static int remove_path(void **state)
{
    (void)state;
    return remove(path);
}

/* A version 1.0 file with this dict (padded or not, as given) and data; returns its length. */
static size_t make(unsigned char *out, const char *dict, const void *data, size_t data_bytes)
{
    const size_t length = strlen(dict);
    memcpy(out, "\x93NUMPY\x01\x00", 8);
    out[8] = (unsigned char)length;
    out[9] = (unsigned char)(length >> 8);
    memcpy(out + 10, dict, length);
    memcpy(out + 10 + length, data, data_bytes);
    return 10 + length + data_bytes;
}

/* Parses a copy that ends exactly where its bytes end, so that reading on is an error under a sanitizer. */
static bool parses(const void *bytes, size_t count, npy_array *a)
{
    char message[256] = "";
    void *copy = malloc(count > 0 ? count : 1);
    assert_non_null(copy);
    memcpy(copy, bytes, count);
    const bool fine = npy_parse(copy, count, a, message, sizeof message);
    free(copy);
    assert_true(fine || message[0] != '\0');
    assert_true(fine || a->data == NULL);
    return fine;
}

static void a_written_file_reads_back(void **state)
{
    static const float values[6] = {1.0f, -2.5f, 3.0f, 0.0f, 1e30f, -1e-30f};
    static const int64_t shape[2] = {2, 3};
    char message[256];
    npy_array a;
    (void)state;
    assert_true(npy_write(path, NPY_F4, 2, shape, values, message, sizeof message));
    assert_true(npy_read(path, &a, message, sizeof message));
    assert_int_equal(a.type, NPY_F4);
    assert_int_equal(a.rank, 2);
    assert_int_equal(a.shape[0], 2);
    assert_int_equal(a.shape[1], 3);
    assert_int_equal(a.count, 6);
    assert_memory_equal(a.data, values, sizeof values);
    assert_true(npy_get(&a, 1) == -2.5);
    npy_free(&a);
}

static void headers_in_other_spellings_are_read(void **state)
{
    static const char *const dicts[] = {
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }\n",
        "{'shape':(3,),'fortran_order':False,'descr':'<f4'}",
        "{ \"descr\" : \"<f4\" , \"fortran_order\" : False , \"shape\" : ( 3 , 1 ) }   \n",
        "{'descr': '<i4', 'fortran_order': False, 'shape': (3, 1, 1, 1, 1, 1, 1, 1)}\n",
    };
    static const float values[3] = {1.0f, 2.0f, 3.0f};
    unsigned char file[512];
    (void)state;
    for (size_t i = 0; i < sizeof dicts / sizeof dicts[0]; i++) {
        npy_array a;
        const size_t count = make(file, dicts[i], values, sizeof values);
        assert_true(parses(file, count, &a));
        assert_int_equal(a.count, 3);
        npy_free(&a);
    }
}

static void scalars_and_empty_arrays_are_read(void **state)
{
    static const double value = 4.0;
    unsigned char file[512];
    npy_array a;
    (void)state;
    assert_true(
        parses(file, make(file, "{'descr': '<f8', 'fortran_order': False, 'shape': ()}", &value, 8), &a));
    assert_int_equal(a.rank, 0);
    assert_int_equal(a.count, 1);
    assert_true(npy_get(&a, 0) == 4.0);
    npy_free(&a);
    assert_true(
        parses(file, make(file, "{'descr': '<f8', 'fortran_order': False, 'shape': (0, 5)}", "", 0), &a));
    assert_int_equal(a.count, 0);
    npy_free(&a);
}

static void every_truncation_is_an_error(void **state)
{
    static const int64_t values[2] = {1, 2};
    unsigned char file[512];
    npy_array a;
    (void)state;
    const size_t count =
        make(file, "{'descr': '<i8', 'fortran_order': False, 'shape': (2,), }\n", values, 16);
    for (size_t length = 0; length < count; length++)
        assert_false(parses(file, length, &a));
    assert_true(parses(file, count, &a));
    npy_free(&a);
    assert_false(parses(file, count + 1, &a));
}

/* Any byte of the header may become anything: an answer, never a crash, and no more data than the file has.
 */
static void every_changed_byte_is_survived(void **state)
{
    static const int32_t values[2] = {1, 2};
    unsigned char file[512];
    (void)state;
    const size_t count = make(file, "{'descr': '<i4', 'fortran_order': False, 'shape': (2,), }\n", values, 8);
    for (size_t at = 0; at < count - sizeof values; at++) {
        const unsigned char original = file[at];
        for (unsigned value = 0; value < 256; value++) {
            npy_array a;
            file[at] = (unsigned char)value;
            if (parses(file, count, &a)) {
                assert_true((uint64_t)a.count * npy_type_size(a.type) == sizeof values);
                npy_free(&a);
            }
        }
        file[at] = original;
    }
}

static void wrong_headers_are_errors(void **state)
{
    static const char *const dicts[] = {
        "",
        "{}",
        "{'descr': '<f4'}",
        "{'descr': '>f4', 'fortran_order': False, 'shape': (2,)}",
        "{'descr': '<f2', 'fortran_order': False, 'shape': (4,)}",
        "{'descr': '|O', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '<f4', 'fortran_order': True, 'shape': (2,)}",
        "{'descr': '<f4', 'fortran_order': 0, 'shape': (2,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': 2}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-2,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,2)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387906,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}",
        "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'extra': 1}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2,)} x",
        "{'descr': '<f4' 'fortran_order': False, 'shape': (2,)}",
        "{'descr: '<f4', 'fortran_order': False, 'shape': (2,)}",
    };
    static const float values[2] = {1.0f, 2.0f};
    unsigned char file[512];
    (void)state;
    for (size_t i = 0; i < sizeof dicts / sizeof dicts[0]; i++) {
        npy_array a;
        if (parses(file, make(file, dicts[i], values, sizeof values), &a))
            fail_msg("taken: %s", dicts[i]);
    }
}

static void a_header_that_claims_too_much_is_an_error(void **state)
{
    unsigned char file[64] = "\x93NUMPY\x02";
    npy_array a;
    (void)state;
    /* 4 GiB of header. */
    memset(file + 8, 0xff, 4);
    assert_false(parses(file, sizeof file, &a));
    file[6] = 4;
    assert_false(parses(file, sizeof file, &a));
}

static void put(const void *bytes, size_t count)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, count, file), count);
    assert_int_equal(fclose(file), 0);
}

static void sequences_of_all_formats_are_read(void **state)
{
    static const char fasta[] = ">one, two\nacG\r\nT\n>three\n\nNn";
    static const int32_t symbols[3] = {0, 65535, 7};
    unsigned char file[512];
    char message[256];
    sequence s;
    (void)state;
    put(fasta, sizeof fasta - 1);
    assert_true(sequence_read(path, 0, &s, message, sizeof message));
    assert_string_equal(s.format, "FASTA");
    assert_int_equal(s.records, 2);
    assert_int_equal(s.length, 6);
    for (int i = 0; i < 6; i++)
        assert_int_equal(s.symbols[i], "ACGTNN"[i]);
    sequence_free(&s);
    put("a\nb", 3);
    assert_true(sequence_read(path, 0, &s, message, sizeof message));
    assert_string_equal(s.format, "text");
    assert_int_equal(s.length, 3);
    assert_int_equal(s.symbols[1], '\n');
    sequence_free(&s);
    put(file, make(file, "{'descr': '<i4', 'fortran_order': False, 'shape': (3,)}", symbols, sizeof symbols));
    assert_true(sequence_read(path, 0, &s, message, sizeof message));
    assert_int_equal(s.length, 3);
    assert_int_equal(s.symbols[1], 65535);
    sequence_free(&s);
}

static void vectors_know_their_channels(void **state)
{
    static const float values[6] = {0};
    unsigned char file[512];
    char message[256];
    sequence s;
    (void)state;
    put(file, make(file, "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2)}", values, sizeof values));
    assert_true(sequence_read(path, 0, &s, message, sizeof message));
    assert_int_equal(s.channels, 2);
    assert_int_equal(s.length, 3);
    assert_false(s.channels_first);
    sequence_free(&s);
    assert_true(sequence_read(path, 3, &s, message, sizeof message));
    assert_int_equal(s.channels, 3);
    assert_true(s.channels_first);
    sequence_free(&s);
    assert_false(sequence_read(path, 5, &s, message, sizeof message));
    assert_non_null(strstr(message, "--channels"));
}

static void bad_sequences_are_errors_that_name_the_file(void **state)
{
    static const int32_t symbols[1] = {65536};
    unsigned char file[512];
    char message[256];
    sequence s;
    (void)state;
    put("", 0);
    assert_false(sequence_read(path, 0, &s, message, sizeof message));
    assert_non_null(strstr(message, path));
    put("\x93NUMPY", 6);
    assert_false(sequence_read(path, 0, &s, message, sizeof message));
    assert_non_null(strstr(message, "cut off"));
    put(">only a header", 14);
    assert_false(sequence_read(path, 0, &s, message, sizeof message));
    put(file, make(file, "{'descr': '<i4', 'fortran_order': False, 'shape': (1,)}", symbols, sizeof symbols));
    assert_false(sequence_read(path, 0, &s, message, sizeof message));
    assert_non_null(strstr(message, "65535"));
    assert_false(sequence_read("no/such/file", 0, &s, message, sizeof message));
    assert_non_null(strstr(message, "no/such/file"));
    assert_false(sequence_read(".", 0, &s, message, sizeof message));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_written_file_reads_back),
        cmocka_unit_test(headers_in_other_spellings_are_read),
        cmocka_unit_test(scalars_and_empty_arrays_are_read),
        cmocka_unit_test(every_truncation_is_an_error),
        cmocka_unit_test(every_changed_byte_is_survived),
        cmocka_unit_test(wrong_headers_are_errors),
        cmocka_unit_test(a_header_that_claims_too_much_is_an_error),
        cmocka_unit_test(sequences_of_all_formats_are_read),
        cmocka_unit_test(vectors_know_their_channels),
        cmocka_unit_test(bad_sequences_are_errors_that_name_the_file),
    };
    return cmocka_run_group_tests(tests, make_path, remove_path);
}
