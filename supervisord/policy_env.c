/* policy_env.c - the environment of a service, and $VARIABLES in its command line. */
#include "common/cleanup.h"
#include "common/fs.h"
#include "common/strv.h"
#include "common/words.h"
#include "supervisord/policy_keys.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdarg.h>
#include <string.h>

#define FILE_MAX_BYTES (1 << 20)
#define BASE_PATH      "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

bool env_name_is_valid(const char *name, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!isalpha((unsigned char)name[i]) && name[i] != '_' &&
            (i == 0 || !isdigit((unsigned char)name[i])))
            return false;
    return len > 0;
}

int env_set(char ***env, const char *assignment)
{
    size_t name_len = strcspn(assignment, "=") + 1;

    for (char **e = *env; e && *e; e++)
        if (strncmp(*e, assignment, name_len) == 0) {
            char *copy = strdup(assignment);

            if (!copy)
                return -ENOMEM;
            free(*e);
            *e = copy;
            return 0;
        }
    return strv_extend(env, assignment);
}

static const char *env_get(char *const *env, const char *name, size_t len)
{
    for (; env && *env; env++)
        if (strncmp(*env, name, len) == 0 && (*env)[len] == '=')
            return *env + len + 1;
    return "";
}

/* ---- EnvironmentFile=, systemd.exec(5) ---- */

/* A quoted piece from its opening quote on; p ends behind the closing one. false: it is not closed.
 */
static bool read_quoted(const char **cursor, char **out)
{
    const char *p = *cursor;
    char quote = *p++;

    for (; *p && *p != quote; p++) {
        if (quote == '"' && *p == '\\' && p[1] == '\n') {
            p++;
        } else if (quote == '"' && *p == '\\' && p[1] && strchr("\"\\`$", p[1])) {
            *(*out)++ = *++p;
        } else {
            *(*out)++ = *p;
        }
    }
    *cursor = *p ? p + 1 : p;
    return *p == quote;
}

/* A piece without quotes, up to the end of the line; blanks at its end do not count. */
static void read_plain(const char **cursor, char **out)
{
    const char *p = *cursor;
    char *end = *out;

    for (; *p && *p != '\n'; p++) {
        if (*p == '\\' && p[1]) {
            p++;
            if (*p == '\n')
                continue;
            *(*out)++ = *p;
            end = *out;
        } else {
            *(*out)++ = *p;
            if (!isspace((unsigned char)*p))
                end = *out;
        }
    }
    *out = end;
    *cursor = p;
}

/* One assignment at *cursor as "K=V" in `out` (room for all the text). false: it is none. */
static bool read_assignment(const char **cursor, char *out)
{
    size_t len = strcspn(*cursor, "=\n"), name = len;
    const char *p = *cursor + len;

    while (name > 0 && isspace((unsigned char)(*cursor)[name - 1]))
        name--;
    if (*p != '=' || !env_name_is_valid(*cursor, name))
        return false;
    memcpy(out, *cursor, name);
    out += name;
    *out++ = '=';
    p++;
    for (;;) { /* pieces after a closing quote go on the same value, as systemd reads it */
        p += strspn(p, " \t\r");
        if (*p == '\'' || *p == '"') {
            if (!read_quoted(&p, &out))
                return false;
            continue;
        }
        if (*p && *p != '\n')
            read_plain(&p, &out);
        break;
    }
    *out = '\0';
    *cursor = p;
    return true;
}

static const char *skip_comment(const char *p)
{
    while (*p && *p != '\n')
        p += p[0] == '\\' && p[1] ? 2 : 1;
    return p;
}

/* 0, -ENOMEM, or -EBADMSG with the line's number. */
static int parse_file(const char *text, char ***env, unsigned *ret_line)
{
    _cleanup_free_ char *assignment = malloc(strlen(text) + 1);
    const char *p = text;

    if (!assignment)
        return -ENOMEM;
    for (;;) {
        int r;

        p += strspn(p, " \t\r\n");
        if (!*p)
            return 0;
        if (*p == '#' || *p == ';') {
            p = skip_comment(p);
            continue;
        }
        if (!read_assignment(&p, assignment)) {
            *ret_line = 1;
            for (const char *q = text; q < p; q++)
                *ret_line += *q == '\n';
            return -EBADMSG;
        }
        r = env_set(env, assignment);
        if (r < 0)
            return r;
    }
}

static int message(int r, char **ret_message, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static int message(int r, char **ret_message, const char *format, ...)
{
    va_list args;
    char *text;

    va_start(args, format);
    if (vasprintf(&text, format, args) >= 0)
        *ret_message = text;
    va_end(args);
    return r;
}

static int add_file(const char *path, bool optional, char ***env, char **ret_message)
{
    _cleanup_free_ char *text = NULL;
    size_t size = 0;
    unsigned line = 0;
    int r = fs_read(AT_FDCWD, path, FILE_MAX_BYTES, &text, &size);

    if (r == -ENOENT && optional)
        return 0;
    if (r == -ENOENT)
        return message(
            r, ret_message,
            "EnvironmentFile=%s does not exist; create it, or write EnvironmentFile=-%s if it "
            "may be missing",
            path, path);
    if (r < 0)
        return message(r, ret_message, "EnvironmentFile=%s cannot be read: %s", path, strerror(-r));
    if (strlen(text) != size)
        return message(-EBADMSG, ret_message, "EnvironmentFile=%s is no text file", path);
    r = parse_file(text, env, &line);
    if (r == -EBADMSG)
        return message(
            r, ret_message,
            "%s:%u: this is no NAME=value (a quote is not closed, or there is an \"export\"); "
            "correct the line",
            path, line);
    return r;
}

/* An entry of EnvironmentFile=: "-" prefix, wildcards. */
static int add_files(const char *entry, char ***env, char **ret_message)
{
    bool optional = *entry == '-';
    glob_t found;
    int r = 0;

    entry += optional;
    if (!strpbrk(entry, "*?["))
        return add_file(entry, optional, env, ret_message);
    switch (glob(entry, 0, NULL, &found)) {
    case 0:
        break;
    case GLOB_NOMATCH:
        globfree(&found);
        return optional ? 0 : add_file(entry, false, env, ret_message);
    default:
        globfree(&found);
        return -ENOMEM;
    }
    for (size_t i = 0; i < found.gl_pathc && r == 0; i++)
        r = add_file(found.gl_pathv[i], optional, env, ret_message);
    globfree(&found);
    return r;
}

int policy_environment(const struct policy *policy, char *const *extra, char ***ret_env,
                       char **ret_message)
{
    _cleanup_strv_ char **env = NULL;
    _cleanup_free_ char *lang = NULL;
    char *const *sources[] = {extra, policy->environment};
    int r = strv_extend(&env, BASE_PATH);

    if (r == 0 && getenv("LANG")) {
        if (asprintf(&lang, "LANG=%s", getenv("LANG")) < 0) {
            lang = NULL;
            return -ENOMEM;
        }
        r = strv_extend(&env, lang);
    }
    for (size_t i = 0; i < ELEMENTS(sources); i++)
        for (char *const *e = sources[i]; e && *e && r == 0; e++)
            r = env_set(&env, *e);
    for (char **e = policy->environment_files; e && *e && r == 0; e++)
        r = add_files(*e, &env, ret_message);
    if (r < 0)
        return r;
    *ret_env = TAKE_PTR(env);
    return 0;
}

/* ---- $VARIABLES ---- */

/* ${X} and $$ inside a word. */
static int expand_word(const char *word, char *const *env, char **ret)
{
    _cleanup_free_ char *out = NULL;
    _cleanup_fclose_ FILE *stream = NULL;
    size_t size;

    stream = open_memstream(&out, &size);
    if (!stream)
        return -ENOMEM;
    while (*word) {
        const char *close = word[0] == '$' && word[1] == '{' ? strchr(word, '}') : NULL;

        if (close) {
            fputs(env_get(env, word + 2, (size_t)(close - word - 2)), stream);
            word = close + 1;
        } else {
            fputc(*word, stream);
            word += word[0] == '$' && word[1] == '$' ? 2 : 1;
        }
    }
    if (fclose(TAKE_PTR(stream)) != 0)
        return -ENOMEM;
    *ret = TAKE_PTR(out);
    return 0;
}

/* $X as a word of its own: as many words as its value has; a value with odd quotes is split at
 * blanks. */
static int expand_list(const char *value, char ***argv)
{
    _cleanup_strv_ char **words = NULL;
    _cleanup_free_ char *copy = NULL;
    char *save, *word;
    int r = words_split(value, &words);

    if (r == 0) {
        for (char **w = words; w && *w && r == 0; w++)
            r = strv_extend(argv, *w);
        return r;
    }
    if (r != -EINVAL)
        return r;
    copy = strdup(value);
    if (!copy)
        return -ENOMEM;
    for (word = strtok_r(copy, " \t\n", &save); word; word = strtok_r(NULL, " \t\n", &save)) {
        r = strv_extend(argv, word);
        if (r < 0)
            return r;
    }
    return 0;
}

int policy_expand_argv(char *const *argv, char *const *env, char ***ret)
{
    _cleanup_strv_ char **expanded = NULL;
    int r = argv && *argv ? strv_extend(&expanded, *argv++) : -EINVAL;

    for (; r == 0 && *argv; argv++) {
        const char *word = *argv;
        _cleanup_free_ char *value = NULL;

        if (word[0] == '$' && env_name_is_valid(word + 1, strlen(word + 1))) {
            r = expand_list(env_get(env, word + 1, strlen(word + 1)), &expanded);
            continue;
        }
        r = expand_word(word, env, &value);
        if (r == 0)
            r = strv_push(&expanded, value);
        if (r == 0)
            value = NULL;
    }
    if (r < 0)
        return r;
    *ret = TAKE_PTR(expanded);
    return 0;
}
