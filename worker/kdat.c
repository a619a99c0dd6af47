/* kdat.c - makes /run/criu.kdat by a criu in a private mount namespace with a tmpfs on /run. */
#include "worker/kdat.h"

#include "common/cleanup.h"
#include "common/fs.h"
#include "common/proc.h"
#include "worker/criu.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define RUN_DIR  "/run"
#define KDAT     "criu.kdat"
#define KDAT_TMP "criu.kdat.tmp" /* criu opens it O_EXCL: a left-over blocks the writing */
#define KDAT_NEW "criu.kdat.new" /* ours, until it is whole */
#define KDAT_MAX (64 * 1024)
/* Beside the cache, because it is one for all instances: what it was made for. */
#define MEMORY "criu.kdat.perdure"

/* A file as it was; zeroes for one that is not there. */
struct identity {
    uint64_t inode, size;
    int64_t mtime_nsec;
};

struct memory {
    char boot_id[BOOT_ID_LEN + 1];
    struct identity program, cache;
    int version;
};

static bool same(const struct identity *a, const struct identity *b)
{
    return a->inode != 0 && a->inode == b->inode && a->size == b->size &&
           a->mtime_nsec == b->mtime_nsec;
}

static struct identity identify(int dirfd, const char *path)
{
    struct stat st;

    if (fstatat(dirfd, path, &st, 0) < 0)
        return (struct identity){0};
    return (struct identity){
        .inode = st.st_ino,
        .size = (uint64_t)st.st_size,
        .mtime_nsec = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec,
    };
}

static int memory_load(int run_fd, struct memory *ret)
{
    _cleanup_free_ char *text = NULL;
    struct memory m;
    int r;

    r = fs_read(run_fd, MEMORY, 512, &text, NULL);
    if (r < 0)
        return r;
    if (sscanf(text,
               "%32s %" SCNu64 " %" SCNu64 " %" SCNd64 " %" SCNu64 " %" SCNu64 " %" SCNd64 " %d",
               m.boot_id, &m.program.inode, &m.program.size, &m.program.mtime_nsec, &m.cache.inode,
               &m.cache.size, &m.cache.mtime_nsec, &m.version) != 8)
        return -EBADMSG;
    *ret = m;
    return 0;
}

static int memory_save(int run_fd, const struct memory *m)
{
    char text[512];
    int n;

    n = snprintf(text, sizeof(text),
                 "%s %" PRIu64 " %" PRIu64 " %" PRId64 " %" PRIu64 " %" PRIu64 " %" PRId64 " %d\n",
                 m->boot_id, m->program.inode, m->program.size, m->program.mtime_nsec,
                 m->cache.inode, m->cache.size, m->cache.mtime_nsec, m->version);
    return fs_replace(run_fd, MEMORY, text, (size_t)n, 0600);
}

static int open_run(void)
{
    return open(RUN_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

int kdat_version(const char *binary)
{
    _cleanup_close_ int run_fd = open_run();
    struct identity program = identify(AT_FDCWD, binary);
    struct memory then;

    if (run_fd >= 0 && memory_load(run_fd, &then) == 0 && same(&program, &then.program))
        return then.version;
    return criu_program_version(binary);
}

/* In the child: `criu check`, whose exit status does not matter, leaves the cache on the tmpfs. */
static int run_check(const char *binary)
{
    pid_t pid = fork();
    int status, null;

    if (pid < 0)
        return -errno;
    if (pid == 0) {
        null = open("/dev/null", O_RDWR | O_CLOEXEC);
        dup2(null, STDIN_FILENO);
        dup2(null, STDOUT_FILENO);
        dup2(null, STDERR_FILENO);
        syscall(SYS_close_range, 3, ~0U, 0);
        execl(binary, binary, "check", (char *)NULL);
        _exit(127);
    }
    return waitpid(pid, &status, 0) < 0 ? -errno : 0;
}

static int copy_out(int run_fd)
{
    _cleanup_free_ char *data = NULL;
    _cleanup_close_ int fd = -1;
    size_t size;
    int r;

    r = fs_read(AT_FDCWD, RUN_DIR "/" KDAT, KDAT_MAX, &data, &size);
    if (r < 0)
        return r;
    fd = openat(run_fd, KDAT_NEW, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -errno;
    r = fs_write_all(fd, data, size);
    if (r == 0 && renameat(run_fd, KDAT_NEW, run_fd, KDAT) < 0)
        r = -errno;
    if (r < 0)
        (void)unlinkat(run_fd, KDAT_NEW, 0);
    return r;
}

/* In the child; `run_fd` is the real /run, opened before it is covered. */
static int make_in_namespace(int run_fd, const char *binary)
{
    int r;

    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("tmpfs", RUN_DIR, "tmpfs", MS_NOSUID | MS_NODEV, "size=1m,mode=0755") < 0)
        return -errno;
    r = run_check(binary);
    return r < 0 ? r : copy_out(run_fd);
}

static int make(int run_fd, const char *binary)
{
    int status;
    pid_t pid;

    pid = fork();
    if (pid < 0)
        return -errno;
    if (pid == 0)
        _exit(make_in_namespace(run_fd, binary) < 0);
    if (waitpid(pid, &status, 0) < 0)
        return -errno;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EIO;
}

void kdat_prepare(const char *binary, int *ret_version, bool *ret_cached)
{
    _cleanup_close_ int run_fd = open_run();
    struct memory now = {0}, then = {0};
    bool fresh;

    now.program = identify(AT_FDCWD, binary);
    now.cache = identify(run_fd, KDAT);
    *ret_cached = false;
    if (run_fd < 0 || proc_boot_id(now.boot_id) < 0) {
        *ret_version = criu_program_version(binary);
        return;
    }
    (void)memory_load(run_fd, &then);
    fresh = same(&now.program, &then.program) && same(&now.cache, &then.cache) &&
            strcmp(now.boot_id, then.boot_id) == 0;
    now.version = fresh ? then.version : criu_program_version(binary);
    if (!fresh && now.version > 0) {
        (void)unlinkat(run_fd, KDAT, 0);
        (void)unlinkat(run_fd, KDAT_TMP, 0);
        (void)make(run_fd, binary);
        now.cache = identify(run_fd, KDAT);
        (void)memory_save(run_fd, &now);
    }
    *ret_version = now.version;
    *ret_cached = now.cache.inode != 0;
}
