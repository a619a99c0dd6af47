/* pid_file.c - Type=forking: waits for PIDFile= to name a process of the service. */
#include "supervisord/manager.h"

#include "common/cleanup.h"
#include "common/fs.h"
#include "common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/inotify.h>

/* Is the pid in the service's cgroup? Anything may be written into a PID file. */
static bool pid_is_of(const struct unit *unit, pid_t pid)
{
    _cleanup_free_ char *path = NULL, *data = NULL;
    pid_t parent;

    if (!unit->cgroup) /* no cgroups: our keeper must have inherited it */
        return proc_stat(pid, NULL, &parent, NULL) == 0 && parent == getppid();
    path = fs_join(unit->cgroup, "cgroup.procs");
    if (!path || fs_read(AT_FDCWD, path, 1 << 20, &data, NULL) < 0)
        return false;
    for (const char *p = data; *p; p += strcspn(p, "\n") + 1) {
        if (strtol(p, NULL, 10) == pid)
            return true;
        if (p[strcspn(p, "\n")] == '\0')
            break;
    }
    return false;
}

/* 1: ready; 0: not yet. */
static int try_pid_file(struct unit *unit)
{
    _cleanup_free_ char *data = NULL;
    uint64_t start_time;
    pid_t pid;

    if (fs_read(AT_FDCWD, unit->policy->pid_file, 64, &data, NULL) < 0)
        return 0;
    pid = (pid_t)strtol(data, NULL, 10);
    if (pid <= 0 || !pid_is_of(unit, pid) || proc_stat(pid, &start_time, NULL, NULL) < 0) {
        unit_set_error(unit, "%s names pid %d, which is not a process of this service",
                       unit->policy->pid_file, (int)pid);
        return 0;
    }
    unit->pid_file_watch = sd_event_source_disable_unref(unit->pid_file_watch);
    ask_set_main(unit, pid, start_time);
    unit_step(unit, EV_READY);
    return 1;
}

static int on_folder_changed(sd_event_source *source, const struct inotify_event *event,
                             void *userdata)
{
    (void)try_pid_file(userdata);
    return 0;
}

void pid_file_wait(struct unit *unit)
{
    _cleanup_free_ char *folder = NULL;
    char *slash;
    int r;

    unit->svc.pid = 0;
    folder = strdup(unit->policy->pid_file);
    slash = folder ? strrchr(folder, '/') : NULL;
    if (!slash)
        return;
    *slash = '\0';
    unit->pid_file_watch = sd_event_source_disable_unref(unit->pid_file_watch);
    /* Watched before it is read, so that a file written in between is not missed. */
    r = sd_event_add_inotify(unit->manager->event, &unit->pid_file_watch, *folder ? folder : "/",
                             IN_CLOSE_WRITE | IN_MOVED_TO, on_folder_changed, unit);
    if (r < 0) {
        unit_set_error(unit, "cannot watch the folder of PIDFile=%s: %s", unit->policy->pid_file,
                       strerror(-r));
        log_error("%s: %s", unit->policy->name, unit->record.error);
    }
    (void)try_pid_file(unit);
}
