/* SPDX-License-Identifier: BSD-3-Clause */
/* Fuzz target: the reader of what measured planning learnt. The first byte says what the rest is: 'r' the
 * whole text; 'f' or 'd' the entries of the float32 or float64 part, which get the opening line of this
 * build's FFTW, right lengths and checksums, and so meet the checks behind these. What is refused gets a
 * message and leaves planning as it was; FFTW never sees what makes it abort. */
#include "fuzz_input.h"
#include "../support/planning.h"

#include <longconv/longconv.h>
#ifdef LONGCONV_HAVE_FFTW
#include <fftw3.h>
#endif
#include <string.h>

static lcv_context *context;
static char *empty; /* the text of nothing learnt */

static void forget(void)
{
#ifdef LONGCONV_HAVE_FFTW
    fftwf_forget_wisdom();
    fftw_forget_wisdom();
#endif
}

/* NULL: this build has nothing to learn. */
static char *export_all(void)
{
    size_t size = 0;
    if (lcv_planning_export(context, "cpu", NULL, 0, &size) != LCV_OK)
        return NULL;
    char *text = malloc(size);
    FUZZ_REQUIRE(text != NULL);
    FUZZ_REQUIRE(lcv_planning_export(context, "cpu", text, size, &size) == LCV_OK);
    return text;
}

static void import(const char *text, size_t length)
{
    const lcv_status status = lcv_planning_import(context, "cpu", text, length);
    if (status == LCV_OK) {
        char *after = export_all();
        FUZZ_REQUIRE(lcv_planning_import(context, "cpu", after, strlen(after)) == LCV_OK);
        free(after);
        forget();
        return;
    }
    FUZZ_REQUIRE(status == LCV_INVALID_ARG || status == LCV_VERSION_MISMATCH ||
                 status == LCV_BACKEND_FAILED || empty == NULL);
    FUZZ_REQUIRE(lcv_context_message(context)[0] != '\0');
    if (status == LCV_BACKEND_FAILED) { /* of the others FFTW has seen nothing */
        char *after = export_all();
        FUZZ_REQUIRE(strcmp(after, empty) == 0);
        free(after);
    }
}

static void import_entries(const uint8_t *bytes, size_t size, int part)
{
    test_planning_parts parts = test_planning_split(empty);
    const char *newline = memchr(parts.bytes[part], '\n', parts.length[part]);
    const size_t head = (size_t)(newline - parts.bytes[part]) + 1, room = 2 * strlen(empty) + size + 256;
    char *body = malloc(head + size + 1), *text = malloc(room);
    FUZZ_REQUIRE(body != NULL && text != NULL);
    memcpy(body, parts.bytes[part], head);
    memcpy(body + head, bytes, size);
    parts.bytes[part] = body;
    parts.length[part] = head + size;
    const size_t length = test_planning_join(&parts, text, room);
    FUZZ_REQUIRE(length > 0);
    import(text, length);
    free(body);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (context == NULL) {
        FUZZ_REQUIRE(lcv_context_create(NULL, &context) == LCV_OK);
        forget();
        empty = export_all();
    }
    if (size == 0 || empty == NULL || bytes[0] == 'r')
        import((const char *)bytes + (size > 0), size - (size > 0));
    else
        import_entries(bytes + 1, size - 1, bytes[0] == 'd');
    return 0;
}
