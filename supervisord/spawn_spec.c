/* spawn_spec.c - builds and checks the sealed memfd that describes a new process. */
#include "supervisord/spawn_spec.h"

#include "common/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

/* cgroup, working directory, one target per stream, program. */
enum { FIXED_STRINGS = 3 + STREAM_COUNT };

#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

static uint32_t count_of(char *const *strings)
{
    uint32_t n = 0;

    while (strings && strings[n])
        n++;
    return n;
}

static int add_string(char **at, const char *end, const char *string)
{
    size_t size = strlen(string ? string : "") + 1;

    if (size > (size_t)(end - *at))
        return -E2BIG;
    memcpy(*at, string ? string : "", size);
    *at += size;
    return 0;
}

static int add_all(char **at, const char *end, const struct spawn_request *request)
{
    int r;

    if ((r = add_string(at, end, request->cgroup)) < 0 ||
        (r = add_string(at, end, request->workdir)) < 0)
        return r;
    for (int i = 0; i < STREAM_COUNT; i++)
        if ((r = add_string(at, end, request->target[i])) < 0)
            return r;
    if ((r = add_string(at, end, request->program)) < 0)
        return r;
    for (uint32_t i = 0; i < request->spec.argc; i++)
        if ((r = add_string(at, end, request->argv[i])) < 0)
            return r;
    for (uint32_t i = 0; i < request->spec.envc; i++)
        if ((r = add_string(at, end, request->env[i])) < 0)
            return r;
    return 0;
}

int spawn_request_seal(const struct spawn_request *request, int *ret_memfd)
{
    struct spawn_request full = *request;
    _cleanup_close_ int fd = -1;
    struct spawn_spec *spec;
    char *map, *at;
    int r;

    full.spec.magic = SPAWN_MAGIC;
    full.spec.argc = count_of(request->argv);
    full.spec.envc = count_of(request->env);
    full.spec.string_count = FIXED_STRINGS + full.spec.argc + full.spec.envc;
    fd = memfd_create("spawn-spec", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0 || ftruncate(fd, SPAWN_MAX_BYTES) < 0)
        return -errno;
    map = mmap(NULL, SPAWN_MAX_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        return -errno;
    at = map + sizeof(struct spawn_spec);
    r = add_all(&at, map + SPAWN_MAX_BYTES, &full);
    full.spec.total_bytes = (uint32_t)(at - map);
    spec = (struct spawn_spec *)map;
    *spec = full.spec;
    munmap(map, SPAWN_MAX_BYTES);
    if (r < 0)
        return r;
    if (ftruncate(fd, (off_t)full.spec.total_bytes) < 0 || fcntl(fd, F_ADD_SEALS, SEALS) < 0)
        return -errno;
    *ret_memfd = TAKE_FD(fd);
    return 0;
}

static bool shape_is_valid(const struct spawn_spec *spec, size_t size)
{
    if (spec->magic != SPAWN_MAGIC || spec->total_bytes != size)
        return false;
    if (spec->argc == 0 || spec->argc > size || spec->envc > size ||
        spec->string_count != (uint64_t)FIXED_STRINGS + spec->argc + spec->envc)
        return false;
    if (spec->group_count > SPAWN_MAX_GROUPS || spec->limit_count > RLIM_NLIMITS)
        return false;
    for (int i = 0; i < STREAM_COUNT; i++)
        if (spec->stream[i] > STREAM_SAME)
            return false;
    return spec->stream[STREAM_STDOUT] != STREAM_SAME && ((const char *)spec)[size - 1] == '\0';
}

/* The strings follow the spec; false unless there are exactly as many as announced. */
static bool split_strings(const struct spawn_spec *spec, char **strings)
{
    const char *end = (const char *)spec + spec->total_bytes;
    char *at = (char *)(spec + 1);

    for (uint32_t i = 0; i < spec->string_count; i++) {
        if (at >= end)
            return false;
        strings[i] = at;
        at += strlen(at) + 1;
    }
    return at == end;
}

static int view_fill(struct spawn_view *view)
{
    const struct spawn_spec *spec = view->spec;
    _cleanup_free_ char **strings = NULL;
    char **next;

    if (!shape_is_valid(spec, view->map_size))
        return -EBADMSG;
    strings = calloc(spec->string_count, sizeof(*strings));
    view->argv = calloc((size_t)spec->argc + spec->envc + 2, sizeof(*view->argv));
    if (!strings || !view->argv)
        return -ENOMEM;
    if (!split_strings(spec, strings))
        return -EBADMSG;
    next = strings;
    view->cgroup = *next++;
    view->workdir = *next++;
    for (int i = 0; i < STREAM_COUNT; i++)
        view->target[i] = *next++;
    view->program = *next++;
    view->env = view->argv + spec->argc + 1;
    memcpy(view->argv, next, spec->argc * sizeof(*next));
    memcpy(view->env, next + spec->argc, spec->envc * sizeof(*next));
    return 0;
}

int spawn_view_open(int memfd, struct spawn_view *ret_view)
{
    _cleanup_(spawn_view_done) struct spawn_view view = {0};
    struct stat st;
    int seals, r;

    /* Sealed, or the sender could change or shrink it under our feet (SIGBUS). */
    seals = fcntl(memfd, F_GET_SEALS);
    if (seals < 0 || (seals & SEALS) != SEALS || fstat(memfd, &st) < 0 ||
        st.st_size <= (off_t)sizeof(struct spawn_spec) || st.st_size > (off_t)SPAWN_MAX_BYTES)
        return -EBADMSG;
    view.map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, memfd, 0);
    if (view.map == MAP_FAILED) {
        view.map = NULL;
        return -errno;
    }
    view.map_size = (size_t)st.st_size;
    view.spec = view.map;
    r = view_fill(&view);
    if (r < 0)
        return r;
    *ret_view = view;
    view = (struct spawn_view){0};
    return 0;
}

void spawn_view_done(struct spawn_view *view)
{
    free(view->argv);
    if (view->map)
        munmap(view->map, view->map_size);
    *view = (struct spawn_view){0};
}

const char *spawn_stage_name(enum spawn_stage stage)
{
    static const char *const names[] = {
        [SPAWN_NONE] = "none",     [SPAWN_FORK] = "fork",   [SPAWN_LOG] = "log file",
        [SPAWN_CGROUP] = "cgroup", [SPAWN_STDIO] = "stdio", [SPAWN_LIMITS] = "resource limits",
        [SPAWN_NICE] = "nice",     [SPAWN_OOM] = "OOM",     [SPAWN_GROUP] = "group",
        [SPAWN_USER] = "user",     [SPAWN_CHDIR] = "chdir", [SPAWN_EXEC] = "exec",
    };

    return (size_t)stage < ELEMENTS(names) ? names[stage] : "unknown";
}
