/* manifest.c - writes the manifest as JSON (jansson), and seals it. */
#include "image/manifest_parts.h"

#include "common/cleanup.h"
#include "common/fs.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

const char *const manifest_files_words[MANIFEST_FILES_WORDS] = {[FILES_IGNORE] = "ignore",
                                                                [FILES_REFUSE] = "refuse",
                                                                [FILES_TRUNCATE] = "truncate",
                                                                [FILES_SNAPSHOT] = "snapshot"};

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
    for (size_t i = 0; i < manifest->file_count; i++) {
        free(manifest->files[i].path);
        free(manifest->files[i].snapshot);
    }
    free(manifest->images);
    free(manifest->files);
    free(manifest->service);
    free(manifest->criu_git);
    free(manifest->kernel);
    free(manifest->machine);
    free(manifest->cpu);
    free(manifest->host);
    free(manifest->restored_from);
    free(manifest);
    return NULL;
}

static const char *text(const char *s)
{
    return s ? s : "";
}

static json_t *images_to_json(const struct manifest *m)
{
    json_t *array = json_array();

    for (size_t i = 0; i < m->image_count; i++) {
        const struct manifest_image *image = &m->images[i];

        if (json_array_append_new(
                array, json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:s}", "name", image->name, "size",
                                 (json_int_t)image->size, "plain_size",
                                 (json_int_t)image->plain_size, "inode", (json_int_t)image->inode,
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
                json_pack(
                    "{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:b, s:b, s:b, s:b, s:I, s:I, s:I}",
                    "path", file->path, "device", (json_int_t)file->device, "inode",
                    (json_int_t)file->inode, "size", (json_int_t)file->size, "mtime_ns",
                    (json_int_t)file->mtime_nsec, "offset", (json_int_t)file->offset, "flags",
                    (json_int_t)file->flags, "snapshot", text(file->snapshot), "deleted",
                    file->deleted, "mapped", file->mapped, "open", file->open, "append",
                    file->append, "mode", (json_int_t)file->mode, "uid", (json_int_t)file->uid,
                    "gid", (json_int_t)file->gid)) < 0)
            goto fail;
    }
    return array;
fail:
    json_decref(array);
    return NULL;
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
    return json_pack("{s:i, s:s, s:s, s:I, s:s, s:s, s:o, s:I, s:I}", "version", MANIFEST_VERSION,
                     "id", id, "service", m->service, "number", (json_int_t)m->number, "time",
                     format_rfc3339(m->time_realtime, time), "kind", m->parent ? "delta" : "full",
                     "parent", m->parent ? json_integer((json_int_t)m->parent) : json_null(),
                     "pages", (json_int_t)m->pages, "pages_stored", (json_int_t)m->pages_stored);
}

static json_t *facts_to_json(const struct manifest *m)
{
    return json_pack(
        "{s:I, s:I, s:s, s:I, s:I, s:I, s:I, s:I, s:i, s:s, s:s, s:s, s:s, s:s, s:i, s:[I,I], s:b, "
        "s:b, s:b, s:b, s:I, s:s, s:I, s:s}",
        "time_realtime_us", (json_int_t)m->time_realtime, "time_boot_us", (json_int_t)m->time_boot,
        "boot_id", m->boot_id, "frozen_us", (json_int_t)m->frozen_usec, "dump_us",
        (json_int_t)m->dump_usec, "delta_cpu_us", (json_int_t)m->delta_cpu_usec, "hash_cpu_us",
        (json_int_t)m->hash_cpu_usec, "bytes", (json_int_t)m->bytes, "criu_version",
        (int)m->criu_version, "criu_git", text(m->criu_git), "kernel", text(m->kernel), "machine",
        text(m->machine), "cpu", text(m->cpu), "host", text(m->host), "pid", (int)m->pid,
        "pipe_inodes", (json_int_t)m->pipe_inode[STREAM_STDOUT],
        (json_int_t)m->pipe_inode[STREAM_STDERR], "tcp_established", m->tcp_established,
        "file_locks", m->file_locks, "pid_namespace", m->pid_namespace, "imported", m->imported,
        "ghost_limit", (json_int_t)m->ghost_limit, "files_mode",
        manifest_files_words[m->files_mode], "files_us", (json_int_t)m->files_usec, "restored_from",
        text(m->restored_from));
}

static json_t *manifest_to_json(const struct manifest *m)
{
    json_t *root = names_to_json(m);
    _cleanup_(json_freep) json_t *facts = facts_to_json(m);

    if (root && facts && json_object_update(root, facts) == 0 &&
        json_object_set_new(root, "images", images_to_json(m)) == 0 &&
        json_object_set_new(root, "files", files_to_json(m)) == 0)
        return root;
    json_decref(root);
    return NULL;
}

/* `body` is the object without its end, "\n}". */
static int seal(const char *body, const struct keys *keys, char **ret)
{
    const char *id = keys_current(keys);
    char mac[KEYS_MAC_SIZE], *sealed;
    int r = keys_sign(keys, id, body, strlen(body), mac);

    if (r < 0)
        return r;
    if (asprintf(&sealed, "%s" TAIL_KEY "%s" TAIL_MAC "%s" TAIL_END, body, id, mac) < 0)
        return -ENOMEM;
    *ret = sealed;
    return 0;
}

int manifest_write(int dirfd, const struct manifest *m, const struct keys *keys)
{
    _cleanup_(json_freep) json_t *root = NULL;
    _cleanup_free_ char *body = NULL, *sealed = NULL;
    int r;

    /* A path that is not UTF-8 cannot be written down as JSON: -EINVAL, and the dump fails. */
    root = keys ? manifest_to_json(m) : NULL;
    if (!root)
        return -EINVAL;
    body = json_dumps(root, JSON_INDENT(1));
    if (!body)
        return -ENOMEM;
    body[strlen(body) - strlen("\n}")] = '\0';
    r = seal(body, keys, &sealed);
    if (r < 0)
        return r;
    return fs_replace(dirfd, MANIFEST_FILE, sealed, strlen(sealed), 0600);
}
