/* SPDX-License-Identifier: BSD-3-Clause */
/* Vectors that reference implementations computed: `test_golden FOLDER` runs the cases of FOLDER, one folder
 * each with meta.json (its "system" says what it is) and .npy files, forward and backward, in float64 and
 * float32, on every backend and engine. Systems that are more than a convolution are counted as unsupported.
 * Exit status: 0, 1 when a case failed, 77 (a skipped test) when there is nothing to read. */
#include "golden_case.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_SKIPPED = 77 };

static int is_case(const struct dirent *entry)
{
    return entry->d_name[0] != '.' && strchr(entry->d_name, '.') == NULL;
}

static int run_folder(const char *folder, lcv_context *context)
{
    struct dirent **entries = NULL;
    target targets[TARGETS_MAX];
    const size_t target_count = targets_list(context, true, targets);
    int counts[GOLDEN_OUTCOMES] = {0};
    const int count = scandir(folder, &entries, is_case, alphasort);
    for (int i = 0; i < count; i++) {
        golden_case c;
        golden_outcome outcome = golden_read(folder, entries[i]->d_name, &c);
        if (outcome == GOLDEN_PASSED)
            outcome = golden_run(targets, target_count, &c);
        if (outcome == GOLDEN_UNSUPPORTED)
            printf("UNSUPPORTED %s: %s\n", entries[i]->d_name, c.message);
        else
            printf("%s %s%s%s\n", outcome == GOLDEN_PASSED ? "passed" : "FAILED", entries[i]->d_name,
                   c.message[0] != '\0' ? ": " : "", c.message);
        counts[outcome]++;
        golden_free(&c);
        free(entries[i]);
    }
    free(entries);
    if (count <= 0) {
        printf("SKIPPED: there are no golden vectors in '%s'\n", folder);
        return EXIT_SKIPPED;
    }
    printf("%d passed, %d failed, %d unsupported\n", counts[GOLDEN_PASSED], counts[GOLDEN_FAILED],
           counts[GOLDEN_UNSUPPORTED]);
    return counts[GOLDEN_FAILED] > 0;
}

int main(int argc, char **argv)
{
    lcv_context *context = NULL;
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc < 2 || argv[1][0] == '\0') {
        printf("SKIPPED: no golden vectors; name their folder, or configure with -Dgolden_dir=FOLDER\n");
        return EXIT_SKIPPED;
    }
    if (lcv_context_create(NULL, &context) != LCV_OK) {
        fprintf(stderr, "lcv_context_create: %s\n", lcv_context_message(NULL));
        return 1;
    }
    const int result = run_folder(argv[1], context);
    lcv_context_destroy(&context);
    return result;
}
