/* orphan.c - the engine without a keeper: pumps the services' output until the next keeper comes.
 */
#include "supervisord/orphan.h"

#include "common/cleanup.h"
#include "supervisord/pump.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

struct stream {
    struct stream *next;
    struct orphan *orphan;
    char name[SERVICE_NAME_MAX + 4];
    int index;
    char path[sizeof(((struct keeper_record *)0)->text)];
    int pipe_fd, log_fd;
    struct pump *pump; /* owns both descriptors once it runs */
};

struct orphan {
    struct stream *streams;
    sd_event *event;
    unsigned running;
};

static struct stream *stream_free(struct stream *stream)
{
    if (stream->pump) {
        pump_free(stream->pump);
    } else {
        fd_close(stream->pipe_fd);
        fd_close(stream->log_fd);
    }
    free(stream);
    return NULL;
}

int orphan_new(struct orphan **ret)
{
    struct orphan *orphan = calloc(1, sizeof(*orphan));

    if (!orphan)
        return -ENOMEM;
    *ret = orphan;
    return 0;
}

struct orphan *orphan_free(struct orphan *orphan)
{
    if (!orphan)
        return NULL;
    for (struct stream *s = orphan->streams, *next; s; s = next) {
        next = s->next;
        stream_free(s);
    }
    sd_event_unref(orphan->event);
    free(orphan);
    return NULL;
}

static struct stream *find(struct orphan *orphan, const char *name, int index)
{
    for (struct stream *s = orphan->streams; s; s = s->next)
        if (s->index == index && strcmp(s->name, name) == 0)
            return s;
    return NULL;
}

static struct stream *add(struct orphan *orphan, const struct keeper_record *record)
{
    struct stream *s = calloc(1, sizeof(*s));

    if (!s)
        return NULL;
    strcpy(s->name, record->name);
    s->index = record->value;
    s->pipe_fd = s->log_fd = -1;
    s->orphan = orphan;
    s->next = orphan->streams;
    orphan->streams = s;
    return s;
}

int orphan_note(struct orphan *orphan, const struct keeper_record *record, int fd)
{
    _cleanup_close_ int owned = fd;
    struct stream *s = find(orphan, record->name, record->value);
    int *place;

    if (owned < 0)
        return -EBADF;
    if (!s && !(s = add(orphan, record)))
        return -ENOMEM;
    strcpy(s->path, record->text);
    place = record->flags & KEEPER_STREAM_LOG ? &s->log_fd : &s->pipe_fd;
    fd_close(*place);
    *place = TAKE_FD(owned);
    return 0;
}

void orphan_forget(struct orphan *orphan, const char *name)
{
    for (struct stream **at = &orphan->streams; *at;) {
        struct stream *s = *at;

        if (strcmp(s->name, name) != 0) {
            at = &s->next;
            continue;
        }
        *at = s->next;
        stream_free(s);
    }
}

static int on_terminate(sd_event_source *source, const struct signalfd_siginfo *si, void *userdata)
{
    struct orphan *orphan = userdata;

    return sd_event_exit(orphan->event, 0);
}

static void on_end(struct pump *pump, void *userdata)
{
    struct stream *s = userdata;

    if (--s->orphan->running == 0)
        (void)sd_event_exit(s->orphan->event, 0);
}

static void start_pumps(struct orphan *orphan)
{
    for (struct stream *s = orphan->streams; s; s = s->next)
        if (s->pipe_fd >= 0 && s->log_fd >= 0 &&
            pump_new(orphan->event, s->pipe_fd, s->log_fd, s->path, on_end, s, &s->pump) == 0)
            orphan->running++;
}

int orphan_run(struct orphan *orphan)
{
    int r;

    (void)signal(SIGPIPE, SIG_IGN);
    r = sd_event_new(&orphan->event);
    if (r < 0)
        return r;
    r = sd_event_add_signal(orphan->event, NULL, SIGTERM, on_terminate, orphan);
    if (r < 0)
        return r;
    start_pumps(orphan);
    if (orphan->running == 0)
        return 0;
    r = sd_event_loop(orphan->event);
    for (struct stream *s = orphan->streams; s; s = s->next)
        if (s->pump)
            (void)pump_drain(s->pump, 0);
    return r < 0 ? r : 0;
}
