/* engine.c - life of the engine: set up, loop, and what it still does when the keeper is gone. */
#include "supervisord/engine.h"

#include "common/cleanup.h"
#include "common/fs.h"
#include "common/log.h"
#include "supervisord/keeper_fds.h"
#include "supervisord/manager.h"
#include "supervisord/orphan.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>

static void manager_done(struct manager *m)
{
    m->control = control_free(m->control);
    ckpt_disconnect(m);
    while (m->unit_count)
        manager_remove_unit(m, m->units[m->unit_count - 1]);
    free(m->units);
    free(m->cgroup_root);
    free(m->facts);
    settings_done(&m->settings);
    policy_errors_done(&m->errors);
    sd_event_source_disable_unref(m->sweep);
    keeper_client_close(m);
    fd_close(m->services_fd);
    sd_event_unref(m->event);
}

/* The keeper forwards what is meant for us; stray signals to the engine itself mean nothing.
 * SIGCHLD must be blocked for sd_event_add_child(3), SIGTERM for orphan_run(). */
static void set_signals(void)
{
    sigset_t blocked;

    sigemptyset(&blocked);
    sigaddset(&blocked, SIGCHLD);
    sigaddset(&blocked, SIGTERM);
    sigaddset(&blocked, SIGINT);
    sigaddset(&blocked, SIGHUP);
    sigaddset(&blocked, SIGQUIT);
    sigprocmask(SIG_SETMASK, &blocked, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static int on_owner(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    char discard[64];

    if (read(fd, discard, sizeof(discard)) > 0)
        return 0;
    sd_event_source_set_enabled(source, SD_EVENT_OFF);
    manager_terminate(userdata, false);
    return 0;
}

static int open_services_folder(struct manager *m)
{
    _cleanup_free_ char *path = fs_join(m->dirs->state, DIRS_SERVICES);
    int r;

    if (!path)
        return -ENOMEM;
    r = fs_mkdir_all(path, 0700);
    if (r < 0)
        return r;
    m->services_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return m->services_fd < 0 ? -errno : 0;
}

static int load_settings(struct manager *m)
{
    _cleanup_(policy_errors_done) struct policy_errors errors = {0};
    _cleanup_free_ char *path = fs_join(m->dirs->config, "perdure.ini");
    int r;

    if (!path)
        return -ENOMEM;
    r = settings_load(path, &errors, &m->settings);
    for (size_t i = 0; i < errors.count; i++)
        log_error("%s:%u: %s", errors.items[i].file, errors.items[i].line, errors.items[i].message);
    return r < 0 ? r : 0;
}

static int set_up(struct manager *m)
{
    int r;

    if ((r = sd_event_default(&m->event)) < 0 || (r = orphan_new(&m->orphan)) < 0 ||
        (r = load_settings(m)) < 0)
        return r;
    log_init("supervisord",
             m->run_mode && m->settings.log_level == LOG_INFO ? LOG_NOTICE : m->settings.log_level);
    if ((r = cgroup_root_find(m->dirs, &m->cgroup_root)) < 0 || (r = open_services_folder(m)) < 0 ||
        (r = policies_load(m)) < 0 || (r = keeper_client_open(m)) < 0)
        return r;
    if (m->run_mode)
        r = sd_event_add_io(m->event, NULL, STDIN_FILENO, EPOLLIN | EPOLLHUP, on_owner, m);
    return r == -EPERM ? 0 : r; /* a stdin that is a file has no end to wait for */
}

int engine_run(const struct engine_config *config)
{
    struct manager m = {
        .dirs = config->dirs,
        .run_mode = config->run_mode,
        .cold = config->cold,
        .services_fd = -1,
    };
    struct orphan *orphan;
    int r;

    set_signals();
    r = set_up(&m);
    if (r < 0)
        log_error("the engine cannot start: %s", strerror(-r));
    else
        r = sd_event_loop(m.event);
    orphan = TAKE_PTR(m.orphan);
    manager_done(&m);
    if (r == KEEPER_GONE && !m.quit) {
        fd_close(ENGINE_FD_KEEPER);
        fd_close(ENGINE_FD_CONTROL);
        fd_close(ENGINE_FD_NOTIFY);
        log_warning(
            "the keeper is gone: services go on; start supervisord again to take them over");
        r = orphan_run(orphan);
    }
    orphan_free(orphan);
    return r < 0;
}
