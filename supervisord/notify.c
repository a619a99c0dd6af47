/* notify.c - sd_notify(3) messages from services: READY=1, MAINPID=, STATUS=, STOPPING=1. */
#include "supervisord/manager.h"

#include "common/cleanup.h"
#include "common/fs.h"
#include "common/log.h"
#include "common/utf8.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

/* Whose process is it? By its cgroup's last folder, else by main pid. */
static struct unit *unit_of_pid(const struct manager *m, pid_t pid)
{
    _cleanup_free_ char *data = NULL;
    char path[32];

    for (size_t i = 0; i < m->unit_count; i++)
        if (m->units[i]->svc.pid == pid)
            return m->units[i];
    snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)pid);
    if (!m->cgroup_root || fs_read(AT_FDCWD, path, 1 << 16, &data, NULL) < 0)
        return NULL;
    for (char *line = data; line && *line;) {
        char *end = strchrnul(line, '\n'), *next = *end ? end + 1 : end;

        *end = '\0';
        if (strncmp(line, "0::", 3) == 0)
            for (size_t i = 0; i < m->unit_count; i++) {
                const char *folder = m->units[i]->cgroup;
                size_t n = strlen(line + 3);

                /* the line is relative to the mount point, our folder is not */
                if (folder && strlen(folder) >= n &&
                    strcmp(folder + strlen(folder) - n, line + 3) == 0)
                    return m->units[i];
            }
        line = next;
    }
    return NULL;
}

static void take_main_pid(struct unit *unit, const char *value)
{
    struct manager *m = unit->manager;
    pid_t pid = (pid_t)strtol(value, NULL, 10);
    uint64_t start_time;

    if (pid <= 0 || pid == unit->svc.pid)
        return;
    if (unit_of_pid(m, pid) != unit || proc_stat(pid, &start_time, NULL, NULL) < 0) {
        log_warning("%s: MAINPID=%d is not a process of this service, ignoring", unit->policy->name,
                    (int)pid);
        return;
    }
    ask_set_main(unit, pid, start_time);
}

static void take_line(struct unit *unit, const char *line, bool *ready)
{
    if (strcmp(line, "READY=1") == 0) {
        *ready = true;
    } else if (strncmp(line, "MAINPID=", 8) == 0) {
        take_main_pid(unit, line + 8);
    } else if (strncmp(line, "STATUS=", 7) == 0) {
        free(unit->status_text);
        unit->status_text = strdup(line + 7);
        if (unit->status_text)
            utf8_mend(unit->status_text);
    }
}

static void take_message(struct manager *m, char *text, pid_t sender)
{
    struct unit *unit = unit_of_pid(m, sender);
    bool ready = false;
    char *state = NULL;

    if (!unit) {
        log_debug("notification from pid %d, which is of no service of ours, ignoring",
                  (int)sender);
        return;
    }
    for (char *line = strtok_r(text, "\n", &state); line; line = strtok_r(NULL, "\n", &state))
        take_line(unit, line, &ready);
    /* Last, so that a MAINPID= beside it already counts. */
    if (ready && unit->svc.state == SERVICE_STARTING && unit->policy->type == TYPE_NOTIFY)
        unit_step(unit, EV_READY);
}

/* Descriptors that a service sends along (FDSTORE=1, BARRIER=1) are closed: we keep none, and
 * closing is the answer that BARRIER=1 asks for. */
static pid_t sender_of(struct msghdr *message)
{
    pid_t pid = 0;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
        if (c->cmsg_level != SOL_SOCKET)
            continue;
        if (c->cmsg_type == SCM_CREDENTIALS) {
            struct ucred credentials;

            memcpy(&credentials, CMSG_DATA(c), sizeof(credentials));
            pid = credentials.pid;
        } else if (c->cmsg_type == SCM_RIGHTS) {
            size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

            for (size_t i = 0; i < count; i++) {
                int fd;

                memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
                fd_close(fd);
            }
        }
    }
    return pid;
}

static int on_notification(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    char text[4096], control[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(sizeof(int) * 64)];
    struct iovec iov = {text, sizeof(text) - 1};
    struct msghdr message = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof(control)};
    ssize_t n;
    pid_t sender;

    n = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n < 0)
        return 0; /* gone again, or interrupted: epoll tells */
    sender = sender_of(&message);
    if (sender <= 0 || (message.msg_flags & MSG_TRUNC))
        return 0;
    text[n] = '\0';
    take_message(userdata, text, sender);
    return 0;
}

int notify_open(struct manager *m, int fd)
{
    return sd_event_add_io(m->event, NULL, fd, EPOLLIN, on_notification, m);
}
