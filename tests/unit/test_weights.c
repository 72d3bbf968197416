/* SPDX-License-Identifier: BSD-3-Clause */
/* Weights: safetensors files and folders of .npy give back what was written, and bad files are refused. */
#include "arrays.h"
#include "test.h"
#include "weights.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[] = "/tmp/longconv-weights-XXXXXX";
static char path[128];

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) == NULL;
}

static int remove_folder(void **state)
{
    char command[160];
    (void)state;
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    return system(command);
}

static const char *in_folder(const char *name)
{
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void check_round_trip(const char *target)
{
    static const char *const names[] = {"in_weight", "filter.bias"};
    static const char *const metadata[] = {"mixer", "hyena", NULL};
    float weight[6] = {1.0F, -2.5F, 3.0F, 0.0F, 1e-30F, 7.0F}, weight_back[6] = {0};
    double bias[2] = {0.1, -1e200}, bias_back[2] = {0};
    const int64_t shape[] = {2, 3}, shape_with_one[] = {2, 1, 3}, pair[] = {2};
    const lcv_tensor tensors[] = {lcv_tensor_compact(weight, LCV_F32, 2, shape),
                                  lcv_tensor_compact(bias, LCV_F64, 1, pair)};
    char message[256] = "";
    weights w;
    int rank = 0;
    int64_t found[SAFETENSORS_MAX_RANK];
    if (!weights_save(target, names, tensors, 2, metadata, message, sizeof message) ||
        !weights_open(target, &w, message, sizeof message))
        fail_msg("%s", message);
    assert_true(weights_has(&w, "in_weight", &rank, found));
    assert_true(rank == 2 && found[0] == 2 && found[1] == 3);
    assert_false(weights_has(&w, "out_weight", &rank, found));
    /* An axis of length 1 makes no difference. */
    lcv_tensor back = lcv_tensor_compact(weight_back, LCV_F32, 3, shape_with_one);
    assert_true(weights_load(&w, "in_weight", &back, message, sizeof message));
    assert_memory_equal(weight, weight_back, sizeof weight);
    back = lcv_tensor_compact(bias_back, LCV_F64, 1, pair);
    assert_true(weights_load(&w, "filter.bias", &back, message, sizeof message));
    assert_memory_equal(bias, bias_back, sizeof bias);
    assert_false(weights_load(&w, "in_weight", &back, message, sizeof message));
    assert_non_null(strstr(message, "expected shape [2], given [2, 3]"));
    assert_false(weights_load(&w, "none", &back, message, sizeof message));
    assert_non_null(strstr(message, "none"));
    weights_close(&w);
}

static void files_come_back(void **state)
{
    (void)state;
    check_round_trip(in_folder("w.safetensors"));
}

static void folders_come_back(void **state)
{
    (void)state;
    check_round_trip(in_folder("npy"));
}

static void numbers_must_be_finite(void **state)
{
    static const char *const names[] = {"w"};
    float values[2] = {1.0F, NAN};
    const int64_t shape[] = {2};
    const lcv_tensor tensor = lcv_tensor_compact(values, LCV_F32, 1, shape);
    char message[256] = "";
    weights w;
    (void)state;
    assert_true(weights_save(in_folder("nan.safetensors"), names, &tensor, 1, NULL, message, sizeof message));
    assert_true(weights_open(path, &w, message, sizeof message));
    assert_false(weights_load(&w, "w", &tensor, message, sizeof message));
    assert_non_null(strstr(message, "element 1 is not a finite number"));
    weights_close(&w);
    assert_false(weights_open(in_folder("nowhere"), &w, message, sizeof message));
    assert_false(weights_open(in_folder("nowhere.safetensors"), &w, message, sizeof message));
}

/* A file of a header and `data` zero bytes. */
static bool parse(const char *header, size_t data, safetensors *out, char *message, size_t message_bytes)
{
    unsigned char bytes[512] = {0};
    const size_t length = strlen(header);
    bytes[0] = (unsigned char)length;
    bytes[1] = (unsigned char)(length >> 8);
    memcpy(bytes + 8, header, length);
    return safetensors_parse(bytes, 8 + length + data, out, message, message_bytes);
}

static void what_is_not_sound_is_refused(void **state)
{
    static const struct {
        const char *header;
        size_t data;
        const char *word;
    } rows[] = {
        {"", 0, "'{'"},
        {"[]", 0, "'{'"},
        {"{", 0, "JSON"},
        {"{} x", 0, "behind"},
        {"{}", 3, "no tensor"},
        {"{\"w\":1}", 0, "w: is no tensor"},
        {"{\"w\":{\"dtype\":\"F33\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "dtype"},
        {"{\"w\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4, "shape"},
        {"{\"w\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", 4, "axis 0"},
        {"{\"w\":{\"dtype\":\"F32\",\"shape\":[0.5],\"data_offsets\":[0,2]}}", 2, "axis 0"},
        {"{\"w\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,4]}}", 4, "axis 1"},
        {"{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,8]}}", 8, "8 bytes"},
        {"{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 2, "data_offsets"},
        {"{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]}}", 4, "data_offsets"},
        {"{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[1,5]}}", 5, "gap"},
        {"{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 6, "no tensor"},
        {"{\"w\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},"
         "\"v\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[1,3]}}",
         3, "overlap"},
        {"{\"w\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
         "\"w\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}",
         2, "twice"},
    };
    (void)state;
    safetensors s;
    char message[256];
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        message[0] = '\0';
        if (parse(rows[i].header, rows[i].data, &s, message, sizeof message))
            fail_msg("%s was taken", rows[i].header);
        if (strstr(message, rows[i].word) == NULL)
            fail_msg("%s: the message does not say %s: %s", rows[i].header, rows[i].word, message);
    }
    assert_true(parse("{\"__metadata__\":{\"a\":\"b\"},\"w\":{\"dtype\":\"BF16\",\"shape\":[],"
                      "\"data_offsets\":[0,2]}}  ",
                      2, &s, message, sizeof message));
    assert_int_equal(s.count, 1);
    assert_int_equal(safetensors_find(&s, "w")->count, 1);
    assert_true(safetensors_get(&s.entry[0], 0) == 0.0);
    safetensors_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_come_back),
        cmocka_unit_test(folders_come_back),
        cmocka_unit_test(numbers_must_be_finite),
        cmocka_unit_test(what_is_not_sound_is_refused),
    };
    return cmocka_run_group_tests_name("weights", tests, make_folder, remove_folder);
}
