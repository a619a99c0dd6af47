/* task.c - runs one worker in the background and hears what it reports. */
#include "ckptd/task.h"

#include "ckptd/worker_run.h"
#include "common/cleanup.h"
#include "common/fs.h"
#include "common/proc.h"
#include "common/session.h"
#include "common/strv.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#define REPORT_MAX   (64ULL << 20) /* the description of a tree with thousands of processes */
#define BLOCK        65536
#define PATIENCE     5                   /* times a dump's: nobody is frozen meanwhile */
#define LOOK_USEC    (30 * USEC_PER_SEC) /* between two looks at its progress, at most */
#define ACCURACY     (USEC_PER_SEC)
#define CHILDREN_MAX 65536

struct task {
    struct task_events events;
    char *mode; /* for messages */
    pid_t pid;
    int pidfd, report_fd;
    sd_event_source *exit_source, *report_source, *timer;
    char *text; /* reported so far, progress lines taken out */
    size_t size;
    bool too_long;
    uint64_t stall_usec, reports, progress, last_change; /* usec, CLOCK_MONOTONIC */
    bool stalled;                                        /* killed for it */
    bool forgotten; /* by task_free(): what is left is waitpid(2) */
};

static void task_freep(struct task **task)
{
    task_free(*task);
}

static void destroy(struct task *task)
{
    sd_event_source_disable_unref(task->exit_source);
    fd_close(task->pidfd);
    fd_close(task->report_fd);
    free(task->text);
    free(task->mode);
    free(task);
}

struct task *task_free(struct task *task)
{
    if (!task)
        return NULL;
    task->report_source = sd_event_source_disable_unref(task->report_source);
    task->timer = sd_event_source_disable_unref(task->timer);
    task->report_fd = fd_close(task->report_fd);
    task->forgotten = true;
    if (!task->exit_source)
        destroy(task);
    return NULL;
}

/* ---- what it reports ---- */

/* Takes the progress lines off the front; the last of them counts. */
static void take_progress(struct task *task)
{
    uint64_t done = 0, total = 0;
    bool any = false;
    char *end;

    while (task->size > 0 && task->text[0] == '%' &&
           (end = memchr(task->text, '\n', task->size)) != NULL) {
        size_t line = (size_t)(end - task->text) + 1;

        *end = '\0';
        any = sscanf(task->text, "%%%" SCNu64 "/%" SCNu64, &done, &total) == 2 || any;
        memmove(task->text, end + 1, task->size - line);
        task->size -= line;
    }
    if (any && task->events.progress)
        task->events.progress(done, total, task->events.userdata);
}

/* 0: all that is there was read; 1: the end; < 0. */
static int read_more(struct task *task)
{
    for (;;) {
        char *more;
        ssize_t n;

        if (task->size >= REPORT_MAX) {
            task->too_long = true;
            task->size = 0;
        }
        more = realloc(task->text, task->size + BLOCK + 1);
        if (!more)
            return -ENOMEM;
        task->text = more;
        n = read(task->report_fd, task->text + task->size, BLOCK);
        if (n < 0)
            return errno == EAGAIN ? 0 : -errno;
        if (n == 0)
            return 1;
        task->size += (size_t)n;
        task->reports++;
        take_progress(task);
    }
}

static int on_report(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
    struct task *task = userdata;

    if (read_more(task) != 0)
        (void)sd_event_source_set_enabled(source, SD_EVENT_OFF);
    return 0;
}

/* ---- its end ---- */

static void explain_end(const struct task *task, int wstatus, struct reason *reason)
{
    if (task->stalled)
        reason_set(reason,
                   "look for a full or slow disk, for who reads the output, and for tasks in "
                   "state D",
                   "the worker (%s) made no progress for %llu s and was killed", task->mode,
                   (unsigned long long)(task->stall_usec / USEC_PER_SEC));
    else if (WIFSIGNALED(wstatus))
        reason_set(reason, "try again", "the worker (%s) was ended by signal %d", task->mode,
                   WTERMSIG(wstatus));
    else if (task->size > 0)
        reason_parse(reason, task->text);
    else
        reason_set(reason, "look at the daemon's log", "the worker (%s) failed without a word",
                   task->mode);
}

static void tell_end(struct task *task, const char *result, int wstatus)
{
    _cleanup_(reason_done) struct reason reason = {};

    if (!result)
        explain_end(task, wstatus, &reason);
    task->report_source = sd_event_source_disable_unref(task->report_source);
    task->events.done(task, result, &reason, task->events.userdata);
}

static int on_exit_of_worker(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
    struct task *task = userdata;
    bool ok;
    int wstatus = 0;

    if (waitpid(task->pid, &wstatus, WNOHANG) != task->pid)
        wstatus = SIGKILL;
    task->exit_source = sd_event_source_disable_unref(task->exit_source);
    if (task->forgotten) {
        destroy(task);
        return 0;
    }
    (void)read_more(task);
    if (task->text)
        task->text[task->size] = '\0';
    ok = WIFEXITED(wstatus) && WEXITSTATUS(wstatus) == 0 && !task->too_long;
    tell_end(task, ok ? (task->text ? task->text : "") : NULL, wstatus);
    return 0;
}

/* ---- the watchdog ---- */

static uint64_t now_monotonic(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * USEC_PER_SEC + (uint64_t)ts.tv_nsec / 1000;
}

static int look_again(struct task *task)
{
    uint64_t quarter = task->stall_usec / 4;
    int r =
        sd_event_source_set_time_relative(task->timer, quarter < LOOK_USEC ? quarter : LOOK_USEC);

    return r < 0 ? r : sd_event_source_set_enabled(task->timer, SD_EVENT_ONESHOT);
}

/* Of its session, and of those that its children lead: a drill's criu is in one. */
static uint64_t sum_progress(const struct task *task)
{
    _cleanup_free_ char *children = NULL;
    uint64_t sum = 0, one;
    char path[48], *rest, *pid;

    (void)session_count(task->pid, &sum);
    snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)task->pid, (int)task->pid);
    if (fs_read(AT_FDCWD, path, CHILDREN_MAX, &children, NULL) < 0)
        return sum;
    rest = children;
    while ((pid = strsep(&rest, " ")))
        if (*pid && session_count((pid_t)atoi(pid), &one) > 0)
            sum += one;
    return sum;
}

static void note_progress(struct task *task)
{
    uint64_t progress = task->reports + sum_progress(task);

    if (progress != task->progress)
        task->last_change = now_monotonic();
    task->progress = progress;
}

static int on_look(sd_event_source *source, uint64_t usec, void *userdata)
{
    struct task *task = userdata;

    note_progress(task);
    if (now_monotonic() - task->last_change < task->stall_usec)
        return look_again(task);
    if (task->stalled) { /* not even a kill ends it: it waits in the kernel */
        tell_end(task, NULL, 0);
        return 0;
    }
    task->stalled = true;
    task->last_change = now_monotonic();
    session_kill(task->pid);
    return look_again(task);
}

/* ---- its beginning ---- */

static int complete(const char *const argv[], bool has_file, char ***ret)
{
    _cleanup_strv_ char **all = NULL;
    int r = 0;

    for (size_t i = 0; argv[i] && r >= 0; i++)
        r = strv_extend(&all, argv[i]);
    if (r >= 0)
        r = strv_extend(&all, "--report-fd=" WORKER_REPORT_FD_TEXT);
    if (r >= 0 && has_file)
        r = strv_extend(&all, "--file-fd=" WORKER_SPEC_FD_TEXT);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(all);
    return 0;
}

static int listen_to(struct task *task, sd_event *event)
{
    int r;

    task->pidfd = proc_open(&(struct proc_id){.pid = task->pid});
    if (task->pidfd < 0)
        return task->pidfd;
    if ((r = sd_event_add_io(event, &task->report_source, task->report_fd, EPOLLIN, on_report,
                             task)) < 0)
        return r;
    r = sd_event_add_io(event, &task->exit_source, task->pidfd, EPOLLIN, on_exit_of_worker, task);
    if (r < 0 || (r = sd_event_add_time(event, &task->timer, CLOCK_MONOTONIC, USEC_INFINITY,
                                        ACCURACY, on_look, task)) < 0)
        return r;
    return look_again(task);
}

int task_start(sd_event *event, const char *const argv[], int file_fd, uint64_t stall_usec,
               const struct task_events *events, struct task **ret)
{
    _cleanup_(task_freep) struct task *task = calloc(1, sizeof(*task));
    _cleanup_strv_ char **all = NULL;
    int r;

    if (!task)
        return -ENOMEM;
    task->events = *events;
    task->stall_usec = PATIENCE * stall_usec;
    task->last_change = now_monotonic();
    task->pidfd = task->report_fd = -1;
    task->mode = strdup(argv[1]);
    if (!task->mode)
        return -ENOMEM;
    r = complete(argv, file_fd >= 0, &all);
    if (r < 0)
        return r;
    r = worker_spawn((const char *const *)all, file_fd, WORKER_REPORT_FD, &task->pid,
                     &task->report_fd);
    if (r < 0)
        return r;
    r = listen_to(task, event);
    if (r < 0) {
        session_kill(task->pid);
        (void)waitpid(task->pid, NULL, 0);
        task->exit_source = sd_event_source_disable_unref(task->exit_source);
        return r;
    }
    *ret = TAKE_PTR(task);
    return 0;
}
