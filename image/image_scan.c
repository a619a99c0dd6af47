/* image_scan.c - reads the few CRIU images that say which pipes and files a checkpoint refers to.
 */
#include "image/image_scan.h"

#include "common/cleanup.h"
#include "common/fs.h"
#include "image/vma.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define IMAGE_MAX (256u << 20) /* far above any files.img; a damaged size field stops here */

/* images/fdinfo.proto: enum fd_types */
enum { FD_TYPE_REG = 1 };

/* images/remap-file-path.proto: a file of a dead process in /proc */
enum { REMAP_PROCFS = 2 };

/* Calls `each` with every record of an image file. -ENOENT: there is no such file. */
static int for_each_record(int dirfd, const char *name, struct image *image,
                           int (*each)(struct image *, struct pb))
{
    _cleanup_free_ char *data = NULL;
    struct pb records, message;
    size_t size;
    int r;

    r = fs_read(dirfd, name, IMAGE_MAX, &data, &size);
    if (r < 0)
        return r == -EFBIG ? -EBADMSG : r;
    r = pb_image(data, size, &records);
    if (r < 0)
        return r;
    while ((r = pb_next_record(&records, &message)) > 0) {
        r = each(image, message);
        if (r < 0)
            return r;
    }
    return r;
}

static int note_pipe(struct image *image, struct pb message)
{
    struct image_pipe *pipe = NULL, *more;
    uint32_t inode = 0, flags = 0;
    struct pb_field field;
    int r;

    while ((r = pb_next(&message, &field)) > 0) {
        if (field.number == 2) /* pipe_entry.pipe_id */
            inode = (uint32_t)field.value;
        else if (field.number == 3)
            flags = (uint32_t)field.value;
    }
    if (r < 0)
        return r;
    for (size_t i = 0; i < image->pipe_count && !pipe; i++)
        if (image->pipes[i].inode == inode)
            pipe = &image->pipes[i];
    if (!pipe) {
        more = reallocarray(image->pipes, image->pipe_count + 1, sizeof(*more));
        if (!more)
            return -ENOMEM;
        image->pipes = more;
        pipe = &more[image->pipe_count++];
        *pipe = (struct image_pipe){.inode = inode};
    }
    pipe->reader |= (flags & O_ACCMODE) != O_WRONLY;
    pipe->writer |= (flags & O_ACCMODE) != O_RDONLY;
    return 0;
}

static int note_file(struct image *image, struct pb message)
{
    struct image_file file = {0}, *more;
    struct pb name = {0};
    struct pb_field field;
    uint32_t mode = S_IFREG;
    bool external = false;
    int r;

    while ((r = pb_next(&message, &field)) > 0) {
        switch (field.number) { /* reg_file_entry */
        case 1:
            file.id = (uint32_t)field.value;
            break;
        case 2:
            file.flags = (uint32_t)field.value;
            break;
        case 3:
            file.offset = field.value;
            break;
        case 6:
            name = field.bytes;
            break;
        case 8:
            file.size = field.value;
            file.sized = true;
            break;
        case 9:
            external = field.value;
            break;
        case 10:
            mode = (uint32_t)field.value;
            break;
        }
    }
    if (r < 0)
        return r;
    if (!S_ISREG(mode) || external)
        return 0;
    more = reallocarray(image->files, image->file_count + 1, sizeof(*more));
    if (!more)
        return -ENOMEM;
    image->files = more;
    file.path = pb_path(name);
    if (!file.path)
        return -ENOMEM;
    more[image->file_count++] = file;
    return 0;
}

static int note_file_entry(struct image *image, struct pb message)
{
    struct pb_field field;
    int r;

    while ((r = pb_next(&message, &field)) > 0) {
        int q = 0;

        if (field.number == 3) /* file_entry.reg */
            q = note_file(image, field.bytes);
        else if (field.number == 18) /* file_entry.pipe */
            q = note_pipe(image, field.bytes);
        if (q < 0)
            return q;
    }
    return r;
}

static int by_id(const void *a, const void *b)
{
    const struct image_file *x = a, *y = b;

    return (x->id > y->id) - (x->id < y->id);
}

/* Of files that are sorted: a service may have thousands, and be frozen meanwhile. */
static struct image_file *file_by_id(struct image *image, uint64_t id)
{
    const struct image_file key = {.id = (uint32_t)id};

    if (id > UINT32_MAX || image->file_count == 0)
        return NULL;
    return bsearch(&key, image->files, image->file_count, sizeof(key), by_id);
}

static int note_descriptor(struct image *image, struct pb message)
{
    struct image_file *file;
    struct pb_field field;
    uint64_t id = 0, type = 0;
    int r;

    while ((r = pb_next(&message, &field)) > 0) {
        if (field.number == 1) /* fdinfo_entry.id */
            id = field.value;
        else if (field.number == 3)
            type = field.value;
    }
    file = type == FD_TYPE_REG ? file_by_id(image, id) : NULL;
    if (r == 0 && file)
        file->open = true;
    return r;
}

static int note_mapping(struct image *image, struct pb message)
{
    struct image_file *file;
    struct vma vma;
    int r = vma_parse(message, &vma);

    if (r < 0 || !(vma.status & (VMA_FILE_PRIVATE | VMA_FILE_SHARED)))
        return r;
    file = file_by_id(image, vma.shmid);
    if (file) {
        file->mapped = true;
        file->flags |= vma.status & VMA_FILE_SHARED ? vma.file_flags & O_ACCMODE : 0;
    }
    return 0;
}

static int note_memory(struct image *image, struct pb message)
{
    struct image_file *file;
    struct pb_field field;
    int r, q = 0;

    while ((r = pb_next(&message, &field)) > 0 && q == 0) {
        if (field.number == 12) { /* mm_entry.exe_file_id */
            file = file_by_id(image, field.value);
            if (file)
                file->mapped = true;
        } else if (field.number == MM_VMAS) {
            q = note_mapping(image, field.bytes);
        }
    }
    return q < 0 ? q : r;
}

static int note_remapped(struct image *image, struct pb message)
{
    struct image_file *file = NULL;
    struct pb_field field;
    uint64_t type = 0;
    int r;

    while ((r = pb_next(&message, &field)) > 0) {
        if (field.number == 1) /* remap_file_path_entry.orig_id */
            file = file_by_id(image, field.value);
        else if (field.number == 3)
            type = field.value;
    }
    if (r < 0 || !file)
        return r;
    file->deleted = true;
    if (type != REMAP_PROCFS)
        return 0;
    free(file->path); /* no file of the host at all */
    memmove(file, file + 1, (size_t)(image->files + image->file_count - file - 1) * sizeof(*file));
    image->file_count--;
    return 0;
}

static int note_inventory(struct image *image, struct pb message)
{
    struct pb_field field;
    int r;

    while ((r = pb_next(&message, &field)) > 0) {
        if (field.number != 13) /* inventory_entry.dump_criu_run_id */
            continue;
        free(image->run_id);
        image->run_id = pb_text(field.bytes);
        if (!image->run_id)
            return -ENOMEM;
    }
    return r;
}

static bool is_series(const char *name, const char *prefix)
{
    size_t len = strlen(name);

    return strncmp(name, prefix, strlen(prefix)) == 0 && len > 4 &&
           strcmp(name + len - 4, ".img") == 0;
}

static int scan_series(int dirfd, const char *name, void *data)
{
    struct image *image = data;

    if (is_series(name, "fdinfo-"))
        return for_each_record(dirfd, name, image, note_descriptor);
    if (is_series(name, "mm-"))
        return for_each_record(dirfd, name, image, note_memory);
    if (is_series(name, "mountpoints-") && !image->mounts) {
        image->mounts = strdup(name);
        return image->mounts ? 0 : -ENOMEM;
    }
    return 0;
}

int image_scan(int dirfd, struct image *ret)
{
    _cleanup_(image_done) struct image image = {0};
    int r;

    r = for_each_record(dirfd, "files.img", &image, note_file_entry);
    if (r < 0)
        return r;
    if (image.file_count > 0)
        qsort(image.files, image.file_count, sizeof(*image.files), by_id);
    r = for_each_record(dirfd, "remap-fpath.img", &image, note_remapped);
    if (r < 0 && r != -ENOENT)
        return r;
    r = for_each_record(dirfd, "inventory.img", &image, note_inventory);
    if (r < 0)
        return r;
    r = fs_for_each(dirfd, scan_series, &image);
    if (r < 0)
        return r;
    if (!image.run_id)
        image.run_id = strdup("");
    if (!image.run_id)
        return -ENOMEM;
    *ret = image;
    image = (struct image){0};
    return 0;
}

void image_done(struct image *image)
{
    for (size_t i = 0; i < image->file_count; i++)
        free(image->files[i].path);
    free(image->files);
    free(image->pipes);
    free(image->mounts);
    free(image->run_id);
    *image = (struct image){0};
}

bool image_pipe_is_half(const struct image_pipe *pipe, const uint64_t *keys, size_t key_count)
{
    for (size_t i = 0; i < key_count; i++)
        if (keys[i] == pipe->inode)
            return false;
    return !(pipe->reader && pipe->writer);
}
