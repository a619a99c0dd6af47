/* host.c - reads uname(2) and /proc/cpuinfo. */
#include "image/host.h"

#include "common/cleanup.h"

#include <errno.h>
#include <string.h>
#include <sys/utsname.h>

/* x86 "flags" that user code can run into; the others name kernel and hypervisor matters, and come
 * and go with kernel versions. Prefixes. arm64 "Features" are all user's (HWCAP). */
static const char *const user_flags[] = {
    "abm",       "adx",  "aes", "amx",    "avx",     "bmi",    "clflushopt", "clwb",   "cx16",
    "erms",      "f16c", "fma", "fsgs",   "fsrm",    "gfni",   "hle",        "lahf",   "mov",
    "pclmul",    "pku",  "pni", "popcnt", "rdpid",   "rdrand", "rdseed",     "rdtscp", "rtm",
    "serialize", "sha",  "sse", "ssse",   "user_sh", "vaes",   "vpclmul",    "wait",   "xsave",
};

static bool is_user_flag(const char *flag)
{
    for (size_t i = 0; i < ELEMENTS(user_flags); i++)
        if (strncmp(flag, user_flags[i], strlen(user_flags[i])) == 0)
            return true;
    return false;
}

/* The value of a "key<TAB>: value" line of /proc/cpuinfo, or NULL when it is another key's line. */
static char *cpuinfo_value(char *line, const char *key)
{
    char *value = strchr(line, ':');

    if (!value || strncmp(line, key, strlen(key)) != 0)
        return NULL;
    value += strspn(value, ": ");
    value[strcspn(value, "\n")] = '\0';
    return value;
}

/* Shortens a list of words to the user's, in place. */
static void keep_user_flags(char *flags)
{
    char *out = flags, *save = NULL;

    for (char *word = strtok_r(flags, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
        size_t len = strlen(word);

        if (!is_user_flag(word))
            continue;
        if (out != flags)
            *out++ = ' ';
        memmove(out, word, len);
        out += len;
    }
    *out = '\0';
}

static int replace(char **text, const char *with)
{
    free(*text);
    *text = strdup(with);
    return *text ? 0 : -ENOMEM;
}

/* The first processor stands for all. */
static int read_cpu(char **ret)
{
    _cleanup_fclose_ FILE *f = fopen("/proc/cpuinfo", "re");
    _cleanup_free_ char *line = NULL, *model = NULL, *flags = NULL;
    size_t size = 0;
    int r = 0;

    if (!f)
        return -errno;
    while (r == 0 && getline(&line, &size, f) > 1) {
        char *value;

        if ((value = cpuinfo_value(line, "model name"))) {
            r = replace(&model, value);
        } else if ((value = cpuinfo_value(line, "flags"))) {
            keep_user_flags(value);
            r = replace(&flags, value);
        } else if ((value = cpuinfo_value(line, "Features"))) {
            r = replace(&flags, value);
        }
    }
    if (r < 0)
        return r;
    return asprintf(ret, "%s: %s", model ? model : "unknown", flags ? flags : "") < 0 ? -ENOMEM : 0;
}

int host_read(struct host *ret)
{
    struct host host = {};
    struct utsname names;
    int r;

    if (uname(&names) < 0)
        return -errno;
    r = read_cpu(&host.cpu);
    if (r < 0)
        return r;
    host.machine = strdup(names.machine);
    host.kernel = strdup(names.release);
    host.name = strdup(names.nodename);
    if (!host.machine || !host.kernel || !host.name) {
        host_done(&host);
        return -ENOMEM;
    }
    *ret = host;
    return 0;
}

void host_done(struct host *host)
{
    free(host->machine);
    free(host->kernel);
    free(host->name);
    free(host->cpu);
    *host = (struct host){};
}

/* What follows the last ':' of a cpu; a model's name may hold one too. */
static const char *features(const char *cpu)
{
    const char *colon = strrchr(cpu, ':');

    return colon ? colon + 1 : "";
}

static bool has_word(const char *list, const char *word, size_t len)
{
    for (const char *p = list; *(p += strspn(p, " ")); p += strcspn(p, " "))
        if (strcspn(p, " ") == len && strncmp(p, word, len) == 0)
            return true;
    return false;
}

int host_compare_cpu(const char *needed, const char *present, char **ret_feature)
{
    const char *have = features(present);

    for (const char *p = features(needed); *(p += strspn(p, " ")); p += strcspn(p, " ")) {
        size_t len = strcspn(p, " ");

        if (has_word(have, p, len))
            continue;
        *ret_feature = strndup(p, len);
        return *ret_feature ? HOST_LACKS : -ENOMEM;
    }
    return 0;
}
