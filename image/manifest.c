/* manifest.c - the manifest as JSON (jansson); what it reads it does not trust. */
#include "image/manifest.h"
#include "common/cleanup.h"
#include "common/dirs.h"
#include "common/fs.h"

#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <string.h>

#define SIZE_MAX_BYTES (64 * 1024 * 1024) /* far above a tree of thousands of tasks */

static void json_freep(json_t **json)
{
    json_decref(*json);
}

struct manifest *manifest_free(struct manifest *manifest)
{
    if (!manifest)
        return NULL;
    for (size_t i = 0; i < manifest->image_count; i++)
        free(manifest->images[i].name);
    for (size_t i = 0; i < manifest->file_count; i++)
        free(manifest->files[i].path);
    free(manifest->images);
    free(manifest->files);
    free(manifest->service);
    free(manifest->kind);
    free(manifest->criu_git);
    free(manifest->kernel);
    free(manifest->machine);
    free(manifest->cpu);
    free(manifest->host);
    free(manifest->restored_from);
    free(manifest);
    return NULL;
}

static void manifest_freep(struct manifest **manifest)
{
    manifest_free(*manifest);
}

/* ---- writing ---- */

static json_t *images_to_json(const struct manifest *m)
{
    json_t *array = json_array();

    for (size_t i = 0; i < m->image_count; i++) {
        const struct manifest_image *image = &m->images[i];

        if (json_array_append_new(
                array, json_pack("{s:s, s:I, s:I, s:I, s:I, s:s}", "name", image->name, "size",
                                 (json_int_t)image->size, "inode", (json_int_t)image->inode,
                                 "mtime_ns", (json_int_t)image->mtime_nsec, "ctime_ns",
                                 (json_int_t)image->ctime_nsec, "sha256", image->sha256)) < 0)
            goto fail;
    }
    return array;
fail:
    json_decref(array);
    return NULL;
}

static json_t *files_to_json(const struct manifest *m)
{
    json_t *array = json_array();

    for (size_t i = 0; i < m->file_count; i++) {
        const struct manifest_file *file = &m->files[i];

        if (json_array_append_new(
                array,
                json_pack("{s:s, s:I, s:I, s:I, s:I, s:b, s:b, s:b}", "path", file->path, "device",
                          (json_int_t)file->device, "inode", (json_int_t)file->inode, "size",
                          (json_int_t)file->size, "mtime_ns", (json_int_t)file->mtime_nsec,
                          "mapped", file->mapped, "open", file->open, "append", file->append)) < 0)
            goto fail;
    }
    return array;
fail:
    json_decref(array);
    return NULL;
}

static const char *text(const char *s)
{
    return s ? s : "";
}

/* What people and other programs look for; `id` and `time` repeat other fields in readable form. */
static json_t *names_to_json(const struct manifest *m)
{
    _cleanup_free_ char *id = NULL;
    char time[RFC3339_SIZE];

    if (asprintf(&id, "%s@%llu", m->service, (unsigned long long)m->number) < 0) {
        id = NULL;
        return NULL;
    }
    return json_pack("{s:i, s:s, s:s, s:I, s:s, s:s, s:n}", "version", MANIFEST_VERSION, "id", id,
                     "service", m->service, "number", (json_int_t)m->number, "time",
                     format_rfc3339(m->time_realtime, time), "kind", m->kind, "parent");
}

static json_t *facts_to_json(const struct manifest *m)
{
    return json_pack(
        "{s:I, s:I, s:s, s:I, s:I, s:I, s:i, s:s, s:s, s:s, s:s, s:s, s:i, s:[I,I], s:b, s:b, s:b, "
        "s:I, s:s}",
        "time_realtime_us", (json_int_t)m->time_realtime, "time_boot_us", (json_int_t)m->time_boot,
        "boot_id", m->boot_id, "frozen_us", (json_int_t)m->frozen_usec, "dump_us",
        (json_int_t)m->dump_usec, "bytes", (json_int_t)m->bytes, "criu_version",
        (int)m->criu_version, "criu_git", text(m->criu_git), "kernel", text(m->kernel), "machine",
        text(m->machine), "cpu", text(m->cpu), "host", text(m->host), "pid", (int)m->pid,
        "pipe_inodes", (json_int_t)m->pipe_inode[STREAM_STDOUT],
        (json_int_t)m->pipe_inode[STREAM_STDERR], "tcp_established", m->tcp_established,
        "file_locks", m->file_locks, "pid_namespace", m->pid_namespace, "ghost_limit",
        (json_int_t)m->ghost_limit, "restored_from", text(m->restored_from));
}

int manifest_write(int dirfd, const struct manifest *m)
{
    _cleanup_(json_freep) json_t *root = names_to_json(m), *facts = facts_to_json(m);
    _cleanup_free_ char *data = NULL;

    /* A path that is not UTF-8 cannot be written down as JSON: -EINVAL, and the dump fails. */
    if (!root || !facts || json_object_update(root, facts) < 0 ||
        json_object_set_new(root, "images", images_to_json(m)) < 0 ||
        json_object_set_new(root, "files", files_to_json(m)) < 0)
        return -EINVAL;
    data = json_dumps(root, JSON_INDENT(1));
    if (!data)
        return -ENOMEM;
    return fs_replace(dirfd, MANIFEST_FILE, data, strlen(data), 0600);
}

/* ---- reading ---- */

static bool image_name_is_valid(const char *name)
{
    return name[0] != '\0' && name[0] != '.' && !strchr(name, '/') &&
           strcmp(name, MANIFEST_FILE) != 0;
}

/* Absolute and without "..": the kernel gave this path, it is normal already. */
static bool file_path_is_valid(const char *path)
{
    for (const char *p = path; (p = strstr(p, "/..")); p += 3)
        if (p[3] == '\0' || p[3] == '/')
            return false;
    return path[0] == '/';
}

static bool hash_is_valid(const char *hash)
{
    return strlen(hash) == HASH_HEX && strspn(hash, "0123456789abcdef") == HASH_HEX;
}

static int read_image(json_t *json, struct manifest_image *ret)
{
    json_int_t size, inode, mtime, ctime;
    const char *name, *hash;

    if (json_unpack(json, "{s:s, s:I, s:I, s:I, s:I, s:s}", "name", &name, "size", &size, "inode",
                    &inode, "mtime_ns", &mtime, "ctime_ns", &ctime, "sha256", &hash) < 0 ||
        !image_name_is_valid(name) || !hash_is_valid(hash) || size < 0)
        return -EBADMSG;
    ret->name = strdup(name);
    if (!ret->name)
        return -ENOMEM;
    ret->size = size;
    ret->inode = inode;
    ret->mtime_nsec = mtime;
    ret->ctime_nsec = ctime;
    memcpy(ret->sha256, hash, sizeof(ret->sha256));
    return 0;
}

static int read_file(json_t *json, struct manifest_file *ret)
{
    json_int_t device, inode, size, mtime;
    int mapped, open, append;
    const char *path;

    if (json_unpack(json, "{s:s, s:I, s:I, s:I, s:I, s:b, s:b, s:b}", "path", &path, "device",
                    &device, "inode", &inode, "size", &size, "mtime_ns", &mtime, "mapped", &mapped,
                    "open", &open, "append", &append) < 0 ||
        !file_path_is_valid(path) || size < 0)
        return -EBADMSG;
    ret->path = strdup(path);
    if (!ret->path)
        return -ENOMEM;
    ret->device = device;
    ret->inode = inode;
    ret->size = size;
    ret->mtime_nsec = mtime;
    ret->mapped = mapped;
    ret->open = open;
    ret->append = append;
    return 0;
}

static int read_lists(json_t *root, struct manifest *m)
{
    json_t *images = json_object_get(root, "images"), *files = json_object_get(root, "files");
    size_t image_count = json_array_size(images), file_count = json_array_size(files);
    int r;

    if (image_count == 0 || !json_is_array(files))
        return -EBADMSG;
    m->images = calloc(image_count, sizeof(*m->images));
    m->files = calloc(file_count ? file_count : 1, sizeof(*m->files));
    if (!m->images || !m->files)
        return -ENOMEM;
    for (; m->image_count < image_count; m->image_count++)
        if ((r = read_image(json_array_get(images, m->image_count), &m->images[m->image_count])) <
            0)
            return r;
    for (; m->file_count < file_count; m->file_count++)
        if ((r = read_file(json_array_get(files, m->file_count), &m->files[m->file_count])) < 0)
            return r;
    return 0;
}

/* A string member as a new string in *ret. */
static int read_string(json_t *root, const char *key, char **ret)
{
    const char *value = json_string_value(json_object_get(root, key));

    if (!value)
        return -EBADMSG;
    *ret = strdup(value);
    return *ret ? 0 : -ENOMEM;
}

static int read_strings(json_t *root, struct manifest *m)
{
    const struct {
        const char *key;
        char **field;
    } all[] = {
        {"service", &m->service},   {"kind", &m->kind},
        {"criu_git", &m->criu_git}, {"kernel", &m->kernel},
        {"machine", &m->machine},   {"cpu", &m->cpu},
        {"host", &m->host},         {"restored_from", &m->restored_from},
    };

    for (size_t i = 0; i < ELEMENTS(all); i++) {
        int r = read_string(root, all[i].key, all[i].field);

        if (r < 0)
            return r;
    }
    return service_name_is_valid(m->service) ? 0 : -EBADMSG;
}

static int read_numbers(json_t *root, struct manifest *m)
{
    json_int_t number, realtime, boot, frozen, dump, bytes, out, err, ghost;
    int criu, pid, tcp, locks, pidns;
    const char *boot_id;

    if (json_unpack(
            root, "{s:I, s:I, s:I, s:s, s:I, s:I, s:I, s:i, s:i, s:[I,I], s:b, s:b, s:b, s:I}",
            "number", &number, "time_realtime_us", &realtime, "time_boot_us", &boot, "boot_id",
            &boot_id, "frozen_us", &frozen, "dump_us", &dump, "bytes", &bytes, "criu_version",
            &criu, "pid", &pid, "pipe_inodes", &out, &err, "tcp_established", &tcp, "file_locks",
            &locks, "pid_namespace", &pidns, "ghost_limit", &ghost) < 0 ||
        strlen(boot_id) != BOOT_ID_LEN || number <= 0 || bytes < 0)
        return -EBADMSG;
    m->number = number;
    m->time_realtime = realtime;
    m->time_boot = boot;
    memcpy(m->boot_id, boot_id, sizeof(m->boot_id));
    m->frozen_usec = frozen;
    m->dump_usec = dump;
    m->bytes = bytes;
    m->criu_version = criu;
    m->pid = pid;
    m->pipe_inode[STREAM_STDOUT] = out;
    m->pipe_inode[STREAM_STDERR] = err;
    m->tcp_established = tcp;
    m->file_locks = locks;
    m->pid_namespace = pidns;
    m->ghost_limit = ghost;
    return 0;
}

int manifest_read(int dirfd, struct manifest **ret)
{
    _cleanup_(manifest_freep) struct manifest *m = NULL;
    _cleanup_(json_freep) json_t *root = NULL;
    _cleanup_free_ char *data = NULL;
    size_t size;
    int r;

    r = fs_read(dirfd, MANIFEST_FILE, SIZE_MAX_BYTES, &data, &size);
    if (r < 0)
        return r;
    root = json_loadb(data, size, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(root) ||
        json_integer_value(json_object_get(root, "version")) != MANIFEST_VERSION)
        return -EBADMSG;
    m = calloc(1, sizeof(*m));
    if (!m)
        return -ENOMEM;
    if ((r = read_strings(root, m)) < 0 || (r = read_numbers(root, m)) < 0 ||
        (r = read_lists(root, m)) < 0)
        return r;
    *ret = TAKE_PTR(m);
    return 0;
}
