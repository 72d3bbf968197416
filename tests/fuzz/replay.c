/* SPDX-License-Identifier: BSD-3-Clause */
/* Runs a fuzz target once on every file of a folder, without libFuzzer. Usage: replay_TARGET FOLDER
 * It also runs each input cut short at a few places, because readers fail at ends. */
#include "fuzz_input.h"

#include <dirent.h>
#include <string.h>
#include <sys/stat.h>

static void run_cuts(const uint8_t *bytes, size_t size)
{
    for (size_t part = 0; part <= 8; part++) {
        size_t cut = size * part / 8;
        uint8_t *copy = malloc(cut + (cut == 0)); /* of its own size: a sanitizer sees what is read beyond */
        FUZZ_REQUIRE(copy != NULL);
        memcpy(copy, bytes, cut);
        LLVMFuzzerTestOneInput(copy, cut);
        free(copy);
    }
}

static void run_file(const char *path)
{
    static uint8_t bytes[1 << 20];
    FILE *stream = fopen(path, "rb");
    FUZZ_REQUIRE(stream != NULL);
    size_t size = fread(bytes, 1, sizeof bytes, stream);
    fclose(stream);
    run_cuts(bytes, size);
}

int main(int argc, char **argv)
{
    int files = 0;
    DIR *directory = argc == 2 ? opendir(argv[1]) : NULL;
    const struct dirent *entry;
    while (directory != NULL && (entry = readdir(directory)) != NULL) {
        char path[1024];
        struct stat status;
        snprintf(path, sizeof path, "%s/%s", argv[1], entry->d_name);
        if (stat(path, &status) != 0 || !S_ISREG(status.st_mode))
            continue;
        run_file(path);
        files++;
    }
    if (directory != NULL)
        closedir(directory);
    printf("%d inputs\n", files);
    return files > 0 ? 0 : 1;
}
