/* SPDX-License-Identifier: BSD-3-Clause */
#include "problem_list.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool add(problem_list *list, const char *text, char *message, size_t message_bytes)
{
    problem p;
    if (!problem_parse(text, &p, message, message_bytes))
        return false;
    problem *items = realloc(list->items, (list->count + 1) * sizeof *items);
    if (items == NULL) {
        snprintf(message, message_bytes, "out of memory");
        return false;
    }
    items[list->count++] = p;
    list->items = items;
    return true;
}

static bool continues(const char *argument)
{
    return strchr(argument, '=') != NULL && strchr(argument, ':') == NULL;
}

bool problem_list_add_arguments(problem_list *list, char *const *arguments, int count, char *message,
                                size_t message_bytes)
{
    char text[PROBLEM_TEXT_MAX];
    for (int i = 0; i < count;) {
        size_t used = (size_t)snprintf(text, sizeof text, "%s", arguments[i++]);
        while (i < count && used < sizeof text && continues(arguments[i]))
            used += (size_t)snprintf(text + used, sizeof text - used, " %s", arguments[i++]);
        if (used >= sizeof text) {
            snprintf(message, message_bytes, "'%.40s...': too long", text);
            return false;
        }
        if (!add(list, text, message, message_bytes))
            return false;
    }
    return true;
}

static bool add_lines(problem_list *list, FILE *file, const char *path, char *message, size_t message_bytes)
{
    char *line = NULL;
    size_t room = 0;
    bool fine = true;
    for (int number = 1; fine && getline(&line, &room, file) >= 0; number++) {
        char reason[256];
        line[strcspn(line, "#\n")] = '\0';
        if (line[strspn(line, " \t\r")] == '\0')
            continue;
        fine = add(list, line, reason, sizeof reason);
        if (!fine)
            snprintf(message, message_bytes, "%s, line %d: %s", path, number, reason);
    }
    if (fine && ferror(file)) {
        snprintf(message, message_bytes, "%s: %s", path, strerror(errno));
        fine = false;
    }
    free(line);
    return fine;
}

bool problem_list_add_file(problem_list *list, const char *path, char *message, size_t message_bytes)
{
    const bool is_stdin = strcmp(path, "-") == 0;
    FILE *file = is_stdin ? stdin : fopen(path, "r");
    if (file == NULL) {
        snprintf(message, message_bytes, "%s: %s", path, strerror(errno));
        return false;
    }
    const bool fine = add_lines(list, file, path, message, message_bytes);
    if (!is_stdin)
        fclose(file);
    return fine;
}

void problem_list_free(problem_list *list)
{
    free(list->items);
    *list = (problem_list){NULL, 0};
}
