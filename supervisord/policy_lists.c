/* policy_lists.c - reads values of several words or of a form of their own: commands, environment,
 * streams. */
#include "common/cleanup.h"
#include "common/nearest.h"
#include "common/strv.h"
#include "common/words.h"
#include "supervisord/policy_keys.h"

#include <errno.h>
#include <string.h>

int value_next_word(const struct assignment *a, const char **cursor, char **ret)
{
    _cleanup_free_ char *word = NULL;
    int r = words_next(cursor, &word);

    if (r == WORDS_END) {
        *ret = NULL;
        return 0;
    }
    if (r == -EINVAL)
        return assignment_error(
            a, "a quote is not closed or an escape is unknown; write \"\\\\\" for a "
               "backslash and close every quote");
    return r < 0 ? r : specifiers_expand(a, word, ret);
}

/* ---- lists ---- */

int value_accounts(const struct assignment *a, const char *text, void *field)
{
    char ***list = field;

    if (!*text)
        *list = strv_free(*list);
    for (;;) {
        _cleanup_free_ char *word = NULL, *account = NULL;
        int r = value_next_word(a, &text, &word);

        if (r == 0 && !word)
            return 0;
        if (r == 0)
            r = value_account(a, word, &account);
        if (r == 0 && account)
            r = strv_extend(list, account);
        if (r != 0)
            return r;
    }
}

int value_environment(const struct assignment *a, const char *text, void *field)
{
    char ***env = field;

    if (!*text)
        *env = strv_free(*env);
    for (;;) {
        _cleanup_free_ char *word = NULL;
        int r = value_next_word(a, &text, &word);

        if (r == 0 && !word)
            return 0;
        if (r == 0 && (!strchr(word, '=') || !env_name_is_valid(word, strcspn(word, "="))))
            return assignment_error(
                a,
                "\"%s\" is no NAME=value; put quotes around the whole of it when "
                "the value has blanks: \"NAME=a b\"",
                word);
        if (r == 0)
            r = env_set(env, word);
        if (r != 0)
            return r;
    }
}

int value_environment_file(const struct assignment *a, const char *text, void *field)
{
    _cleanup_free_ char *path = NULL, *entry = NULL;
    char ***list = field;
    bool optional = *text == '-';
    int r;

    if (!*text) {
        *list = strv_free(*list);
        return 0;
    }
    r = value_path(a, text + optional, &path);
    if (r != 0)
        return r;
    if (!path)
        return assignment_error(a, "there is no path after \"-\"; write it from / on");
    if (asprintf(&entry, "%s%s", optional ? "-" : "", path) < 0) {
        entry = NULL;
        return -ENOMEM;
    }
    return strv_extend(list, entry);
}

int value_ladder(const struct assignment *a, const char *text, void *policy)
{
    static const char *const names[] = {"proven", "newest", "older", "cold", NULL}; /* the enum */
    struct policy *p = policy;
    unsigned used = 0, count = 0;
    enum ladder_rung rungs[LADDER_MAX];

    for (;;) {
        _cleanup_free_ char *word = NULL;
        int r = value_next_word(a, &text, &word);
        unsigned i = 0;

        if (r != 0)
            return r;
        if (!word)
            break;
        while (names[i] && strcmp(names[i], word) != 0)
            i++;
        if (!names[i] && nearest_word(word, names))
            return assignment_error(a, "unknown rung \"%s\"; did you mean \"%s\"?", word,
                                    nearest_word(word, names));
        if (!names[i])
            return assignment_error(
                a, "unknown rung \"%s\"; write some of: proven newest older cold", word);
        if (used & 1u << i)
            return assignment_error(a, "\"%s\" is there twice; write each rung once", word);
        used |= 1u << i;
        rungs[count++] = (enum ladder_rung)i;
    }
    memcpy(p->ladder, rungs, count * sizeof(rungs[0]));
    p->ladder_len = count;
    return 0;
}

/* Where they are written down, a line is a path. */
int value_snapshot_paths(const struct assignment *a, const char *text, void *field)
{
    char ***list = field;

    if (!*text)
        *list = strv_free(*list);
    for (;;) {
        _cleanup_free_ char *word = NULL;
        int r = value_next_word(a, &text, &word);

        if (r != 0 || !word)
            return r;
        if (word[0] != '/')
            return assignment_error(a, "\"%s\" is no absolute path; write it from / on", word);
        if (strchr(word, '\n'))
            return assignment_error(a, "a path with a line break is not supported; write a pattern "
                                       "with \"?\" in its place");
        r = strv_extend(list, word);
        if (r != 0)
            return r;
    }
}

/* ---- folders and streams ---- */

int value_working_directory(const struct assignment *a, const char *text, void *policy)
{
    struct policy *p = policy;
    bool optional = *text == '-';
    int r;

    text += optional;
    if (strcmp(text, "~") == 0) { /* made a path when User= is known */
        char *tilde = strdup(text);

        if (!tilde)
            return -ENOMEM;
        free(p->working_directory);
        p->working_directory = tilde;
        r = 0;
    } else {
        r = value_path(a, text, &p->working_directory);
    }
    if (r == 0)
        p->working_directory_missing_ok = optional;
    return r;
}

int value_stdin(const struct assignment *a, const char *text, void *policy)
{
    if (!*text || strcmp(text, "null") == 0)
        return 0;
    return assignment_error(
        a,
        "\"%s\" is not supported: a terminal, socket or file at stdin is gone when "
        "the service comes back from a checkpoint; write null",
        text);
}

static int refuse_stream(const struct assignment *a, const char *text)
{
    static const char *const forms[] = {"null", "inherit", "file:", "append:", NULL};
    const char *meant = nearest_word(text, forms);

    if (strncmp(text, "truncate:", 9) == 0)
        return assignment_error(a,
                                "truncate: is not supported, it would lose lines at each restart; "
                                "write file:%s or append:%s",
                                text + 9, text + 9);
    if (strncmp(text, "journal", 7) == 0 || strncmp(text, "syslog", 6) == 0 ||
        strncmp(text, "kmsg", 4) == 0)
        return assignment_error(a,
                                "\"%s\" is not supported: a stream to the journal cannot be "
                                "checkpointed; leave the key out for the service's own log (see "
                                "\"perdure logs\"), or write append:PATH",
                                text);
    return assignment_error(a,
                            "\"%s\" is not supported%s%s%s; write file:PATH, append:PATH, null or "
                            "inherit",
                            text, meant ? ", did you mean \"" : "", meant ? meant : "",
                            meant ? "\"" : "");
}

int value_stream(const struct assignment *a, const char *text, void *field)
{
    static const struct {
        const char *prefix;
        enum stream_kind kind;
    } forms[] = {{"file:", STREAM_FILE}, {"append:", STREAM_APPEND}};
    bool is_stderr = a->key->detail != NULL;
    struct policy_stream *stream = field;
    _cleanup_free_ char *path = NULL;
    enum stream_kind kind;

    if (!*text) {
        kind = is_stderr ? STREAM_SAME : STREAM_APPEND;
    } else if (strcmp(text, "null") == 0) {
        kind = STREAM_NULL;
    } else if (strcmp(text, "inherit") ==
               0) { /* systemd.exec(5): stderr's inherit is "as stdout" */
        kind = is_stderr ? STREAM_SAME : STREAM_INHERIT;
    } else {
        size_t i = 0;
        int r;

        while (i < ELEMENTS(forms) && strncmp(text, forms[i].prefix, strlen(forms[i].prefix)) != 0)
            i++;
        if (i == ELEMENTS(forms))
            return refuse_stream(a, text);
        kind = forms[i].kind;
        text += strlen(forms[i].prefix);
        r = value_path(a, text, &path);
        if (r != 0)
            return r;
        if (!path)
            return assignment_error(a, "there is no path after the colon; write it from / on");
    }
    free(stream->path);
    stream->path = TAKE_PTR(path);
    stream->kind = kind;
    return 0;
}
