/* SPDX-License-Identifier: BSD-3-Clause */
/* command.h: what the subcommands share: exit codes, messages, the context. */
#ifndef TOOLS_COMMAND_H
#define TOOLS_COMMAND_H

#include <longconv/longconv.h>

#include <stdbool.h>

enum { EXIT_FINE = 0, EXIT_WRONG = 1, EXIT_USAGE = 2 };

typedef struct command {
    const char *name;
    const char *summary;
    const char *help;
    int (*run)(int argc, char **argv); /* argv[0] is the name; returns an exit code */
} command;

/* One row of commands.inc each, defined in cmd_NAME.c. */
#define COMMAND(name) extern const command command_##name;
#include "commands.inc"
#undef COMMAND

/* Prints "longconv: ..." to stderr and returns `code`. */
LCV_PRINTF(2, 3) int command_fail(int code, const char *format, ...);

/* A usage error of subcommand `name`, whose message getopt_long has printed. */
int command_usage(const command *self);

/* Prints the help of a subcommand; returns EXIT_FINE. */
int command_help(const command *self);

/* Reads a whole number in [least, most] given to `option`; prints what is wrong. */
bool command_number(const char *option, const char *text, long long least, long long most, long long *out);

/* The same for a decimal number above 0. */
bool command_seconds(const char *option, const char *text, double *out);

/* A context with `threads` (0: default). NULL: a message was printed. */
lcv_context *command_context(int32_t threads);

/* Imports what `--wisdom path` names, if it is not NULL; prints what is wrong. */
bool command_wisdom_import(lcv_context *context, const char *path);

/* Closes stdout; a failed write is an error. Returns `code`, or EXIT_WRONG. */
int command_finish(int code);

#endif
