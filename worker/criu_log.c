/* criu_log.c - reads CRIU's log lines: "(00.012345)   1234: Error (criu/file.c:123): text". */
#include "worker/criu_log.h"

#include "common/cleanup.h"

#include <stdio.h>
#include <string.h>

/* Errors that CRIU prints and then goes on without harm. */
static const char *const harmless[] = {
    "rlimit: Can't setup RLIMIT_NOFILE for self", /* no CAP_SYS_RESOURCE */
    "Can't keep kdat cache on non-tempfs",
};

static const char *find(const char *line, size_t len, const char *what)
{
    return memmem(line, len, what, strlen(what));
}

static bool is_harmless(const char *line, size_t len)
{
    for (size_t i = 0; i < ELEMENTS(harmless); i++)
        if (find(line, len, harmless[i]))
            return true;
    return false;
}

static void copy(const char *text, size_t len, char *ret, size_t size)
{
    if (len >= size)
        len = size - 1;
    memcpy(ret, text, len);
    ret[len] = '\0';
}

bool criu_log_first_error(const char *log, char *ret, size_t size)
{
    for (const char *line = log; *line;) {
        size_t len = strcspn(line, "\n");
        const char *error = find(line, len, "Error (");

        if (error && !is_harmless(line, len)) {
            copy(error, len - (size_t)(error - line), ret, size);
            return true;
        }
        line += len + (line[len] == '\n');
    }
    return false;
}

bool criu_log_run_id(const char *log, char *ret, size_t size)
{
    static const char key[] = "CRIU run id = ";
    const char *last = NULL;

    for (const char *at = log; (at = strstr(at, key)); at += strlen(key))
        /* "Dump CRIU run id" is another run's, met in a restore. */
        if (at - log < 5 || memcmp(at - 5, "Dump ", 5) != 0)
            last = at + strlen(key);
    if (!last)
        return false;
    copy(last, strcspn(last, "\n "), ret, size);
    return *ret != '\0';
}

int criu_log_taken_pid(const char *error)
{
    const char *at = strstr(error, "Can't fork for ");
    int pid, end = 0;

    if (!at || sscanf(at, "Can't fork for %d: File exists%n", &pid, &end) != 1 || end == 0)
        return 0;
    return pid;
}
