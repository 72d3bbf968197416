/* SPDX-License-Identifier: BSD-3-Clause */
/* The command longconv: finds the subcommand and runs it. */
#include "command.h"

#include "support/interrupt.h"

#include <stdio.h>
#include <string.h>

static const command *const commands[] = {
#define COMMAND(name) &command_##name,
#include "commands.inc"
#undef COMMAND
};

enum { COMMAND_COUNT = sizeof commands / sizeof commands[0] };

static void print_help(FILE *out)
{
    fputs("longconv: long convolutions from the command line\n\n"
          "Usage: longconv COMMAND [OPTION...] [ARGUMENT...]\n\n",
          out);
    for (int i = 0; i < COMMAND_COUNT; i++)
        fprintf(out, "  %-8s %s\n", commands[i]->name, commands[i]->summary);
    fputs(
        "  help     what a command does and takes: longconv help COMMAND\n\n"
        "  --help, --version\n\n"
        "Data goes to standard output, messages to standard error. Exit status: 0 all right, 1 something is\n"
        "wrong or does not match, 2 wrong usage.\n",
        out);
}

static const command *find(const char *name)
{
    for (int i = 0; i < COMMAND_COUNT; i++)
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    return NULL;
}

static int help(int argc, char **argv)
{
    if (argc < 3) {
        print_help(stdout);
        return EXIT_FINE;
    }
    const command *wanted = find(argv[2]);
    if (wanted == NULL)
        return command_fail(EXIT_USAGE, "help: '%s' is not a command", argv[2]);
    return command_help(wanted);
}

static int dispatch(int argc, char **argv)
{
    if (argc < 2) {
        print_help(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        return help(argc, argv);
    if (strcmp(argv[1], "--version") == 0) {
        printf("longconv %s\n", lcv_version_text());
        return EXIT_FINE;
    }
    const command *wanted = find(argv[1]);
    if (wanted == NULL)
        return command_fail(EXIT_USAGE, "'%s' is not a command; try 'longconv --help'", argv[1]);
    return wanted->run(argc - 1, argv + 1);
}

int main(int argc, char **argv)
{
    interrupt_watch();
    return command_finish(dispatch(argc, argv));
}
