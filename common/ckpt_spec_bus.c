/* ckpt_spec_bus.c - a checkpoint spec as a bus message and back. */
#include "common/ckpt_spec_bus.h"

#include "common/cleanup.h"
#include "common/dirs.h"

#include <errno.h>
#include <string.h>

static const char *text(const char *s)
{
    return s ? s : "";
}

int ckpt_spec_append(sd_bus_message *m, const struct ckpt_spec *spec)
{
    return sd_bus_message_append(
        m, CKPT_SPEC_SIGNATURE, spec->name, (uint32_t)spec->pid, spec->start_time,
        text(spec->cgroup), spec->pipe_inode[STREAM_STDOUT], spec->pipe_inode[STREAM_STDERR],
        spec->interval_usec, spec->retention.keep, spec->retention.hourly, spec->retention.daily,
        spec->retention.weekly, spec->retention.max_bytes, spec->max_chain, spec->compress,
        (int)spec->encrypt, spec->drill_every, spec->drill_nice, (uint32_t)spec->staging,
        spec->staging_max, (uint32_t)spec->files, text(spec->snapshot_paths), spec->ghost_limit,
        (int)spec->tcp_established, (int)spec->file_locks, (int)spec->pid_namespace,
        text(spec->pre_checkpoint), text(spec->post_checkpoint), text(spec->restored_from));
}

int ckpt_spec_read(sd_bus_message *m, struct ckpt_spec *ret_spec)
{
    _cleanup_(ckpt_spec_done) struct ckpt_spec spec = {0};
    const char *name, *cgroup, *paths, *pre, *post, *from;
    int encrypt, tcp, locks, pidns, r;
    uint32_t pid, staging, files;

    r = sd_bus_message_read(
        m, CKPT_SPEC_SIGNATURE, &name, &pid, &spec.start_time, &cgroup,
        &spec.pipe_inode[STREAM_STDOUT], &spec.pipe_inode[STREAM_STDERR], &spec.interval_usec,
        &spec.retention.keep, &spec.retention.hourly, &spec.retention.daily, &spec.retention.weekly,
        &spec.retention.max_bytes, &spec.max_chain, &spec.compress, &encrypt, &spec.drill_every,
        &spec.drill_nice, &staging, &spec.staging_max, &files, &paths, &spec.ghost_limit, &tcp,
        &locks, &pidns, &pre, &post, &from);
    if (r < 0)
        return r;
    if (!service_name_is_valid(name) || pid == 0 || pid > INT32_MAX || staging > STAGING_DISK ||
        files > FILES_SNAPSHOT)
        return -EINVAL;
    spec.pid = (pid_t)pid;
    spec.encrypt = encrypt;
    spec.staging = (enum staging_mode)staging;
    spec.files = (enum files_mode)files;
    spec.tcp_established = tcp;
    spec.file_locks = locks;
    spec.pid_namespace = pidns;
    spec.name = strdup(name);
    spec.cgroup = strdup(cgroup);
    spec.snapshot_paths = strdup(paths);
    spec.pre_checkpoint = strdup(pre);
    spec.post_checkpoint = strdup(post);
    spec.restored_from = strdup(from);
    if (!spec.name || !spec.cgroup || !spec.snapshot_paths || !spec.pre_checkpoint ||
        !spec.post_checkpoint || !spec.restored_from)
        return -ENOMEM;
    *ret_spec = spec;
    spec = (struct ckpt_spec){0};
    return 0;
}
