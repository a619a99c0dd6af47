/* spawn_spec.h - everything that a new process of a service needs, already parsed: built by the
 * engine into a sealed memfd, executed by the keeper's child without any look-up or parsing.
 *
 * Layout: struct spawn_spec, then `string_count` NUL-terminated strings in the order of the counts:
 * cgroup, working directory, target of each stream, program path, argv..., env... . The keeper
 * checks sizes, counts and the last NUL, and refuses anything else. */
#pragma once

#include "common/ckpt_spec.h" /* STREAM_* */

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>

#define SPAWN_MAGIC      0x73706e31u
#define SPAWN_MAX_GROUPS 64
#define SPAWN_MAX_BYTES  (4u << 20) /* arguments and environment together */

enum stream_kind {
    STREAM_NULL,    /* /dev/null, no pipe */
    STREAM_FILE,    /* through a pipe of ours into a file, from offset 0 on */
    STREAM_APPEND,  /* through a pipe of ours into a file, at its end */
    STREAM_INHERIT, /* through a pipe of ours to supervisord's own stdout/stderr */
    STREAM_SAME,    /* stderr only: the same pipe as stdout */
};

enum spawn_stage { /* where a child failed; the names are in spawn_stage_name() */
                   SPAWN_NONE,
                   SPAWN_FORK,
                   SPAWN_LOG, /* the stream's target file */
                   SPAWN_CGROUP,
                   SPAWN_STDIO,
                   SPAWN_LIMITS,
                   SPAWN_NICE,
                   SPAWN_OOM,
                   SPAWN_GROUP,
                   SPAWN_USER,
                   SPAWN_CHDIR,
                   SPAWN_EXEC,
};

struct spawn_limit {
    int32_t resource; /* RLIMIT_* */
    uint64_t soft, hard;
};

struct spawn_spec {
    uint32_t magic;
    uint32_t total_bytes; /* of the whole memfd */
    uint32_t string_count, argc, envc;
    uint32_t stream[STREAM_COUNT]; /* enum stream_kind */
    int64_t uid, gid;              /* -1: unchanged */
    uint32_t group_count;
    uint32_t groups[SPAWN_MAX_GROUPS];
    uint32_t limit_count;
    struct spawn_limit limits[RLIM_NLIMITS];
    int32_t umask;         /* -1: unchanged */
    int32_t nice;          /* INT32_MIN: unchanged */
    int32_t oom_score_adj; /* INT32_MIN: unchanged */
    uint8_t no_new_privs;
    uint8_t own_group_only; /* no cgroup2 here: track by process group */
    uint8_t wait_exec;      /* answer SPAWNED after exec (Type=exec and all others) */
    uint8_t pid_namespace;  /* run under our tiny init in a new pid namespace */
};

/* What the engine fills in; strings borrowed. */
struct spawn_request {
    struct spawn_spec spec;
    const char *cgroup;  /* "" none */
    const char *workdir; /* "" unchanged */
    const char *target[STREAM_COUNT];
    const char *program;
    char *const *argv; /* NULL-terminated */
    char *const *env;  /* NULL-terminated */
};

/* Builds the sealed memfd. */
int spawn_request_seal(const struct spawn_request *request, int *ret_memfd);

/* The keeper's side: maps and checks it. -EBADMSG when its shape is wrong. */
struct spawn_view {
    const struct spawn_spec *spec;
    const char *cgroup, *workdir, *target[STREAM_COUNT], *program;
    char **argv, **env; /* pointers into the mapping */
    void *map;
    size_t map_size;
};
int spawn_view_open(int memfd, struct spawn_view *ret_view);
void spawn_view_done(struct spawn_view *view);

const char *spawn_stage_name(enum spawn_stage stage);
