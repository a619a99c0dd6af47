/* policy_exec.c - reads command lines: ExecStart=, ExecStop= and the hooks. */
#include "common/cleanup.h"
#include "common/signame.h"
#include "common/strv.h"
#include "common/words.h"
#include "supervisord/policy_keys.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

/* Where systemd.service(5) looks for a command without a slash. */
static const char *const command_folders[] = {"/usr/local/sbin", "/usr/local/bin", "/usr/sbin",
                                              "/usr/bin",        "/sbin",          "/bin"};

static void argvs_free(char ***argvs)
{
    for (char ***argv = argvs; argv && *argv; argv++)
        strv_free(*argv);
    free(argvs);
}

/* "/bin/x" stays, "x" is looked up, "./x" is refused. */
static int resolve_program(const struct assignment *a, char **program)
{
    if ((*program)[0] == '/')
        return 0;
    if (strchr(*program, '/') || !**program)
        return assignment_error(a, "\"%s\" is no absolute path; write it from / on", *program);
    for (size_t i = 0; i < ELEMENTS(command_folders); i++) {
        _cleanup_free_ char *path = NULL;
        struct stat st;

        if (asprintf(&path, "%s/%s", command_folders[i], *program) < 0) {
            path = NULL;
            return -ENOMEM;
        }
        if (stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0) {
            free(*program);
            *program = TAKE_PTR(path);
            return 0;
        }
    }
    return assignment_error(a,
                            "command \"%s\" is in none of /usr/local/sbin /usr/local/bin /usr/sbin "
                            "/usr/bin /sbin /bin; install it or write its full path",
                            *program);
}

/* "$FOO/bar" would vanish under systemd's rules: only a whole word is a variable without braces. */
static int check_variable(const struct assignment *a, const char *word)
{
    size_t len = strlen(word);

    if (word[0] != '$' || len == 1 || word[1] == '$' || word[1] == '{' ||
        env_name_is_valid(word + 1, len - 1))
        return 0;
    return assignment_error(
        a, "\"%s\" is no variable; write ${NAME} inside a word, $$ for a dollar sign", word);
}

static int check_prefix(const struct assignment *a, const char *word, bool *ret_ignore)
{
    if (*word && strchr("@:+!|", *word))
        return assignment_error(a, "the prefix \"%c\" is not supported by perdure; leave it out",
                                *word);
    if (*word == '-' && !ret_ignore)
        return assignment_error(a, "the prefix \"-\" is not supported here; leave it out");
    if (*word == '-')
        *ret_ignore = true;
    return 0;
}

/* One command line as argv. `ret_ignore` NULL: no "-" prefix here. */
static int parse_command(const struct assignment *a, const char *text, bool *ret_ignore,
                         char ***ret)
{
    _cleanup_strv_ char **argv = NULL;
    bool ignore = false;
    int r;

    for (;;) {
        _cleanup_free_ char *word = NULL;

        text += strspn(text, " \t");
        if (argv && text[0] == '\\' && text[1] == ';' && strchr(" \t", text[2])) {
            word = strdup(";"); /* systemd.service(5): an escaped semicolon is one word */
            r = word ? 0 : -ENOMEM;
            text += 2;
        } else {
            r = value_next_word(a, &text, &word);
        }
        if (r == 0 && !word)
            break;
        if (r == 0 && !argv) {
            r = check_prefix(a, word, ret_ignore ? &ignore : NULL);
            if (ignore)
                memmove(word, word + 1, strlen(word));
            if (r == 0)
                r = check_prefix(a, word, NULL);
            if (r == 0)
                r = resolve_program(a, &word);
        } else if (r == 0) {
            r = check_variable(a, word);
        }
        if (r == 0)
            r = strv_push(&argv, word);
        if (r != 0)
            return r;
        word = NULL;
    }
    if (ret_ignore)
        *ret_ignore = ignore;
    *ret = TAKE_PTR(argv);
    return 0;
}

int value_exec_start(const struct assignment *a, const char *text, void *policy)
{
    struct policy *p = policy;
    _cleanup_free_ char *line = NULL;
    _cleanup_strv_ char **argv = NULL;
    bool ignore = false;
    int r = 0;

    if (*text && p->exec_start)
        return assignment_error(a, "there is one already; write an empty ExecStart= above it to "
                                   "replace that one");
    if (*text) {
        line = strdup(text);
        r = line ? parse_command(a, text, &ignore, &argv) : -ENOMEM;
    }
    if (r != 0)
        return r;
    strv_free(p->exec_start);
    free(p->exec_start_line);
    p->exec_start = TAKE_PTR(argv);
    p->exec_start_line = TAKE_PTR(line);
    p->exec_start_ignore_failure = ignore;
    return 0;
}

int value_exec_stop(const struct assignment *a, const char *text, void *policy)
{
    struct policy *p = policy;
    _cleanup_strv_ char **argv = NULL;
    bool ignore = false;
    size_t n = 0;
    char ***grown;
    int r;

    if (!*text) {
        argvs_free(TAKE_PTR(p->exec_stop));
        p->exec_stop_ignore_failure = false;
        return 0;
    }
    r = parse_command(a, text, &ignore, &argv);
    if (r != 0)
        return r;
    while (p->exec_stop && p->exec_stop[n])
        n++;
    grown = reallocarray(p->exec_stop, n + 2, sizeof(*grown));
    if (!grown)
        return -ENOMEM;
    grown[n] = TAKE_PTR(argv);
    grown[n + 1] = NULL;
    p->exec_stop = grown;
    p->exec_stop_ignore_failure = ignore;
    return 0;
}

int value_command(const struct assignment *a, const char *text, void *field)
{
    _cleanup_strv_ char **argv = NULL;
    _cleanup_free_ char *line = NULL;
    char **value = field;
    int r = *text ? parse_command(a, text, NULL, &argv) : 0;

    if (r != 0)
        return r;
    if (argv) {
        line = words_join(argv);
        if (!line)
            return -ENOMEM;
    }
    free(*value);
    *value = TAKE_PTR(line);
    return 0;
}

int value_post_restore(const struct assignment *a, const char *text, void *policy)
{
    struct policy *p = policy;
    bool is_signal = strncmp(text, "signal:", 7) == 0;
    int r, signal = 0;

    if (is_signal) {
        signal = signal_from_name(text + 7);
        if (signal < 0)
            return assignment_error(a, "\"%s\" is no signal; write it like \"signal:USR2\"",
                                    text + 7);
    }
    r = value_command(a, is_signal ? "" : text, &p->post_restore);
    if (r == 0)
        p->post_restore_signal = signal;
    return r;
}
