/* netlock.c - deletes an nft table by libnftables(3), loaded in the rare case that it is needed. */
#include "worker/netlock.h"

#include "common/cleanup.h"
#include "common/fs.h"
#include "common/log.h"
#include "image/layout.h"
#include "worker/criu_log.h"
#include "worker/worker.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define RUN_ID_SIZE 64
/* CRIU before and at 4.1.1 cuts "inet CRIU-RUN_ID" to a buffer of 32 bytes (criu/netfilter.c). */
#define CUT_RUN_ID (31 - (int)strlen("inet CRIU-"))
#define LOG_MAX    (64u << 20)

/* CRIU makes it by uuid_unparse(3); anything else must not reach nft's parser. */
static int run_id_is_valid(const char *run_id)
{
    size_t len = strlen(run_id);

    return len > 0 && len < RUN_ID_SIZE && strspn(run_id, "0123456789abcdefABCDEF-") == len;
}

int netlock_remove(const char *run_id)
{
    void *(*ctx_new)(unsigned flags);
    void (*ctx_free)(void *ctx);
    int (*buffer_error)(void *ctx);
    int (*run)(void *ctx, const char *command);
    char command[RUN_ID_SIZE + 64];
    int whole = (int)strlen(run_id);
    void *lib, *ctx;

    if (!run_id_is_valid(run_id))
        return -EINVAL;
    lib = dlopen("libnftables.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!lib)
        return -ENOSYS;
    *(void **)&ctx_new = dlsym(lib, "nft_ctx_new");
    *(void **)&ctx_free = dlsym(lib, "nft_ctx_free");
    *(void **)&buffer_error = dlsym(lib, "nft_ctx_buffer_error");
    *(void **)&run = dlsym(lib, "nft_run_cmd_from_buffer");
    if (!ctx_new || !ctx_free || !buffer_error || !run)
        return -ENOSYS;
    ctx = ctx_new(0);
    if (!ctx)
        return -ENOMEM;
    (void)buffer_error(ctx); /* keeps "no such table" off our stderr */
    for (int len = whole;; len = CUT_RUN_ID) {
        snprintf(command, sizeof(command), "delete table inet CRIU-%.*s", len, run_id);
        (void)run(ctx, command);
        if (len <= CUT_RUN_ID)
            break;
    }
    ctx_free(ctx);
    return 0;
}

int netlock_remove_of_log(int dirfd, const char *log_name)
{
    _cleanup_free_ char *log = NULL;
    char run_id[RUN_ID_SIZE];
    int r;

    r = fs_read(dirfd, log_name, LOG_MAX, &log, NULL);
    if (r == -ENOENT || (r == 0 && !criu_log_run_id(log, run_id, sizeof(run_id))))
        return 0; /* no log, or one of a run that locked nothing */
    if (r < 0)
        return r;
    return netlock_remove(run_id);
}

int worker_unlock(const struct worker_args *args)
{
    _cleanup_close_ int dir_fd = open(args->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r = dir_fd < 0 ? -errno : netlock_remove_of_log(dir_fd, LAYOUT_DUMP_LOG);

    if (r < 0)
        log_error("%s: removing CRIU's network lock: %s; see 'nft list tables'", args->dir,
                  strerror(-r));
    return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
