/* run_policy.c - see run_policy.h. */
#include "ctl/run_policy.h"

#include "common/cleanup.h"
#include "common/dirs.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define WORD_MAX_BYTES 150 /* longer ones go through the environment */
#define LINE_MAX_BYTES 180 /* inih's lines end at 198 */
#define ARGUMENT       "PERDURE_ARG_"

/* One word of ExecStart= in systemd's quoting (systemd.service(5), "Command lines"): new string. */
static char *quote(const char *word)
{
    bool plain = *word && word[strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                            "0123456789_@%+=:,./-$")] == '\0';
    char *text = malloc(strlen(word) * 4 + 3), *out = text;

    if (!text)
        return NULL;
    if (!plain)
        *out++ = '"';
    for (const unsigned char *p = (const unsigned char *)word; *p; p++) {
        if (*p == '%' || *p == '$' || *p == '\\') { /* each means itself when doubled */
            *out++ = (char)*p;
            *out++ = (char)*p;
        } else if (*p < ' ' || *p >= 0x7f || *p == '"' || *p == ';') {
            out += sprintf(out, "\\x%02x", *p);
        } else {
            *out++ = (char)*p;
        }
    }
    if (!plain)
        *out++ = '"';
    *out = '\0';
    return text;
}

static bool is_too_long(const char *word)
{
    _cleanup_free_ char *text = quote(word);

    return !text || strlen(text) > WORD_MAX_BYTES;
}

static int write_command(FILE *out, char *const *argv)
{
    size_t column = strlen("ExecStart=");

    if (is_too_long(argv[0]))
        return RUN_POLICY_PROGRAM;
    fputs("ExecStart=\nExecStart=", out); /* empty: whatever was set before is gone */
    for (size_t i = 0; argv[i]; i++) {
        _cleanup_free_ char *text = quote(argv[i]);
        size_t size;

        if (!text)
            return -ENOMEM;
        if (i > 0 && strlen(text) > WORD_MAX_BYTES)
            sprintf(text, "${" ARGUMENT "%zu}", i);
        size = strlen(text);
        if (i > 0 && column + size + 1 > LINE_MAX_BYTES) {
            fputs(" \\\n    ", out);
            column = 4;
        } else if (i > 0) {
            fputc(' ', out);
            column++;
        }
        fputs(text, out);
        column += size;
    }
    fputc('\n', out);
    return 0;
}

/* WorkingDirectory= knows no quotes. */
static int write_folder(FILE *out, const char *folder)
{
    size_t size = strlen(folder);

    if (size > WORD_MAX_BYTES || folder[size - 1] == ' ' || folder[size - 1] == '\\' ||
        strstr(folder, " ;"))
        return RUN_POLICY_FOLDER;
    for (const char *p = folder; *p; p++)
        if ((unsigned char)*p < ' ')
            return RUN_POLICY_FOLDER;
    fputs("WorkingDirectory=", out);
    for (const char *p = folder; *p; p++)
        fputs(*p == '%' ? "%%" : (char[]){*p, '\0'}, out);
    fputc('\n', out);
    return 0;
}

int run_policy_write(FILE *out, const struct run_policy *run)
{
    int r = 0;

    fputs("[Service]\n", out);
    if (run->argv)
        r = write_command(out, run->argv);
    if (r == 0 && run->folder) {
        r = write_folder(out, run->folder);
        /* An exit status is the program's own word and becomes ours; what brings it back is its
         * memory, never a second start from nothing. */
        fprintf(out, "UMask=%04o\nRestart=on-abnormal\n", (unsigned)run->umask);
    }
    if (r != 0)
        return r;
    fprintf(out, "EnvironmentFile=%s\nStandardOutput=inherit\nStandardError=inherit\n",
            run->env_file);
    if (run->folder)
        fputs("\n[Recovery]\nLadder=newest older\n", out);
    if (run->interval_usec)
        fprintf(out, "\n[Checkpoint]\nInterval=%" PRIu64 "us\n", *run->interval_usec);
    return ferror(out) ? -EIO : 0;
}

/* Set for us, not for what we start. */
static bool is_private(const char *assignment)
{
    static const char *const names[] = {"NOTIFY_SOCKET=", "WATCHDOG_",       "LISTEN_",
                                        "INVOCATION_ID=", "JOURNAL_STREAM=", "PERDURE_"};

    for (size_t i = 0; i < ELEMENTS(names); i++)
        if (strncmp(assignment, names[i], strlen(names[i])) == 0)
            return true;
    return false;
}

/* Shells export functions under names that are no variables. */
static bool is_variable(const char *assignment)
{
    size_t n =
        strspn(assignment, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");

    return n > 0 && assignment[n] == '=' && !isdigit((unsigned char)assignment[0]);
}

static void write_quoted(FILE *out, const char *value)
{
    fputc('"', out);
    for (; *value; value++) {
        if (strchr("\"\\$`", *value))
            fputc('\\', out);
        fputc(*value, out);
    }
    fputs("\"\n", out);
}

int run_environment_write(FILE *out, char *const *env, char *const *argv)
{
    for (; env && *env; env++) {
        size_t name = strcspn(*env, "=");

        if (!is_variable(*env) || is_private(*env))
            continue;
        fprintf(out, "%.*s=", (int)name, *env);
        write_quoted(out, *env + name + 1);
    }
    for (size_t i = 1; argv && argv[0] && argv[i]; i++)
        if (is_too_long(argv[i])) {
            fprintf(out, ARGUMENT "%zu=", i);
            write_quoted(out, argv[i]);
        }
    return ferror(out) ? -EIO : 0;
}

char *run_name(const char *command)
{
    const char *slash = strrchr(command, '/');
    char *name = strndup(slash ? slash + 1 : command, SERVICE_NAME_MAX);

    for (char *p = name; p && *p; p++)
        if (!isalnum((unsigned char)*p) && !strchr("_.:-", *p))
            *p = '_';
    if (name && *name == '.')
        *name = '_';
    return name;
}
