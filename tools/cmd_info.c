/* SPDX-License-Identifier: BSD-3-Clause */
/* longconv info: what this build can do on this machine. */
#include "command.h"

#include "support/record.h"

#include <cjson/cJSON.h>

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char help[] = "Usage: longconv info [--json]\n"
                           "       longconv info --mixer NAME\n\n"
                           "Prints the version, every backend with its engines, or the reason why it is not "
                           "available, the number of\n"
                           "threads, the licence of this binary, and the sequence mixers that it has.\n\n"
                           "  --mixer NAME     describes one mixer: its formula and its options\n"
                           "  --json           one JSON object\n";

static const char licence_plain[] = "BSD-3-Clause";
static const char licence_fftw[] =
    "BSD-3-Clause sources; GPL-2.0-or-later as a binary, because it links FFTW";

static lcv_backend_info describe(lcv_context *context, int32_t index)
{
    lcv_backend_info info = {.struct_size = sizeof info};
    lcv_backend_describe(context, index, &info);
    return info;
}

/* The engines of the CPU backend say whether FFTW is linked, available here or not. */
static const char *licence(lcv_context *context)
{
    for (int32_t i = 0; i < lcv_backend_count(context); i++)
        if (strstr(describe(context, i).engines, "fftw") != NULL)
            return licence_fftw;
    return licence_plain;
}

/* Threads that one execution uses by default: what a small plan reports. */
static int32_t default_threads(lcv_context *context)
{
    lcv_conv_params params = LCV_CONV_PARAMS_INIT;
    lcv_plan_info info = {.struct_size = sizeof info};
    params.batch = 1;
    params.channels = 4096;
    params.seqlen = params.filter_len = 1024;
    return lcv_conv_query(context, &params, &info) == LCV_OK ? info.threads : 0;
}

static void print_text(lcv_context *context)
{
    printf("longconv %s\nlicence  %s\nthreads  %d used, %ld CPUs online\n", lcv_version_text(),
           licence(context), default_threads(context), sysconf(_SC_NPROCESSORS_ONLN));
    for (int32_t i = 0; i < lcv_backend_count(context); i++) {
        const lcv_backend_info info = describe(context, i);
        printf("backend  %s: %s\n", info.name, info.available ? "available" : info.reason);
        if (info.description[0] != '\0')
            printf("         %s\n", info.description);
        if (info.engines[0] != '\0')
            printf("         engines: %s\n", info.engines);
        printf("         %s\n", info.origin);
    }
    for (int32_t i = 0; i < lcv_mixer_count(); i++) {
        lcv_mixer_info info = {.struct_size = sizeof info};
        if (lcv_mixer_describe(i, &info) == LCV_OK)
            printf("mixer    %s: %s\n", info.name, info.summary);
    }
}

static void print_option(const lcv_option_info *option)
{
    printf("  %-16s %s", option->name, option->help);
    if (option->type == LCV_OPTION_CHOICE)
        printf(" (%s)", option->choices);
    printf(" [%s]\n", option->default_text);
}

static int print_mixer(const char *name)
{
    const int32_t mixer = lcv_mixer_find(name);
    lcv_mixer_info info = {.struct_size = sizeof info};
    lcv_option_info option = {.struct_size = sizeof option};
    if (lcv_mixer_describe(mixer, &info) != LCV_OK)
        return command_fail(EXIT_USAGE, "info: --mixer: '%s': there is no mixer of this name", name);
    printf("%s: %s\n  %s\n  %s\noptions, with their defaults\n", info.name, info.summary, info.formula,
           info.source);
    for (int32_t i = 0; i < info.option_count; i++)
        if (lcv_mixer_option(mixer, i, &option) == LCV_OK)
            print_option(&option);
    return EXIT_FINE;
}

static cJSON *backend_json(const lcv_backend_info *info)
{
    cJSON *object = cJSON_CreateObject();
    record_add_text(object, "name", info->name);
    cJSON_AddBoolToObject(object, "available", info->available);
    record_add_text(object, "reason", info->reason);
    record_add_text(object, "description", info->description);
    record_add_text(object, "engines", info->engines);
    record_add_text(object, "origin", info->origin);
    record_add_text(object, "device", info->device == LCV_DEVICE_CUDA ? "cuda" : "cpu");
    cJSON_AddBoolToObject(object, "concurrent", info->concurrent);
    return object;
}

static bool print_json(lcv_context *context)
{
    cJSON *object = cJSON_CreateObject();
    record_add_text(object, "version", lcv_version_text());
    record_add_text(object, "licence", licence(context));
    record_add_number(object, "threads", default_threads(context));
    record_add_number(object, "cpus", (double)sysconf(_SC_NPROCESSORS_ONLN));
    cJSON *backends = cJSON_AddArrayToObject(object, "backends");
    for (int32_t i = 0; i < lcv_backend_count(context); i++) {
        const lcv_backend_info info = describe(context, i);
        cJSON_AddItemToArray(backends, backend_json(&info));
    }
    cJSON *mixers = cJSON_AddArrayToObject(object, "mixers");
    for (int32_t i = 0; i < lcv_mixer_count(); i++) {
        lcv_mixer_info info = {.struct_size = sizeof info};
        if (lcv_mixer_describe(i, &info) == LCV_OK)
            cJSON_AddItemToArray(mixers, cJSON_CreateString(info.name));
    }
    return record_print(object);
}

static int run(int argc, char **argv)
{
    static const struct option options[] = {{"json", no_argument, NULL, 'j'},
                                            {"mixer", required_argument, NULL, 'm'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    const char *mixer = NULL;
    bool json = false, fine = true;
    for (int option; (option = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        if (option == 'h')
            return command_help(&command_info);
        if (option != 'j' && option != 'm')
            return command_usage(&command_info);
        json = json || option == 'j';
        mixer = option == 'm' ? optarg : mixer;
    }
    if (optind < argc)
        return command_fail(EXIT_USAGE, "info: '%s': takes no arguments", argv[optind]);
    if (mixer != NULL)
        return print_mixer(mixer);
    lcv_context *context = command_context(0);
    if (context == NULL)
        return EXIT_WRONG;
    if (json)
        fine = print_json(context);
    else
        print_text(context);
    lcv_context_destroy(&context);
    return fine ? EXIT_FINE : command_fail(EXIT_WRONG, "out of memory");
}

const command command_info = {"info", "what this build can do on this machine", help, run};
