/* archive_names.c - which files an archive may hold, and how a name is told. */
#include "image/archive.h"

#include "common/cleanup.h"

#include <string.h>

static const char digits[] = "0123456789";
static const char hex_digits[] = "0123456789abcdef";

/* criu/image-desc.c, without what CRIU itself does not write any more. */
static const struct {
    const char *stem;
    const char *number; /* its digits, after a '-'; NULL: none */
} images[] = {
    {"apparmor", NULL},
    {"autofs", digits},
    {"binfmt-misc", NULL},
    {"bpfmap-data", NULL},
    {"bpfmap-file", NULL},
    {"cgroup", NULL},
    {"core", digits},
    {"cpuinfo", NULL},
    {"fdinfo", digits},
    {"fifo-data", NULL},
    {"filelocks", NULL},
    {"files", NULL},
    {"fs", digits},
    {"ghost-file", hex_digits},
    {"ids", digits},
    {"ifaddr", digits},
    {"inventory", NULL},
    {"ip6tables", digits},
    {"ipcns-msg", digits},
    {"ipcns-sem", digits},
    {"ipcns-shm", digits},
    {"ipcns-var", digits},
    {"iptables", digits},
    {"memfd", NULL},
    {"mm", digits},
    {"mountpoints", digits},
    {"netdev", digits},
    {"netns", digits},
    {"netns-ct", digits},
    {"netns-exp", digits},
    {"nftables", digits},
    {"pagemap", digits},
    {"pagemap-shmem", digits},
    {"pages", digits},
    {"pidns", digits},
    {"pipes-data", NULL},
    {"posix-timers", digits},
    {"pstree", NULL},
    {"remap-fpath", NULL},
    {"rlimit", digits},
    {"route", digits},
    {"route6", digits},
    {"rule", digits},
    {"seccomp", NULL},
    {"sk-queues", NULL},
    {"tcp-stream", hex_digits},
    {"timens", digits},
    {"tty-data", NULL},
    {"tty-info", NULL},
    {"userns", digits},
    {"utsns", digits},
};

static bool ends_in(const char *name, const char *end)
{
    size_t len = strlen(name), n = strlen(end);

    return len > n && strcmp(name + len - n, end) == 0;
}

bool archive_name_is_image(const char *name)
{
    size_t len = strlen(name);

    if (len >= ARCHIVE_NAME_MAX || !ends_in(name, ".img"))
        return false;
    len -= strlen(".img");
    for (size_t i = 0; i < ELEMENTS(images); i++) {
        size_t stem = strlen(images[i].stem);

        if (strncmp(name, images[i].stem, stem) != 0)
            continue;
        if (!images[i].number && stem == len)
            return true;
        if (images[i].number && name[stem] == '-' && len > stem + 1 &&
            stem + 1 + strspn(name + stem + 1, images[i].number) == len)
            return true;
    }
    return false;
}

bool archive_name_is_other(const char *name)
{
    size_t len = strlen(name);

    return len > 0 && len < ARCHIVE_NAME_MAX && name[0] != '.' && !ends_in(name, ".img") &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == len;
}

const char *archive_name_show(const char *name, char ret[ARCHIVE_SHOWN])
{
    size_t n = 0;

    for (; name[n] && n + 1 < ARCHIVE_SHOWN; n++)
        ret[n] = name[n] > ' ' && name[n] < 0x7f ? name[n] : '?';
    ret[n] = '\0';
    return ret;
}
