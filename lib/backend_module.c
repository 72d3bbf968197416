/* SPDX-License-Identifier: BSD-3-Clause */
/* The loader of backend modules. A module that was opened stays in the process: unloading a CUDA library is
 * not safe. Every failure becomes the reason with which the backend is listed. */
#define _GNU_SOURCE
#include "backend.h"
#include "log.h"

#include <dirent.h>
#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define PREFIX "longconv-"
#define SUFFIX ".so"

enum { PATH_SIZE = 4096 };

static bool has_suffix(const char *text, const char *suffix)
{
    size_t length = strlen(text), tail = strlen(suffix);
    return length >= tail && strcmp(text + length - tail, suffix) == 0;
}

/* "…/longconv-NAME.so" to NAME; another file name as it is. */
static void name_from_file(const char *file, char *name, size_t size)
{
    const char *slash = strrchr(file, '/');
    const char *base = slash != NULL ? slash + 1 : file;
    size_t prefix = strncmp(base, PREFIX, strlen(PREFIX)) == 0 ? strlen(PREFIX) : 0;
    size_t length = strlen(base + prefix);
    if (has_suffix(base, SUFFIX) && length >= strlen(SUFFIX))
        length -= strlen(SUFFIX);
    snprintf(name, size, "%.*s", (int)length, base + prefix);
}

static lcv_backend_entry_fn entry_of(void *library)
{
    lcv_backend_entry_fn entry = NULL;
    void *symbol = dlsym(library, LCV_BACKEND_ENTRY_NAME);
    _Static_assert(sizeof entry == sizeof symbol, "POSIX: a function pointer fits a data pointer");
    memcpy(&entry, &symbol, sizeof entry);
    return entry;
}

static lcv_status open_file(lcv_context *context, const char *file, lcv_device_kind device)
{
    char name[LCVI_NAME_SIZE];
    name_from_file(file, name, sizeof name);
    void *library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        const char *error = dlerror();
        return lcvi_backend_add(context, NULL, name, device, file,
                                error != NULL ? error : "the module does not open");
    }
    lcv_backend_entry_fn entry = entry_of(library);
    if (entry == NULL)
        return lcvi_backend_add(context, NULL, name, device, file,
                                "the module lacks the symbol " LCV_BACKEND_ENTRY_NAME);
    const lcv_backend *table = entry();
    return lcvi_backend_add(context, table, name, device, file,
                            table != NULL ? "" : "the module has no table");
}

static lcv_status open_from_path(lcv_context *context, const char *file)
{
    if (context->backend_count < LCVI_MAX_FROM_PATH)
        return open_file(context, file, LCV_DEVICE_CPU);
    lcvi_log(context, LCV_LOG_WARN, "backend path: %s is ignored: there are %d modules already", file,
             LCVI_MAX_FROM_PATH);
    return LCV_OK;
}

static int is_module(const struct dirent *entry)
{
    return strncmp(entry->d_name, PREFIX, strlen(PREFIX)) == 0 && has_suffix(entry->d_name, SUFFIX);
}

/* The first module of `folder` in alphabetical order that comes after `previous`; false when there is none.
 */
static bool next_module(const char *folder, char *previous, size_t size)
{
    char best[NAME_MAX + 1] = "";
    DIR *listing = opendir(folder);
    if (listing == NULL)
        return false;
    for (const struct dirent *entry = readdir(listing); entry != NULL; entry = readdir(listing)) {
        bool is_next = is_module(entry) && strcmp(entry->d_name, previous) > 0;
        if (is_next && (best[0] == '\0' || strcmp(entry->d_name, best) < 0))
            snprintf(best, sizeof best, "%s", entry->d_name);
    }
    closedir(listing);
    snprintf(previous, size, "%s", best);
    return best[0] != '\0';
}

static lcv_status open_folder(lcv_context *context, const char *folder)
{
    char name[NAME_MAX + 1] = "";
    char file[PATH_SIZE];
    lcv_status status = LCV_OK;
    while (status == LCV_OK && next_module(folder, name, sizeof name)) {
        int length = snprintf(file, sizeof file, "%s/%s", folder, name);
        if (length > 0 && (size_t)length < sizeof file)
            status = open_from_path(context, file);
    }
    return status;
}

static lcv_status open_place(lcv_context *context, const char *place)
{
    struct stat facts;
    if (stat(place, &facts) != 0) {
        lcvi_log(context, LCV_LOG_WARN, "backend path: %s does not exist", place);
        return LCV_OK;
    }
    return S_ISDIR(facts.st_mode) ? open_folder(context, place) : open_from_path(context, place);
}

lcv_status lcvi_modules_open_path(lcv_context *context, const char *path)
{
    char place[PATH_SIZE];
    lcv_status status = LCV_OK;
    while (status == LCV_OK && path != NULL && *path != '\0') {
        size_t length = strcspn(path, ":");
        if (length >= sizeof place) {
            lcvi_log(context, LCV_LOG_WARN, "backend path: an entry of %zu characters is ignored", length);
        } else if (length > 0) {
            snprintf(place, sizeof place, "%.*s", (int)length, path);
            status = open_place(context, place);
        }
        path += length + (path[length] == ':');
    }
    return status;
}

/* The folder "longconv" beside the file that holds this library. */
static bool folder_beside_library(char *folder, size_t size)
{
    static const char anchor;
    Dl_info info;
    if (dladdr(&anchor, &info) == 0 || info.dli_fname == NULL)
        return false;
    const char *slash = strrchr(info.dli_fname, '/');
    int directory = slash != NULL ? (int)(slash - info.dli_fname) : 1;
    int length = snprintf(folder, size, "%.*s/longconv", directory, slash != NULL ? info.dli_fname : ".");
    return length > 0 && (size_t)length < size;
}

static bool module_in(const char *folder, const char *name, char *file, size_t size)
{
    struct stat facts;
    int length = snprintf(file, size, "%s/" PREFIX "%s" SUFFIX, folder, name);
    return length > 0 && (size_t)length < size && stat(file, &facts) == 0;
}

lcv_status lcvi_module_open_named(lcv_context *context, const char *name, lcv_device_kind device)
{
    char folder[PATH_SIZE], file[PATH_SIZE], reason[LCVI_MESSAGE_SIZE];
    if (lcvi_backend_known(context, name))
        return LCV_OK; /* the search path had it */
    bool beside = folder_beside_library(folder, sizeof folder);
    if ((beside && module_in(folder, name, file, sizeof file)) ||
        module_in(LCVI_MODULE_DIR, name, file, sizeof file))
        return open_file(context, file, device);
    snprintf(reason, sizeof reason, "the module " PREFIX "%s" SUFFIX " is not installed", name);
    return lcvi_backend_add(context, NULL, name, device, "", reason);
}
