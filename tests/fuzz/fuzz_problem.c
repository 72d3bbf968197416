/* SPDX-License-Identifier: BSD-3-Clause */
/* Fuzz target: the reader of problem lines. What it accepts prints as a line that means the same; what it
 * refuses gets a message. */
#include "fuzz_input.h"

#include "problem.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    char message[256] = "", printed[PROBLEM_TEXT_MAX], again[PROBLEM_TEXT_MAX];
    problem first, second;
    char *text = malloc(size + 1);
    FUZZ_REQUIRE(text != NULL);
    memcpy(text, bytes, size);
    text[size] = '\0';
    if (problem_parse(text, &first, message, sizeof message)) {
        problem_print(&first, true, printed);
        FUZZ_REQUIRE(problem_parse(printed, &second, message, sizeof message));
        FUZZ_REQUIRE(strcmp(printed, problem_print(&second, true, again)) == 0);
    } else {
        FUZZ_REQUIRE(message[0] != '\0' && memchr(message, '\0', sizeof message) != NULL);
    }
    free(text);
    return 0;
}
