/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading of the text files that make_vectors.py writes. */
#include "vector_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct word_value {
    const char *word;
    int value;
} word_value;

typedef struct size_field {
    const char *word;
    size_t offset;
} size_field;

static const word_value modes[] = {{"causal", LCV_CONV_CAUSAL},
                                   {"anticausal", LCV_CONV_ANTICAUSAL},
                                   {"twosided", LCV_CONV_TWOSIDED},
                                   {"circular", LCV_CONV_CIRCULAR},
                                   {NULL, 0}};
static const word_value forms[] = {{"per_channel", LCV_FILTER_PER_CHANNEL},
                                   {"shared", LCV_FILTER_SHARED},
                                   {"grouped", LCV_FILTER_GROUPED},
                                   {"per_sample", LCV_FILTER_PER_SAMPLE},
                                   {NULL, 0}};
static const word_value activations[] = {{"none", LCV_ACTIVATION_NONE},
                                         {"gelu", LCV_ACTIVATION_GELU},
                                         {"gelu_tanh", LCV_ACTIVATION_GELU_TANH},
                                         {"silu", LCV_ACTIVATION_SILU},
                                         {NULL, 0}};
static const word_value terms[] = {{"skip", LCV_TERM_SKIP},         {"bias", LCV_TERM_BIAS},
                                   {"pre_gate", LCV_TERM_PRE_GATE}, {"post_gate", LCV_TERM_POST_GATE},
                                   {"state", LCV_TERM_STATE},       {NULL, 0}};
static const size_field sizes[] = {{"batch", offsetof(lcv_conv_params, batch)},
                                   {"channels", offsetof(lcv_conv_params, channels)},
                                   {"seqlen", offsetof(lcv_conv_params, seqlen)},
                                   {"filter_len", offsetof(lcv_conv_params, filter_len)},
                                   {"filter_future_len", offsetof(lcv_conv_params, filter_future_len)},
                                   {"future_first_lag", offsetof(lcv_conv_params, future_first_lag)},
                                   {"filter_groups", offsetof(lcv_conv_params, filter_groups)},
                                   {NULL, 0}};

static void broken(const char *what, const char *given)
{
    fprintf(stderr, "reference vector: %s: \"%s\"\n", what, given != NULL ? given : "");
    exit(1);
}

static int look_up(const word_value *table, const char *word)
{
    for (; table->word != NULL; table++)
        if (strcmp(table->word, word) == 0)
            return table->value;
    broken("unknown word", word);
    return 0;
}

static void set_size(lcv_conv_params *params, const char *name, const char *value)
{
    int64_t number = strtoll(value, NULL, 10);
    for (const size_field *field = sizes; field->word != NULL; field++)
        if (strcmp(field->word, name) == 0) {
            memcpy((char *)params + field->offset, &number, sizeof number);
            return;
        }
    broken("unknown field", name);
}

static void set_field(vector_file *file, const char *name, const char *value)
{
    if (name == NULL || value == NULL)
        broken("a field without a value", name);
    else if (strcmp(name, "mode") == 0)
        file->params.mode = (lcv_conv_mode)look_up(modes, value);
    else if (strcmp(name, "form") == 0)
        file->params.filter_form = (lcv_filter_form)look_up(forms, value);
    else if (strcmp(name, "activation") == 0)
        file->params.activation = (lcv_activation)look_up(activations, value);
    else if (strcmp(name, "term") == 0)
        file->params.terms |= (uint32_t)look_up(terms, value);
    else if (strcmp(name, "backward") == 0)
        file->backward = strcmp(value, "1") == 0;
    else
        set_size(&file->params, name, value);
}

/* Begins an array: "NAME [SCALE] SHAPE..." with strtok in the middle of the line. */
static vector_array *begin_array(vector_file *file, bool is_output)
{
    const char *word = strtok(NULL, " \n");
    vector_array *array = &file->arrays[file->arrays_count];
    if (word == NULL || strlen(word) >= sizeof array->name || file->arrays_count == VECTOR_MAX_ARRAYS)
        broken("an array without a name, or too many", word);
    file->arrays_count++;
    strcpy(array->name, word);
    array->is_output = is_output;
    if (is_output)
        array->scale = strtod(strtok(NULL, " \n"), NULL);
    array->count = 1;
    while ((word = strtok(NULL, " \n")) != NULL && array->rank < LCV_MAX_RANK) {
        array->shape[array->rank] = strtoll(word, NULL, 10);
        array->count *= array->shape[array->rank++];
    }
    array->values = calloc((size_t)array->count + 1, sizeof(double));
    if (array->values == NULL)
        broken("out of memory", array->name);
    return array;
}

/* Appends the numbers of a line, of which `word` is the first; returns how many the array has then. */
static int64_t add_numbers(vector_array *array, int64_t filled, const char *word)
{
    for (; word != NULL; word = strtok(NULL, " \n")) {
        if (array == NULL || filled >= array->count) {
            broken("a number too many", word);
            return 0;
        }
        array->values[filled++] = strtod(word, NULL);
    }
    return filled;
}

static void read_lines(vector_file *file, FILE *stream)
{
    char line[512];
    vector_array *array = NULL;
    int64_t filled = 0;
    while (fgets(line, sizeof line, stream) != NULL) {
        const char *word = strtok(line, " \n");
        if (word == NULL || word[0] == '#')
            continue;
        bool starts = strcmp(word, "in") == 0 || strcmp(word, "out") == 0;
        if (starts && array != NULL && filled != array->count)
            broken("numbers are missing", array->name);
        if (strcmp(word, "set") == 0) {
            const char *name = strtok(NULL, " \n");
            set_field(file, name, strtok(NULL, " \n"));
        } else if (starts) {
            array = begin_array(file, strcmp(word, "out") == 0);
            filled = 0;
        } else {
            filled = add_numbers(array, filled, word);
        }
    }
    if (array == NULL || filled != array->count)
        broken("the file ends early", array != NULL ? array->name : "no array");
}

void vector_file_read(vector_file *file, const char *path)
{
    const lcv_conv_params defaults = LCV_CONV_PARAMS_INIT;
    FILE *stream = fopen(path, "r");
    memset(file, 0, sizeof *file);
    file->params = defaults;
    if (stream == NULL) {
        broken("cannot open", path);
        return;
    }
    read_lines(file, stream);
    fclose(stream);
}

void vector_file_free(vector_file *file)
{
    for (int i = 0; i < file->arrays_count; i++)
        free(file->arrays[i].values);
}
