/* keeper_stream.c - pipes and logs of a slot: new ones, those for a child, those of a killed
 * keeper. */
#include "supervisord/keeper_state.h"

#include "common/cleanup.h"
#include "common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

static uint64_t pipe_inode(int fd)
{
    struct stat st;

    return fstat(fd, &st) < 0 ? 0 : st.st_ino;
}

static bool has_pipe(uint32_t kind)
{
    return kind == STREAM_FILE || kind == STREAM_APPEND || kind == STREAM_INHERIT;
}

static int add_pump(struct slot *slot, int i, int pipe_fd, bool from_start)
{
    struct slot_saved *saved = &slot->saved;
    _cleanup_close_ int pipe = pipe_fd, log = -1;
    int r;

    r = pump_open_log(saved->stream[i], i, saved->target[i], from_start, &log);
    if (r < 0)
        return r;
    r = pump_new(slot->keeper->event, pipe, log, saved->target[i], NULL, NULL, &slot->pump[i]);
    if (r < 0)
        return r;
    saved->record.pipe_inode[i] = pipe_inode(pipe);
    (void)TAKE_FD(pipe);
    (void)TAKE_FD(log);
    return 0;
}

/* Two streams into one file share a pipe, so that their lines keep their order. */
static uint32_t effective_kind(const struct spawn_view *view, int i)
{
    uint32_t kind = view->spec->stream[i];

    if (i > 0 && (kind == STREAM_FILE || kind == STREAM_APPEND) && kind == view->spec->stream[0] &&
        strcmp(view->target[i], view->target[0]) == 0)
        return STREAM_SAME;
    return kind;
}

static int open_stream(struct slot *slot, const struct spawn_view *view, int i, bool from_start)
{
    struct slot_saved *saved = &slot->saved;
    uint32_t kind = effective_kind(view, i);
    const char *target = has_pipe(kind) && kind != STREAM_INHERIT ? view->target[i] : "";
    int fd, r;

    if (strlen(target) >= sizeof(saved->target[i]))
        return -ENAMETOOLONG;
    /* A restored service goes on in its old pipe and at its old place in the log. */
    if (!from_start && slot->pump[i] && saved->stream[i] == kind &&
        strcmp(saved->target[i], target) == 0)
        return 0;
    if (slot->pump[i])
        (void)pump_drain(slot->pump[i], 0);
    slot->pump[i] = pump_free(slot->pump[i]);
    saved->stream[i] = kind;
    strcpy(saved->target[i], target);
    saved->record.pipe_inode[i] = kind == STREAM_SAME ? saved->record.pipe_inode[0] : 0;
    if (!has_pipe(kind))
        return 0;
    r = pump_open_pipe(&fd);
    return r < 0 ? r : add_pump(slot, i, fd, from_start && kind == STREAM_FILE);
}

int slot_streams_open(struct slot *slot, const struct spawn_view *view, bool from_start)
{
    for (int i = 0; i < STREAM_COUNT; i++) {
        int r = open_stream(slot, view, i, from_start);

        if (r < 0)
            return r;
    }
    return 0;
}

/* New open file descriptions: O_NONBLOCK of ours and theirs must not meet. */
int slot_streams_for_child(struct slot *slot, int ret_fds[STREAM_COUNT])
{
    int fds[STREAM_COUNT] = {-1, -1};

    for (int i = 0; i < STREAM_COUNT; i++) {
        struct pump *pump = slot->saved.stream[i] == STREAM_SAME ? slot->pump[0] : slot->pump[i];

        if (!pump)
            continue;
        fds[i] = pump_reopen_pipe(pump_pipe_fd(pump), O_RDWR);
        if (fds[i] < 0) {
            fd_close(fds[0]);
            return fds[i];
        }
    }
    memcpy(ret_fds, fds, sizeof(fds));
    return 0;
}

void slot_streams_drain(struct slot *slot, int wait_ms)
{
    for (int i = 0; i < STREAM_COUNT; i++)
        if (slot->pump[i])
            (void)pump_drain(slot->pump[i], wait_ms); /* what blocks is told by the pump */
}

void slot_streams_mark(struct slot *slot, const char *text)
{
    const struct slot_saved *saved = &slot->saved;
    _cleanup_close_ int log = -1;
    char line[sizeof(saved->record.text)];
    int r = 0;

    (void)snprintf(line, sizeof(line), "%.*s", (int)strcspn(text, "\n"), text);
    if (slot->pump[0])
        r = pump_mark(slot->pump[0], line);
    else if (has_pipe(saved->stream[0]) &&
             (r = pump_open_log(saved->stream[0], 0, saved->target[0], false, &log)) == 0)
        r = pump_mark_log(log, line);
    if (r < 0)
        log_warning("%s: cannot write a mark into its log: %s", saved->record.name, strerror(-r));
}

/* ---- after a keeper's death: the pipes live on in the service's descriptors ---- */

struct pipe_search {
    uint64_t inode;
    int fd;
};

static int open_if_pipe(const char *path, struct pipe_search *search)
{
    struct stat st;

    if (stat(path, &st) < 0 || !S_ISFIFO(st.st_mode) || st.st_ino != search->inode)
        return 0;
    search->fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    return search->fd >= 0;
}

static int search_process(pid_t pid, void *userdata)
{
    _cleanup_closedir_ DIR *dir = NULL;
    struct dirent *entry;
    char path[300];
    int found = 0;

    (void)snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
    dir = opendir(path);
    while (!found && dir && (entry = readdir(dir))) {
        (void)snprintf(path, sizeof(path), "/proc/%d/fd/%s", (int)pid, entry->d_name);
        found = open_if_pipe(path, userdata);
    }
    return found;
}

static int find_pipe(struct slot *slot, int i)
{
    struct pipe_search search = {.inode = slot->saved.record.pipe_inode[i], .fd = -1};
    struct family family = slot_family(slot);
    char path[64];

    (void)snprintf(path, sizeof(path), "/proc/%d/fd/%d", slot->saved.record.pid, STDOUT_FILENO + i);
    if (!open_if_pipe(path, &search))
        (void)family_for_each(&family, search_process, &search);
    return search.fd;
}

void slot_streams_adopt(struct slot *slot)
{
    for (int i = 0; i < STREAM_COUNT; i++) {
        int fd, r;

        if (!has_pipe(slot->saved.stream[i]) || slot->pump[i])
            continue;
        fd = find_pipe(slot, i);
        r = fd < 0 ? -ENOENT : add_pump(slot, i, fd, false);
        if (fd < 0) {
            log_info("%s: nobody holds its %s any more", slot->saved.record.name,
                     i == STREAM_STDOUT ? "output" : "error output");
            slot->saved.record.pipe_inode[i] = 0;
        } else if (r < 0) {
            log_error("%s: cannot go on with its log %s: %s", slot->saved.record.name,
                      slot->saved.target[i], strerror(-r));
        }
    }
    if (slot->saved.stream[STREAM_STDERR] == STREAM_SAME)
        slot->saved.record.pipe_inode[STREAM_STDERR] = slot->saved.record.pipe_inode[0];
}
