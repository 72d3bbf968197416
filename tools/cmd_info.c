/* SPDX-License-Identifier: BSD-3-Clause */
/* longconv info: what this build can do on this machine. */
#include "command.h"

#include "support/record.h"

#include <cjson/cJSON.h>

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char help[] = "Usage: longconv info [--json]\n\n"
                           "Prints the version, every backend with its engines, or the reason why it is not "
                           "available, the number of\n"
                           "threads, and the licence of this binary.\n";

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
    return record_print(object);
}

static int run(int argc, char **argv)
{
    static const struct option options[] = {
        {"json", no_argument, NULL, 'j'}, {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
    bool json = false, fine = true;
    for (int option; (option = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        if (option == 'h')
            return command_help(&command_info);
        if (option != 'j')
            return command_usage(&command_info);
        json = true;
    }
    if (optind < argc)
        return command_fail(EXIT_USAGE, "info: '%s': takes no arguments", argv[optind]);
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
