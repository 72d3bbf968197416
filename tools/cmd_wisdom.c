/* SPDX-License-Identifier: BSD-3-Clause */
/* longconv wisdom: keeps what planning by measuring learns, and checks what was kept. */
#include "command.h"

#include "support/file.h"
#include "support/interrupt.h"
#include "support/problem_list.h"
#include "support/progress.h"
#include "support/wisdom.h"

#include <getopt.h>
#include <stdio.h>

static const char help[] =
    "Usage: longconv wisdom --export FILE [--wisdom OLD] PROBLEM...\n"
    "       longconv wisdom --check FILE\n\n"
    "Makes the plans of each problem by measuring and writes what was learnt to FILE, for --wisdom of\n"
    "'longconv bench' and 'longconv run' and for lcv_planning_import: plans of these problems are then made\n"
    "without measuring again. A problem is written as for 'longconv verify'; one that names neither "
    "backend=\n"
    "nor engine= is planned with backend=cpu engine=fftw, the engine that learns.\n\n"
    "What was learnt serves this machine and this build of FFTW. FFTW's system-wide file is never read.\n\n"
    "  --export FILE    plans, then writes FILE\n"
    "  --wisdom OLD     reads OLD first, so that FILE has its contents too\n"
    "  --check FILE     is FILE whole, sound, and for this build of FFTW? Writes nothing\n";

typedef struct {
    const char *export, *check, *wisdom;
    problem_list problems;
} job;

static bool learn(lcv_context *context, const problem *p)
{
    char text[PROBLEM_TEXT_MAX];
    progress_show("measuring %s", problem_print(p, true, text));
    const lcv_status status = wisdom_learn(context, p);
    progress_clear();
    if (status != LCV_OK)
        command_fail(0, "wisdom: %s: %s: %s", text, lcv_status_text(status), lcv_context_message(context));
    else if (interrupted())
        command_fail(0, "interrupted");
    return status == LCV_OK && !interrupted();
}

static int export_all(lcv_context *context, const job *j)
{
    char message[640];
    /* Known before measuring, not after it. */
    if (!file_can_write(j->export, message, sizeof message))
        return command_fail(EXIT_WRONG, "--export: %s", message);
    if (!command_wisdom_import(context, j->wisdom))
        return EXIT_WRONG;
    for (size_t i = 0; i < j->problems.count; i++)
        if (!learn(context, &j->problems.items[i]))
            return EXIT_WRONG;
    if (!wisdom_export(context, j->export, message, sizeof message))
        return command_fail(EXIT_WRONG, "--export: %s", message);
    return EXIT_FINE;
}

static int check(lcv_context *context, const char *path)
{
    char message[640];
    if (!wisdom_import(context, path, message, sizeof message))
        return command_fail(EXIT_WRONG, "--check: %s", message);
    printf("%s: sound, and for this build\n", path);
    return EXIT_FINE;
}

static int run_job(const job *j)
{
    if ((j->export == NULL) == (j->check == NULL))
        return command_fail(EXIT_USAGE, "wisdom: expected one of --export FILE and --check FILE");
    if (j->check != NULL && (j->problems.count > 0 || j->wisdom != NULL))
        return command_fail(EXIT_USAGE, "wisdom: --check takes nothing more");
    if (j->export != NULL && j->problems.count == 0)
        return command_fail(EXIT_USAGE, "wisdom: no problem is given; try 'longconv help wisdom'");
    lcv_context *context = command_context(0);
    if (context == NULL)
        return EXIT_WRONG;
    const int code = j->check != NULL ? check(context, j->check) : export_all(context, j);
    lcv_context_destroy(&context);
    return code;
}

/* False: a message was printed, or help is wanted. */
static bool take_option(int option, job *j, int *code)
{
    *code = EXIT_USAGE;
    switch (option) {
    case 'e':
        j->export = optarg;
        return true;
    case 'c':
        j->check = optarg;
        return true;
    case 'w':
        j->wisdom = optarg;
        return true;
    case 'h':
        *code = command_help(&command_wisdom);
        return false;
    default:
        command_usage(&command_wisdom);
        return false;
    }
}

static int run(int argc, char **argv)
{
    static const struct option options[] = {
        {"export", required_argument, NULL, 'e'},
        {"check", required_argument, NULL, 'c'},
        {"wisdom", required_argument, NULL, 'w'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    job j = {0};
    char message[512];
    int code;
    for (int option; (option = getopt_long(argc, argv, "h", options, NULL)) != -1;)
        if (!take_option(option, &j, &code))
            return code;
    if (problem_list_add_arguments(&j.problems, argv + optind, argc - optind, message, sizeof message))
        code = run_job(&j);
    else
        code = command_fail(EXIT_USAGE, "wisdom: %s", message);
    problem_list_free(&j.problems);
    return code;
}

const command command_wisdom = {"wisdom", "keeps what planning by measuring learns", help, run};
