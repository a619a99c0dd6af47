/* fuzz_manifest.c - manifests of any content, with and without the end that ours have. */
#include "image/manifest.h"
#include "image/pack.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

const char fuzz_name[] = "manifest";

#define TAIL                                                               \
    ",\n \"key\": \"01234567\",\n \"mac\": "                               \
    "\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"" \
    "\n}\n"

/* What is taken must be what the rest of the program counts on. */
static void check(const struct manifest *m)
{
    if (m->image_count == 0 || m->number == 0 || m->parent == m->number)
        abort();
    for (size_t i = 0; i < m->image_count; i++)
        if (strchr(m->images[i].name, '/') || m->images[i].name[0] == '.' ||
            pack_plain_name_length(m->images[i].name) == 0 ||
            pack_name_is_packed_twice(m->images[i].name))
            abort();
    for (size_t i = 0; i < m->file_count; i++)
        if (m->files[i].path[0] != '/' || strstr(m->files[i].path, "/../") ||
            strchr(m->files[i].snapshot, '/'))
            abort();
}

static void parse(const char *data, size_t size)
{
    struct manifest *manifest = NULL;

    if (manifest_parse(data, size, &manifest) == 0)
        check(manifest);
    manifest_free(manifest);
}

/* A mutation hardly ever leaves the end whole: half of the work goes to what is before it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *sealed = malloc(size + strlen(TAIL));

    if (!sealed)
        abort();
    parse((const char *)data, size);
    if (size > 0)
        memcpy(sealed, data, size);
    memcpy(sealed + size, TAIL, strlen(TAIL));
    parse(sealed, size + strlen(TAIL));
    free(sealed);
    return 0;
}
