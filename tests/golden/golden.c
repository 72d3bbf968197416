/* SPDX-License-Identifier: BSD-3-Clause */
/* Vectors that reference implementations computed: `golden FOLDER` runs the cases of FOLDER, one folder each
 * with meta.json (its "system" says what it is) and .npy files, through the public interface, forward and
 * backward, in float64 and float32, and prints the largest relative error of each. Systems that are not in
 * golden_systems.inc are counted as unsupported. A documented difference is a case whose reference computes
 * something that it does not mean: the runner checks that the library does differ, and says in what. The last
 * line is "N passed, N failed, N unsupported, N documented differences".
 * Exit status: 0, 1 when a case failed, 77 (a skipped test) when there is nothing to read. */
#include "golden_case.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_SKIPPED = 77 };

static const golden_system systems[] = {
#define GOLDEN_SYSTEM(system, needs, function) {system, needs, function},
#include "golden_systems.inc"
#undef GOLDEN_SYSTEM
};

static int is_case(const struct dirent *entry)
{
    return entry->d_name[0] != '.' && strchr(entry->d_name, '.') == NULL;
}

static const golden_system *find_system(const golden_case *c)
{
    for (size_t i = 0; i < sizeof systems / sizeof systems[0]; i++)
        if (strcmp(systems[i].system, c->system) == 0 &&
            (systems[i].needs == NULL || golden_find(c, systems[i].needs) != NULL))
            return &systems[i];
    return NULL;
}

static golden_outcome run_case(golden_case *c, const golden_setup *setup)
{
    const golden_system *system = find_system(c);
    if (system == NULL)
        return golden_say(c, GOLDEN_UNSUPPORTED, "%s", c->system);
    const golden_outcome outcome = system->run(c, setup, LCV_F64);
    return outcome == GOLDEN_PASSED || outcome == GOLDEN_DIFFERENT ? system->run(c, setup, LCV_F32) : outcome;
}

static void print_case(const char *name, golden_outcome outcome, const golden_case *c)
{
    static const char *const words[] = {"passed", "FAILED", "UNSUPPORTED", "documented difference"};
    if (outcome == GOLDEN_PASSED)
        printf("passed %s: f64 %.2g (%s), f32 %.2g (%s)\n", name, c->worst[LCV_F64].error,
               c->worst[LCV_F64].name, c->worst[LCV_F32].error, c->worst[LCV_F32].name);
    else
        printf("%s %s: %s\n", words[outcome], name, c->message);
}

static int run_folder(const char *folder, const golden_setup *setup)
{
    struct dirent **entries = NULL;
    int counts[GOLDEN_OUTCOMES] = {0};
    const int count = scandir(folder, &entries, is_case, alphasort);
    for (int i = 0; i < count; i++) {
        static golden_case c; /* large */
        golden_outcome outcome = golden_read(folder, entries[i]->d_name, &c);
        if (outcome == GOLDEN_PASSED)
            outcome = run_case(&c, setup);
        print_case(entries[i]->d_name, outcome, &c);
        counts[outcome]++;
        golden_free(&c);
        free(entries[i]);
    }
    free(entries);
    if (count <= 0) {
        printf("SKIPPED: there are no golden vectors in '%s'\n", folder);
        return EXIT_SKIPPED;
    }
    printf("%d passed, %d failed, %d unsupported, %d documented differences\n", counts[GOLDEN_PASSED],
           counts[GOLDEN_FAILED], counts[GOLDEN_UNSUPPORTED], counts[GOLDEN_DIFFERENT]);
    return counts[GOLDEN_FAILED] > 0;
}

int main(int argc, char **argv)
{
    golden_setup setup = {0};
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc < 2 || argv[1][0] == '\0') {
        printf("SKIPPED: no golden vectors; name their folder, or configure with -Dgolden_dir=FOLDER\n");
        return EXIT_SKIPPED;
    }
    if (lcv_context_create(NULL, &setup.context) != LCV_OK) {
        fprintf(stderr, "lcv_context_create: %s\n", lcv_context_message(NULL));
        return 1;
    }
    setup.target_count = targets_list(setup.context, true, setup.targets);
    const int result = run_folder(argv[1], &setup);
    lcv_context_destroy(&setup.context);
    return result;
}
