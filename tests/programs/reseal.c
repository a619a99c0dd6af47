/* reseal.c - seals a manifest that a test has changed with the store's own key: what the daemons
 * would make of an image like that, apart from its not being authentic.
 * usage: reseal KEY_FILE FOLDER */
#include "image/manifest.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char *argv[])
{
    struct manifest *manifest = NULL;
    struct keys *keys = NULL;
    int dir, r;

    if (argc != 3)
        return 2;
    dir = open(argv[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if ((r = keys_read(argv[1], &keys)) < 0 || (r = manifest_read(dir, NULL, &manifest)) < 0 ||
        (r = manifest_write(dir, manifest, keys)) < 0)
        fprintf(stderr, "reseal %s: %s\n", argv[2], strerror(-r));
    manifest_free(manifest);
    keys_free(keys);
    return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
