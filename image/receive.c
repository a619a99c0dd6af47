/* receive.c - see receive.h: the manifest first, everything else must be what it says. */
#include "image/receive.h"

#include "common/cleanup.h"
#include "image/pack.h"
#include "image/seal.h"
#include "image/stats.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define FROM_EXPORT "take an archive that `perdure export` made"
#define AGAIN       "copy or export it again"

void receive_done(struct receive *in)
{
    archive_in_free(in->archive);
    manifest_free(in->manifest);
    free(in->seen);
    *in = (struct receive){};
}

/* ---- the manifest ---- */

struct memory_sink {
    struct sink sink;
    char *data;
    size_t size, room;
};

/* Grows with what comes: a size that is only claimed costs nothing. */
static int memory_write(struct sink *sink, const void *data, size_t size)
{
    struct memory_sink *memory = (struct memory_sink *)sink;

    if (size > MANIFEST_MAX - memory->size)
        return -EBADMSG;
    if (memory->size + size > memory->room) {
        size_t room = 2 * (memory->size + size);
        char *more = realloc(memory->data, room);

        if (!more)
            return -ENOMEM;
        memory->data = more;
        memory->room = room;
    }
    memcpy(memory->data + memory->size, data, size);
    memory->size += size;
    return 0;
}

static void memory_done(struct memory_sink *memory)
{
    free(memory->data);
}

static int memory_finish(struct sink *sink)
{
    return 0;
}

static int refuse(struct reason *reason, int error)
{
    switch (error) {
    case -ENOKEY:
    case -EKEYREJECTED:
        reason_set(
            reason,
            "if you know that it is good, import it with --trust: it is restored with root's "
            "rights",
            error == -ENOKEY ? "the archive is sealed with a key that this store does not have"
                             : "the seal of the archive is broken: its manifest was changed");
        break;
    case -EBADMSG:
        reason_set(reason, FROM_EXPORT ", with this version of perdure",
                   "the archive's manifest makes no sense");
        break;
    }
    return error;
}

static int read_manifest(struct receive *in, const char *data, size_t size, const struct keys *keys,
                         struct reason *reason)
{
    int r = keys ? manifest_verify(data, size, keys) : 0;

    if (r == 0)
        r = manifest_parse(data, size, &in->manifest);
    return r < 0 ? refuse(reason, r) : 0;
}

static int receive_manifest(struct receive *in, const struct keys *keys, struct reason *reason)
{
    _cleanup_(memory_done) struct memory_sink memory = {
        .sink = {.write = memory_write, .zeros = stream_write_zeros, .finish = memory_finish}};
    const char *name;
    uint64_t size;
    int r;

    r = archive_in_next(in->archive, &name, &size, reason);
    if (r < 0)
        return r;
    if (r == 0 || size == 0 || size > MANIFEST_MAX)
        return refuse(reason, -EBADMSG);
    r = archive_in_copy(in->archive, &memory.sink, NULL, NULL, reason);
    return r < 0 ? r : read_manifest(in, memory.data, memory.size, keys, reason);
}

/* ---- the list of files ---- */

static int bad_list(struct reason *reason, const char *name, const char *what)
{
    char shown[ARCHIVE_SHOWN];

    reason_set(reason, FROM_EXPORT, "the archive's manifest names %s, %s",
               archive_name_show(name, shown), what);
    return -EBADMSG;
}

static bool is_snapshot(const struct manifest *manifest, const char *name)
{
    for (size_t i = 0; i < manifest->file_count; i++)
        if (strcmp(manifest->files[i].snapshot, name) == 0)
            return true;
    return false;
}

static bool is_known(const struct manifest *manifest, const char *name)
{
    static const char *const others[] = {ARCHIVE_CONFIG, ARCHIVE_SPEC, STATS_DUMP_FILE};

    if (pack_name_is_packed(name))
        return false;
    for (size_t i = 0; i < ELEMENTS(others); i++)
        if (strcmp(name, others[i]) == 0)
            return true;
    return archive_name_is_image(name) || is_snapshot(manifest, name);
}

static int by_name(const void *a, const void *b)
{
    const struct manifest_image *x = a, *y = b;

    return strcmp(x->name, y->name);
}

/* Only what a full, plain image has, each file once. */
static int check_list(struct receive *in, struct reason *reason)
{
    struct manifest *m = in->manifest;

    if (m->parent) {
        reason_set(reason, FROM_EXPORT,
                   "the archive's manifest names a parent, and an archive is whole in itself");
        return -EBADMSG;
    }
    qsort(m->images, m->image_count, sizeof(*m->images), by_name);
    for (size_t i = 0; i < m->image_count; i++) {
        const struct manifest_image *image = &m->images[i];

        if (!is_known(m, image->name))
            return bad_list(reason, image->name, "which no checkpoint has");
        if (i > 0 && strcmp(image->name, image[-1].name) == 0)
            return bad_list(reason, image->name, "twice");
        if (image->size > ARCHIVE_FILE_MAX - in->bytes)
            return bad_list(reason, image->name, "of a size that cannot be");
        in->bytes += image->size;
    }
    in->seen = calloc(m->image_count, sizeof(*in->seen));
    return in->seen ? 0 : -ENOMEM;
}

int receive_begin(int fd, const struct keys *keys, struct receive *ret, struct reason *reason)
{
    _cleanup_(receive_done) struct receive in = {};
    int r;

    r = archive_in_new(fd, &in.archive);
    if (r == -EBADMSG)
        reason_set(reason, FROM_EXPORT, "this is no archive of a checkpoint");
    if (r < 0 || (r = receive_manifest(&in, keys, reason)) < 0 || (r = check_list(&in, reason)) < 0)
        return r;
    *ret = in;
    in = (struct receive){};
    return 0;
}

/* ---- the files ---- */

static int damaged(struct reason *reason, const char *name, const char *what)
{
    char shown[ARCHIVE_SHOWN];

    reason_set(reason, AGAIN, "the archive is damaged: %s %s", archive_name_show(name, shown),
               what);
    return -EBADMSG;
}

static int receive_file(struct receive *in, int dirfd, const struct manifest_image *image,
                        archive_tell_t tell, void *data, struct reason *reason)
{
    _cleanup_close_ int fd = -1;
    struct file_sink file;
    int r;

    fd = openat(dirfd, image->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -errno;
    file_sink_init(&file, fd, image->size);
    r = archive_in_copy(in->archive, &file.sink, tell, data, reason);
    return r == -EBADMSG && !reason->why ? damaged(reason, image->name, "is too long") : r;
}

static int receive_all(struct receive *in, int dirfd, archive_tell_t tell, void *data,
                       struct reason *reason)
{
    const struct manifest_image *images = in->manifest->images, *image;
    const char *name;
    uint64_t size;
    int r;

    while ((r = archive_in_next(in->archive, &name, &size, reason)) > 0) {
        const struct manifest_image key = {.name = (char *)name};

        image = bsearch(&key, images, in->manifest->image_count, sizeof(*images), by_name);
        if (!image)
            return damaged(reason, name, "does not belong to it");
        if (in->seen[image - images])
            return damaged(reason, name, "is there twice");
        if (size != image->size)
            return damaged(reason, name, "has another size");
        in->seen[image - images] = true;
        if ((r = receive_file(in, dirfd, image, tell, data, reason)) < 0)
            return r;
    }
    return r;
}

/* All of the manifest's files are there with its hashes. */
static int check_files(const struct receive *in, int dirfd, archive_tell_t tell, void *data,
                       struct reason *reason)
{
    _cleanup_(reason_done) struct reason why = {};
    int r;

    for (size_t i = 0; i < in->manifest->image_count; i++)
        if (!in->seen[i])
            return damaged(reason, in->manifest->images[i].name, "is missing");
    r = seal_check_all(dirfd, in->manifest, tell, data, &why);
    if (r == -EBADMSG)
        reason_set(reason, AGAIN, "what is in the archive was changed: %s", reason_why(&why));
    else if (r < 0)
        reason_set(reason, reason_cure(&why), "%s", reason_why(&why));
    return r;
}

int receive_files(struct receive *in, int dirfd, archive_tell_t tell, void *data,
                  struct reason *reason)
{
    int r;

    if ((r = receive_all(in, dirfd, tell, data, reason)) < 0 ||
        (r = check_files(in, dirfd, tell, data, reason)) < 0)
        return r;
    if ((unlinkat(dirfd, ARCHIVE_CONFIG, 0) < 0 && errno != ENOENT) ||
        (unlinkat(dirfd, ARCHIVE_SPEC, 0) < 0 && errno != ENOENT))
        return -errno;
    return 0;
}
