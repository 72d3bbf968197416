/* SPDX-License-Identifier: BSD-3-Clause */
/* problem_list.h: problems collected from arguments and files. */
#ifndef SUPPORT_PROBLEM_LIST_H
#define SUPPORT_PROBLEM_LIST_H

#include "problem.h"

typedef struct problem_list {
    problem *items;
    size_t count;
} problem_list;

/* Adds the problems of arguments. One problem may be one argument or several: a word with '=' and without ':'
 * belongs to the problem before it. False: `message` says which word is wrong. */
bool problem_list_add_arguments(problem_list *list, char *const *arguments, int count, char *message,
                                size_t message_bytes);

/* Adds one problem per line of a file, "-" is standard input; '#' begins a comment. */
bool problem_list_add_file(problem_list *list, const char *path, char *message, size_t message_bytes);

void problem_list_free(problem_list *list);

#endif
