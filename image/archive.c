/* archive.c - the only file that knows libarchive (libarchive(3)). */
#include "image/archive.h"

#include "common/cleanup.h"
#include "image/manifest.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>

/* checkpointctl lib/metadata.go: CheckpointDirectory; it looks for an entry of that folder
 * (internal/utils.go: CreateTasks) and for images below it. */
#define FOLDER "checkpoint"

#define BLOCK (64 << 10)

/* ---- writing ---- */

struct archive_out {
    struct archive *tar;
    int fd;
    uint64_t time_realtime, bytes;
    bool has_folder;
};

/* The caller's descriptor may be a pipe that somebody set to not wait. */
static la_ssize_t write_block(struct archive *tar, void *userdata, const void *data, size_t size)
{
    struct archive_out *out = userdata;
    ssize_t n;

    while ((n = write(out->fd, data, size)) < 0) {
        struct pollfd ready = {.fd = out->fd, .events = POLLOUT};

        if (errno == EINTR || (errno == EAGAIN && poll(&ready, 1, -1) >= 0))
            continue;
        archive_set_error(tar, errno, "%s", strerror(errno));
        return -1;
    }
    out->bytes += (uint64_t)n;
    return n;
}

/* What libarchive met, as -errno; numbers of its own are no errno. */
static int error_of(struct archive *tar)
{
    int e = archive_errno(tar);

    return e > 0 ? -e : -EIO;
}

static void archive_out_freep(struct archive_out **out)
{
    archive_out_free(*out);
}

int archive_out_new(int fd, int level, uint64_t time_realtime, struct archive_out **ret)
{
    _cleanup_(archive_out_freep) struct archive_out *out = calloc(1, sizeof(*out));
    char text[16];

    if (!out || !(out->tar = archive_write_new()))
        return -ENOMEM;
    out->fd = fd;
    out->time_realtime = time_realtime;
    snprintf(text, sizeof(text), "%d", level);
    if (archive_write_set_format_pax_restricted(out->tar) != ARCHIVE_OK ||
        archive_write_add_filter_zstd(out->tar) != ARCHIVE_OK ||
        archive_write_set_filter_option(out->tar, "zstd", "compression-level", text) !=
            ARCHIVE_OK ||
        archive_write_set_bytes_in_last_block(out->tar, 1) != ARCHIVE_OK ||
        archive_write_open2(out->tar, out, NULL, write_block, NULL, NULL) != ARCHIVE_OK)
        return error_of(out->tar);
    *ret = TAKE_PTR(out);
    return 0;
}

static int write_header(struct archive_out *out, const char *path, unsigned type, uint64_t size)
{
    struct archive_entry *entry = archive_entry_new2(out->tar);
    int r;

    if (!entry)
        return -ENOMEM;
    archive_entry_set_pathname(entry, path);
    archive_entry_set_filetype(entry, type);
    archive_entry_set_perm(entry, type == AE_IFDIR ? 0700 : 0600);
    archive_entry_set_size(entry, (la_int64_t)size);
    archive_entry_set_mtime(entry, (time_t)(out->time_realtime / 1000000), 0);
    r = archive_write_header(out->tar, entry);
    archive_entry_free(entry);
    return r == ARCHIVE_OK ? 0 : error_of(out->tar);
}

struct tar_sink {
    struct sink sink;
    struct archive *tar;
    uint64_t left; /* of what the header says */
    archive_tell_t tell;
    void *data;
};

static int tar_write(struct sink *sink, const void *data, size_t size)
{
    struct tar_sink *to = (struct tar_sink *)sink;

    if (size > to->left)
        return -EBADMSG;
    if (archive_write_data(to->tar, data, size) != (la_ssize_t)size)
        return error_of(to->tar);
    to->left -= size;
    if (to->tell)
        to->tell(size, to->data);
    return 0;
}

/* libarchive would fill up what is missing with zeros. */
static int tar_finish(struct sink *sink)
{
    return ((struct tar_sink *)sink)->left == 0 ? 0 : -EBADMSG;
}

int archive_out_add(struct archive_out *out, int dirfd, const char *name, archive_tell_t tell,
                    void *data)
{
    struct tar_sink sink = {
        .sink = {.write = tar_write, .zeros = stream_write_zeros, .finish = tar_finish},
        .tar = out->tar,
        .tell = tell,
        .data = data,
    };
    bool image = archive_name_is_image(name);
    char path[sizeof(FOLDER "/") + ARCHIVE_NAME_MAX];
    _cleanup_close_ int fd = -1;
    struct stat st;
    int r;

    if (!image && !archive_name_is_other(name))
        return -EINVAL;
    fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode))
        return -EBADMSG;
    if (image && !out->has_folder) {
        if ((r = write_header(out, FOLDER "/", AE_IFDIR, 0)) < 0)
            return r;
        out->has_folder = true;
    }
    snprintf(path, sizeof(path), "%s%s", image ? FOLDER "/" : "", name);
    sink.left = (uint64_t)st.st_size;
    r = write_header(out, path, AE_IFREG, sink.left);
    return r < 0 ? r : stream_file(fd, &sink.sink);
}

int archive_out_finish(struct archive_out *out, uint64_t *ret_bytes)
{
    if (archive_write_close(out->tar) != ARCHIVE_OK)
        return error_of(out->tar);
    *ret_bytes = out->bytes;
    return 0;
}

/* Closing would write; what was not finished stays cut off. */
struct archive_out *archive_out_free(struct archive_out *out)
{
    if (!out)
        return NULL;
    if (out->tar) {
        (void)archive_write_fail(out->tar);
        archive_write_free(out->tar);
    }
    free(out);
    return NULL;
}

/* ---- reading ---- */

struct archive_in {
    struct archive *tar;
    bool has_manifest, has_folder;
    char name[ARCHIVE_NAME_MAX];
    uint64_t size;
};

static void archive_in_freep(struct archive_in **in)
{
    archive_in_free(*in);
}

int archive_in_new(int fd, struct archive_in **ret)
{
    _cleanup_(archive_in_freep) struct archive_in *in = calloc(1, sizeof(*in));

    if (!in || !(in->tar = archive_read_new()))
        return -ENOMEM;
    if (archive_read_support_filter_zstd(in->tar) != ARCHIVE_OK ||
        archive_read_support_format_tar(in->tar) != ARCHIVE_OK)
        return error_of(in->tar);
    /* It reads ahead to tell the format: an error here is one of the content. */
    if (archive_read_open_fd(in->tar, fd, BLOCK) != ARCHIVE_OK)
        return archive_errno(in->tar) == ENOMEM ? -ENOMEM : -EBADMSG;
    *ret = TAKE_PTR(in);
    return 0;
}

static int damaged(struct archive_in *in, struct reason *reason)
{
    const char *text = archive_error_string(in->tar);

    if (archive_errno(in->tar) == ENOMEM)
        return -ENOMEM;
    reason_set(reason, "copy or export it again", "the archive is damaged: %s",
               text ? text : "it cannot be read");
    return -EBADMSG;
}

static int refused(struct reason *reason, const char *name, const char *what)
{
    char shown[ARCHIVE_SHOWN];

    reason_set(reason, "take an archive that `perdure export` made", "the archive holds %s%s%s",
               what, name ? ": " : "", name ? archive_name_show(name, shown) : "");
    return -EBADMSG;
}

static bool is_folder(struct archive_entry *entry, const char *path)
{
    return archive_entry_filetype(entry) == AE_IFDIR &&
           (strcmp(path, FOLDER) == 0 || strcmp(path, FOLDER "/") == 0);
}

/* A plain file: no link of either kind, no device, no holes whose size costs nothing to claim. */
static bool is_file(struct archive_entry *entry)
{
    return archive_entry_filetype(entry) == AE_IFREG && !archive_entry_hardlink(entry) &&
           !archive_entry_symlink(entry) && archive_entry_sparse_count(entry) == 0 &&
           archive_entry_size_is_set(entry) && archive_entry_size(entry) >= 0 &&
           (uint64_t)archive_entry_size(entry) <= ARCHIVE_FILE_MAX;
}

/* The name without its folder, or NULL. */
static const char *name_of(const char *path)
{
    size_t folder = strlen(FOLDER "/");

    if (strncmp(path, FOLDER "/", folder) == 0)
        return archive_name_is_image(path + folder) ? path + folder : NULL;
    return archive_name_is_other(path) ? path : NULL;
}

static int check_entry(struct archive_in *in, struct archive_entry *entry, struct reason *reason)
{
    const char *path = archive_entry_pathname(entry), *name;
    bool manifest;

    if (!path)
        return refused(reason, NULL, "a file whose name is no text");
    if (!is_file(entry))
        return refused(reason, path, "what is no plain file");
    name = name_of(path);
    if (!name)
        return refused(reason, path, "a name that no checkpoint has");
    manifest = strcmp(name, MANIFEST_FILE) == 0;
    if (manifest == in->has_manifest)
        return refused(reason, path, manifest ? "two manifests" : "a file before its manifest");
    in->has_manifest = true;
    in->size = (uint64_t)archive_entry_size(entry);
    snprintf(in->name, sizeof(in->name), "%s", name);
    return 0;
}

int archive_in_next(struct archive_in *in, const char **ret_name, uint64_t *ret_size,
                    struct reason *reason)
{
    struct archive_entry *entry;
    const char *path;
    int r;

    for (;;) {
        r = archive_read_next_header(in->tar, &entry);
        if (r == ARCHIVE_EOF)
            return in->has_manifest ? 0 : refused(reason, NULL, "no manifest");
        if (r != ARCHIVE_OK)
            return damaged(in, reason);
        path = archive_entry_pathname(entry);
        if (!path || in->has_folder || !in->has_manifest || !is_folder(entry, path))
            break;
        in->has_folder = true;
    }
    r = check_entry(in, entry, reason);
    if (r < 0)
        return r;
    *ret_name = in->name;
    *ret_size = in->size;
    return ARCHIVE_IN_FILE;
}

int archive_in_copy(struct archive_in *in, struct sink *to, archive_tell_t tell, void *data,
                    struct reason *reason)
{
    const void *block;
    la_int64_t offset;
    uint64_t at = 0;
    size_t size;
    int r;

    while ((r = archive_read_data_block(in->tar, &block, &size, &offset)) == ARCHIVE_OK) {
        if ((uint64_t)offset != at)
            return refused(reason, in->name, "a file with holes");
        if (size > 0 && (r = to->write(to, block, size)) < 0)
            return r;
        at += size;
        if (tell)
            tell(size, data);
    }
    if (r != ARCHIVE_EOF)
        return damaged(in, reason);
    /* Not every kind of hole that tar knows shows in an entry. */
    return at == in->size ? to->finish(to) : refused(reason, in->name, "a file with holes");
}

struct archive_in *archive_in_free(struct archive_in *in)
{
    if (!in)
        return NULL;
    if (in->tar)
        archive_read_free(in->tar);
    free(in);
    return NULL;
}
