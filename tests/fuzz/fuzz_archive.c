/* fuzz_archive.c - archives of any content: what comes out of one has a name that is safe. */
#include "image/archive.h"
#include "image/receive.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

const char fuzz_name[] = "archive";

#define ENOUGH (1 << 20) /* a few bytes may stand for gigabytes */

/* libarchive takes and gives back large buffers: kept for later, each would be new memory. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "quarantine_size_mb=1";
}

static void demand(int condition)
{
    if (!condition)
        abort();
}

struct counter {
    struct sink sink;
    uint64_t bytes, sum;
};

static int count(struct sink *sink, const void *data, size_t size)
{
    struct counter *counter = (struct counter *)sink;

    counter->bytes += size;
    for (size_t i = 0; i < size; i += 64) /* the sanitizer says whether it is there */
        counter->sum += ((const volatile uint8_t *)data)[i];
    return counter->bytes > ENOUGH ? -1 : 0;
}

static int finish(struct sink *sink)
{
    return 0;
}

static void read_all(int fd)
{
    struct archive_in *in = NULL;
    struct reason reason = {0};
    const char *name;
    uint64_t size;
    int files = 0;

    if (archive_in_new(fd, &in) < 0)
        return;
    while (archive_in_next(in, &name, &size, &reason) == ARCHIVE_IN_FILE) {
        struct counter counter = {
            .sink = {.write = count, .zeros = stream_write_zeros, .finish = finish}};

        demand(name[0] && name[0] != '.' && !strchr(name, '/') && strlen(name) < ARCHIVE_NAME_MAX);
        demand((files++ == 0) == (strcmp(name, MANIFEST_FILE) == 0));
        demand(size <= ARCHIVE_FILE_MAX);
        if (archive_in_copy(in, &counter.sink, NULL, NULL, &reason) < 0)
            break;
        demand(counter.bytes == size);
    }
    archive_in_free(in);
    reason_done(&reason);
}

/* As far as the list of the manifest. */
static void begin(int fd)
{
    struct receive in = {0};
    struct reason reason = {0};

    if (receive_begin(fd, NULL, &in, &reason) == 0)
        for (size_t i = 0; i < in.manifest->image_count; i++)
            demand(i == 0 ||
                   strcmp(in.manifest->images[i - 1].name, in.manifest->images[i].name) < 0);
    receive_done(&in);
    reason_done(&reason);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1;

    if (fd < 0)
        fd = memfd_create("archive", MFD_CLOEXEC);
    demand(fd >= 0 && ftruncate(fd, 0) == 0 && pwrite(fd, data, size, 0) == (ssize_t)size);
    demand(lseek(fd, 0, SEEK_SET) == 0);
    read_all(fd);
    demand(lseek(fd, 0, SEEK_SET) == 0);
    begin(fd);
    return 0;
}
