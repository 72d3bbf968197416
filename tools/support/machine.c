/* SPDX-License-Identifier: BSD-3-Clause */
#include "machine.h"

#ifdef LONGCONV_HAVE_FFTW
#include <fftw3.h>
#endif

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

static void read_model(char *name)
{
    char line[256];
    FILE *file = fopen("/proc/cpuinfo", "r");
    if (file == NULL)
        return;
    while (name[0] == '\0' && fgets(line, sizeof line, file) != NULL) {
        const char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) == 0 && colon != NULL)
            snprintf(name, MACHINE_NAME_MAX, "%.*s", (int)strcspn(colon + 2, "\n"), colon + 2);
    }
    fclose(file);
}

const char *machine_name(char *name)
{
    struct utsname system;
    name[0] = '\0';
    read_model(name);
    if (name[0] == '\0' && uname(&system) == 0)
        snprintf(name, MACHINE_NAME_MAX, "%s", system.machine);
    return name;
}

const char *machine_compiler(void)
{
#ifdef __clang__
    return "clang " __clang_version__;
#else
    return "gcc " __VERSION__;
#endif
}

const char *machine_fftw(void)
{
#ifdef LONGCONV_HAVE_FFTW
    return fftwf_version;
#else
    return "";
#endif
}

long machine_cpus(void)
{
    return sysconf(_SC_NPROCESSORS_ONLN);
}
