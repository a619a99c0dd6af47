/* sample.c - a manifest to start from. */
#include "tests/image/sample.h"

#include "common/cleanup.h"
#include "common/fs.h"
#include "image/host.h"

#include <assert.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

static struct manifest_image image = {
    .name = (char *)"pages-1.img",
    .size = 4,
    .plain_size = 4,
    .inode = 7,
    .mtime_nsec = 1,
    .ctime_nsec = 2,
};

static struct keys *keys;

void sample_use_keys(const char *path)
{
    keys = keys_free(keys);
    if (keys_read_or_make(path, &keys) < 0)
        abort();
}

/* Made once a run; the file is gone before anybody could read it. */
const struct keys *sample_keys(void)
{
    char folder[] = "/tmp/perdure-test-keys-XXXXXX", path[sizeof(folder) + 4];

    if (keys)
        return keys;
    if (!mkdtemp(folder))
        abort();
    snprintf(path, sizeof(path), "%s/key", folder);
    sample_use_keys(path);
    if (fs_remove_all(AT_FDCWD, folder) < 0)
        abort();
    return keys;
}

struct manifest sample_manifest(const char *name, uint64_t number, struct manifest_file *files,
                                size_t file_count)
{
    static struct host host;
    struct manifest m = {
        .service = (char *)name,
        .number = number,
        .time_realtime = 1700000000123456 + number,
        .time_boot = 1000 + number,
        .frozen_usec = 5000,
        .dump_usec = 9000,
        .bytes = 4096,
        .criu_version = 40101,
        .criu_git = (char *)"",
        .pid = 42,
        .pipe_inode = {11, 12},
        .file_locks = true,
        .ghost_limit = 1 << 20,
        .restored_from = (char *)"",
        .images = &image,
        .image_count = 1,
        .files = files,
        .file_count = file_count,
    };

    if (!host.machine && host_read(&host) < 0)
        abort();
    memset(image.sha256, 'a', HASH_HEX);
    m.kernel = host.kernel;
    m.machine = host.machine;
    m.cpu = host.cpu;
    m.host = host.name;
    if (proc_boot_id(m.boot_id) < 0)
        abort();
    return m;
}

void sample_checkpoint(int dirfd, const char *name, uint64_t number)
{
    struct manifest m = sample_manifest(name, number, NULL, 0);
    _cleanup_close_ int service = -1, folder = -1, file = -1;
    char text[24];

    snprintf(text, sizeof(text), "%llu", (unsigned long long)number);
    (void)mkdirat(dirfd, name, 0700);
    service = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert(service >= 0);
    assert(mkdirat(service, text, 0700) == 0);
    folder = openat(service, text, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    file = openat(folder, image.name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert(file >= 0 && write(file, "page", 4) == 4);
    assert(manifest_write(folder, &m, sample_keys()) == 0);
}
