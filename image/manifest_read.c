/* manifest_read.c - reads the manifest (jansson), and trusts nothing in it. */
#include "image/manifest_parts.h"

#include "common/cleanup.h"
#include "common/dirs.h"
#include "common/fs.h"
#include "image/layout.h"
#include "image/pack.h"

#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <string.h>

static void json_freep(json_t **json)
{
    json_decref(*json);
}

static void manifest_freep(struct manifest **manifest)
{
    manifest_free(*manifest);
}

static bool image_name_is_valid(const char *name)
{
    return name[0] != '\0' && name[0] != '.' && !strchr(name, '/') &&
           strcmp(name, MANIFEST_FILE) != 0 && strcmp(name, LAYOUT_PARENT) != 0 &&
           !pack_name_is_packed_twice(name);
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
    json_int_t size, plain_size, inode, mtime, ctime;
    const char *name, *hash;

    if (json_unpack(json, "{s:s, s:I, s:I, s:I, s:I, s:I, s:s}", "name", &name, "size", &size,
                    "plain_size", &plain_size, "inode", &inode, "mtime_ns", &mtime, "ctime_ns",
                    &ctime, "sha256", &hash) < 0 ||
        !image_name_is_valid(name) || !hash_is_valid(hash) || size < 0 || plain_size < 0 ||
        (size != plain_size && !pack_name_is_packed(name)))
        return -EBADMSG;
    ret->name = strdup(name);
    if (!ret->name)
        return -ENOMEM;
    ret->size = size;
    ret->plain_size = plain_size;
    ret->inode = inode;
    ret->mtime_nsec = mtime;
    ret->ctime_nsec = ctime;
    memcpy(ret->sha256, hash, sizeof(ret->sha256));
    return 0;
}

static int read_file(json_t *json, struct manifest_file *ret)
{
    json_int_t device, inode, size, mtime, offset, flags, mode, uid, gid;
    int mapped, open, append, deleted;
    const char *path, *snapshot;

    if (json_unpack(json,
                    "{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:b, s:b, s:b, s:b, s:I, s:I, s:I}",
                    "path", &path, "device", &device, "inode", &inode, "size", &size, "mtime_ns",
                    &mtime, "offset", &offset, "flags", &flags, "snapshot", &snapshot, "deleted",
                    &deleted, "mapped", &mapped, "open", &open, "append", &append, "mode", &mode,
                    "uid", &uid, "gid", &gid) < 0 ||
        !file_path_is_valid(path) || size < 0 || offset < 0 || flags < 0 || flags > UINT32_MAX ||
        mode < 0 || mode > 07777 || uid < 0 || uid > UINT32_MAX || gid < 0 || gid > UINT32_MAX ||
        (snapshot[0] && !image_name_is_valid(snapshot)))
        return -EBADMSG;
    ret->path = strdup(path);
    ret->snapshot = strdup(snapshot);
    if (!ret->path || !ret->snapshot) {
        free(ret->path);
        free(ret->snapshot);
        *ret = (struct manifest_file){};
        return -ENOMEM;
    }
    ret->device = device;
    ret->inode = inode;
    ret->size = size;
    ret->mtime_nsec = mtime;
    ret->offset = offset;
    ret->flags = flags;
    ret->deleted = deleted;
    ret->mapped = mapped;
    ret->open = open;
    ret->append = append;
    ret->mode = (uint32_t)mode;
    ret->uid = (uint32_t)uid;
    ret->gid = (uint32_t)gid;
    return 0;
}

static int by_plain_name(const void *a, const void *b)
{
    const struct manifest_image *x = *(const struct manifest_image *const *)a;
    const struct manifest_image *y = *(const struct manifest_image *const *)b;
    size_t x_length = pack_plain_name_length(x->name), y_length = pack_plain_name_length(y->name);
    int order = strncmp(x->name, y->name, x_length < y_length ? x_length : y_length);

    return order ? order : (x_length > y_length) - (x_length < y_length);
}

/* Which of two that CRIU knows by one name would be read, must not depend on who reads. */
static int check_plain_names(const struct manifest *m)
{
    _cleanup_free_ const struct manifest_image **sorted = NULL;

    sorted = calloc(m->image_count, sizeof(const struct manifest_image *));
    if (!sorted)
        return -ENOMEM;
    for (size_t i = 0; i < m->image_count; i++)
        sorted[i] = &m->images[i];
    qsort(sorted, m->image_count, sizeof(*sorted), by_plain_name);
    for (size_t i = 1; i < m->image_count; i++)
        if (by_plain_name(&sorted[i - 1], &sorted[i]) == 0)
            return -EBADMSG;
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
    return check_plain_names(m);
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
        {"service", &m->service},
        {"criu_git", &m->criu_git},
        {"kernel", &m->kernel},
        {"machine", &m->machine},
        {"cpu", &m->cpu},
        {"host", &m->host},
        {"restored_from", &m->restored_from},
    };

    for (size_t i = 0; i < ELEMENTS(all); i++) {
        int r = read_string(root, all[i].key, all[i].field);

        if (r < 0)
            return r;
    }
    return service_name_is_valid(m->service) ? 0 : -EBADMSG;
}

static int read_files_mode(json_t *root, struct manifest *m)
{
    const char *word = json_string_value(json_object_get(root, "files_mode"));

    for (size_t i = 0; word && i < MANIFEST_FILES_WORDS; i++)
        if (strcmp(word, manifest_files_words[i]) == 0) {
            m->files_mode = (enum files_mode)i;
            return 0;
        }
    return -EBADMSG;
}

/* A number, or null: a full image. Which of the two is older does not matter: an older image may
 * have been written anew against a newer one. */
static int read_parent(json_t *root, struct manifest *m)
{
    json_t *parent = json_object_get(root, "parent");
    json_int_t number = json_integer_value(parent);

    if (!json_is_null(parent) && (number <= 0 || (uint64_t)number == m->number))
        return -EBADMSG;
    m->parent = (uint64_t)number;
    return 0;
}

static int read_numbers(json_t *root, struct manifest *m)
{
    json_int_t pages, stored, number, realtime, boot, frozen, dump, bytes, out, err, ghost, files;
    json_int_t delta_cpu, hash_cpu;
    int criu, pid, tcp, locks, pidns;
    const char *boot_id;

    if (json_unpack(root,
                    "{s:I, s:I, s:I, s:I, s:I, s:s, s:I, s:I, s:I, s:I, s:I, s:i, s:i, s:[I,I], "
                    "s:b, s:b, s:b, "
                    "s:I, s:I}",
                    "pages", &pages, "pages_stored", &stored, "number", &number, "time_realtime_us",
                    &realtime, "time_boot_us", &boot, "boot_id", &boot_id, "frozen_us", &frozen,
                    "dump_us", &dump, "delta_cpu_us", &delta_cpu, "hash_cpu_us", &hash_cpu, "bytes",
                    &bytes, "criu_version", &criu, "pid", &pid, "pipe_inodes", &out, &err,
                    "tcp_established", &tcp, "file_locks", &locks, "pid_namespace", &pidns,
                    "ghost_limit", &ghost, "files_us", &files) < 0 ||
        strlen(boot_id) != BOOT_ID_LEN || number <= 0 || bytes < 0 || pages < 0 || stored < 0)
        return -EBADMSG;
    m->pages = pages;
    m->pages_stored = stored;
    m->number = number;
    m->time_realtime = realtime;
    m->time_boot = boot;
    memcpy(m->boot_id, boot_id, sizeof(m->boot_id));
    m->frozen_usec = frozen;
    m->dump_usec = dump;
    m->delta_cpu_usec = delta_cpu;
    m->hash_cpu_usec = hash_cpu;
    m->bytes = bytes;
    m->criu_version = criu;
    m->pid = pid;
    m->pipe_inode[STREAM_STDOUT] = out;
    m->pipe_inode[STREAM_STDERR] = err;
    m->tcp_established = tcp;
    m->file_locks = locks;
    m->pid_namespace = pidns;
    m->imported = json_is_true(json_object_get(root, "imported"));
    m->ghost_limit = ghost;
    m->files_usec = files;
    return 0;
}

/* Key id and mac of a file that ends as ours do, and the size of what is before. */
static int read_tail(const char *data, size_t size, size_t *ret_body, char id[KEYS_ID_SIZE],
                     char mac[KEYS_MAC_SIZE])
{
    const char *tail = data + size - TAIL_SIZE, *key, *end;

    if (size <= TAIL_SIZE)
        return -EBADMSG;
    key = tail + strlen(TAIL_KEY);
    end = data + size - strlen(TAIL_END);
    memcpy(id, key, KEYS_ID_SIZE - 1);
    memcpy(mac, end - (KEYS_MAC_SIZE - 1), KEYS_MAC_SIZE - 1);
    id[KEYS_ID_SIZE - 1] = mac[KEYS_MAC_SIZE - 1] = '\0';
    if (memcmp(tail, TAIL_KEY, strlen(TAIL_KEY)) != 0 ||
        memcmp(key + KEYS_ID_SIZE - 1, TAIL_MAC, strlen(TAIL_MAC)) != 0 ||
        memcmp(end, TAIL_END, strlen(TAIL_END)) != 0 ||
        strspn(id, "0123456789abcdef") != KEYS_ID_SIZE - 1 ||
        strspn(mac, "0123456789abcdef") != KEYS_MAC_SIZE - 1)
        return -EBADMSG;
    *ret_body = size - TAIL_SIZE;
    return 0;
}

int manifest_parse(const char *data, size_t size, struct manifest **ret)
{
    _cleanup_(manifest_freep) struct manifest *m = NULL;
    _cleanup_(json_freep) json_t *root = NULL;
    char mac[KEYS_MAC_SIZE];
    size_t body;
    int r;

    m = calloc(1, sizeof(*m));
    if (!m)
        return -ENOMEM;
    r = read_tail(data, size, &body, m->key, mac);
    if (r < 0)
        return r;
    root = json_loadb(data, size, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(root) ||
        json_integer_value(json_object_get(root, "version")) != MANIFEST_VERSION)
        return -EBADMSG;
    if ((r = read_strings(root, m)) < 0 || (r = read_numbers(root, m)) < 0 ||
        (r = read_parent(root, m)) < 0 || (r = read_files_mode(root, m)) < 0 ||
        (r = read_lists(root, m)) < 0)
        return r;
    *ret = TAKE_PTR(m);
    return 0;
}

int manifest_verify(const char *data, size_t size, const struct keys *keys)
{
    char id[KEYS_ID_SIZE], mac[KEYS_MAC_SIZE];
    size_t body;
    int r = read_tail(data, size, &body, id, mac);

    return r < 0 ? r : keys_verify(keys, id, data, body, mac);
}

int manifest_read(int dirfd, const struct keys *keys, struct manifest **ret)
{
    _cleanup_free_ char *data = NULL;
    size_t size;
    int r;

    r = fs_read(dirfd, MANIFEST_FILE, MANIFEST_MAX, &data, &size);
    if (r == 0 && keys)
        r = manifest_verify(data, size, keys);
    return r < 0 ? r : manifest_parse(data, size, ret);
}
