/* dump_request.c - the dump request as bytes: one fixed head, then NUL-terminated strings. */
#include "common/dump_request.h"
#include "common/cleanup.h"
#include "common/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define MAGIC 0x32717264u /* "drq2" */
#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

struct head {
    uint32_t magic;
    int32_t pid;
    uint64_t start_time;
    uint64_t pipe_inode[STREAM_COUNT];
    uint64_t ghost_limit, staging_max;
    uint32_t max_chain, compress;
    int32_t drill_nice;
    uint8_t staging, files;
    uint8_t encrypt, tcp_established, file_locks, pid_namespace, reserved[6];
};

/* The strings in the order in which they follow the head. */
enum { STRINGS = 6 };

static void strings_of(const struct ckpt_spec *spec, const char *ret[STRINGS])
{
    const char *all[STRINGS] = {spec->name,           spec->cgroup,          spec->snapshot_paths,
                                spec->pre_checkpoint, spec->post_checkpoint, spec->restored_from};

    for (int i = 0; i < STRINGS; i++)
        ret[i] = all[i] ? all[i] : "";
}

int dump_request_pack(const struct ckpt_spec *spec, int *ret_fd)
{
    _cleanup_close_ int fd = -1;
    const char *strings[STRINGS];
    size_t size = sizeof(struct head);
    int r;

    strings_of(spec, strings);
    for (int i = 0; i < STRINGS; i++)
        size += strlen(strings[i]) + 1;
    if (size > DUMP_REQUEST_MAX)
        return -E2BIG;

    const struct head head = {
        .magic = MAGIC,
        .pid = spec->pid,
        .start_time = spec->start_time,
        .pipe_inode = {spec->pipe_inode[STREAM_STDOUT], spec->pipe_inode[STREAM_STDERR]},
        .ghost_limit = spec->ghost_limit,
        .staging_max = spec->staging_max,
        .max_chain = spec->max_chain,
        .compress = spec->compress,
        .drill_nice = spec->drill_nice,
        .staging = (uint8_t)spec->staging,
        .files = (uint8_t)spec->files,
        .encrypt = spec->encrypt,
        .tcp_established = spec->tcp_established,
        .file_locks = spec->file_locks,
        .pid_namespace = spec->pid_namespace,
    };
    fd = memfd_create("dump-request", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -errno;
    r = fs_write_all(fd, &head, sizeof(head));
    for (int i = 0; i < STRINGS && r >= 0; i++)
        r = fs_write_all(fd, strings[i], strlen(strings[i]) + 1);
    if (r < 0)
        return r;
    if (fcntl(fd, F_ADD_SEALS, SEALS) < 0)
        return -errno;
    *ret_fd = TAKE_FD(fd);
    return 0;
}

/* Copies the strings out of `text`; every one must be terminated within `size` bytes. */
static int read_strings(const char *text, size_t size, struct ckpt_spec *spec)
{
    char **all[STRINGS] = {&spec->name,           &spec->cgroup,          &spec->snapshot_paths,
                           &spec->pre_checkpoint, &spec->post_checkpoint, &spec->restored_from};

    for (int i = 0; i < STRINGS; i++) {
        size_t len = strnlen(text, size);

        if (len == size)
            return -EBADMSG;
        *all[i] = strdup(text);
        if (!*all[i])
            return -ENOMEM;
        text += len + 1;
        size -= len + 1;
    }
    return size == 0 ? 0 : -EBADMSG;
}

int dump_request_read(int fd, struct ckpt_spec *ret_spec)
{
    _cleanup_free_ char *data = NULL;
    struct head head;
    struct stat st;
    ssize_t n;
    int r;

    if (fstat(fd, &st) < 0)
        return -errno;
    if (st.st_size < (off_t)sizeof(head) || st.st_size > DUMP_REQUEST_MAX)
        return -EBADMSG;
    data = malloc(st.st_size);
    if (!data)
        return -ENOMEM;
    n = pread(fd, data, st.st_size, 0);
    if (n < 0)
        return -errno;
    memcpy(&head, data, sizeof(head));
    if (n != st.st_size || head.magic != MAGIC || head.staging > STAGING_DISK ||
        head.files > FILES_SNAPSHOT)
        return -EBADMSG;

    struct ckpt_spec spec = {
        .pid = head.pid,
        .start_time = head.start_time,
        .pipe_inode = {head.pipe_inode[STREAM_STDOUT], head.pipe_inode[STREAM_STDERR]},
        .ghost_limit = head.ghost_limit,
        .staging_max = head.staging_max,
        .max_chain = head.max_chain,
        .compress = head.compress,
        .drill_nice = head.drill_nice,
        .staging = head.staging,
        .files = head.files,
        .encrypt = head.encrypt,
        .tcp_established = head.tcp_established,
        .file_locks = head.file_locks,
        .pid_namespace = head.pid_namespace,
    };
    r = read_strings(data + sizeof(head), n - sizeof(head), &spec);
    if (r < 0) {
        ckpt_spec_done(&spec);
        return r;
    }
    *ret_spec = spec;
    return 0;
}
