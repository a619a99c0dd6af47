/* survey.c - walks the images that name things of the host, for a drill. */
#include "worker/survey_parts.h"

#include "common/cleanup.h"
#include "common/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <string.h>
#include <sys/mman.h>

#define IMAGE_MAX       (256u << 20)
#define VMA_FILE_SHARED (1u << 7) /* criu/include/image.h */

bool path_is_below(const char *path, const char *folder)
{
    size_t len = strlen(folder);

    if (strcmp(folder, "/") == 0)
        return true;
    return strncmp(path, folder, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

/* ---- mm-*.img ---- */

static int note_mapping(struct survey *s, struct pb message)
{
    uint64_t id = 0, prot = 0, status = 0;
    struct pb_field field;
    uint32_t *more;
    int r;

    while ((r = pb_next(&message, &field)) > 0) {
        if (field.number == 4) /* vma_entry.shmid: of a file its id */
            id = field.value;
        else if (field.number == 5)
            prot = field.value;
        else if (field.number == 7)
            status = field.value;
    }
    if (r < 0 || !(status & VMA_FILE_SHARED) || !(prot & PROT_WRITE))
        return r;
    more = reallocarray(s->mapped, s->mapped_count + 1, sizeof(*more));
    if (!more)
        return -ENOMEM;
    s->mapped = more;
    more[s->mapped_count++] = (uint32_t)id;
    return 0;
}

static int note_memory(struct survey *s, struct pb message)
{
    struct pb_field field;
    int r;

    while ((r = pb_next(&message, &field)) > 0)
        if (field.number == 14 && (r = note_mapping(s, field.bytes)) < 0) /* mm_entry.vmas */
            return r;
    return r;
}

/* ---- pstree.img ---- */

static int note_numbers(struct survey *s, struct pb message)
{
    struct pb_field field;
    uint32_t *more;
    int r;

    while ((r = pb_next(&message, &field)) > 0) {
        if (field.number == 2 || field.number > 5) /* pstree_entry: all but ppid */
            continue;
        more = reallocarray(s->numbers, s->number_count + 1, sizeof(*more));
        if (!more)
            return -ENOMEM;
        s->numbers = more;
        more[s->number_count++] = (uint32_t)field.value;
    }
    return r;
}

static int for_each_record(int dirfd, const char *name, struct survey *s,
                           int (*each)(struct survey *, struct pb))
{
    _cleanup_free_ char *data = NULL;
    struct pb records, message;
    size_t size;
    int r;

    if ((r = fs_read(dirfd, name, IMAGE_MAX, &data, &size)) < 0 ||
        (r = pb_image(data, size, &records)) < 0)
        return r;
    while ((r = pb_next_record(&records, &message)) > 0)
        if ((r = each(s, message)) < 0)
            return r;
    return r;
}

static int note_lock(struct survey *s, struct pb message)
{
    s->locks = true;
    return 0;
}

static int survey_mappings(int images_fd, struct survey *s)
{
    _cleanup_closedir_ DIR *dir = NULL;
    struct dirent *entry;
    int fd, r = 0;

    fd = openat(images_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        r = -errno;
        fd_close(fd);
        return r;
    }
    while (r == 0 && (entry = readdir(dir)))
        if (fnmatch("mm-*.img", entry->d_name, 0) == 0)
            r = for_each_record(images_fd, entry->d_name, s, note_memory);
    return r;
}

static int ascending(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

int survey_make(int images_fd, struct survey *ret)
{
    _cleanup_(survey_done) struct survey s = {0};
    int r;

    if ((r = survey_mappings(images_fd, &s)) < 0 ||
        (r = for_each_record(images_fd, "files.img", &s, survey_note_file)) < 0 ||
        (r = for_each_record(images_fd, "pstree.img", &s, note_numbers)) < 0)
        return r;
    r = for_each_record(images_fd, "filelocks.img", &s, note_lock);
    if (r < 0 && r != -ENOENT)
        return r;
    if (s.number_count)
        qsort(s.numbers, s.number_count, sizeof(*s.numbers), ascending);
    *ret = s;
    s = (struct survey){0};
    return 0;
}

void survey_done(struct survey *s)
{
    for (size_t i = 0; i < s->item_count; i++)
        free(s->items[i].path);
    for (size_t i = 0; i < s->path_count; i++)
        free(s->paths[i]);
    free(s->items);
    free(s->paths);
    free(s->peers);
    free(s->mapped);
    free(s->numbers);
    reason_done(&s->unprovable);
    *s = (struct survey){0};
}
