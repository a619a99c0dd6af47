/* report.c - the one way out for errors and for JSON; see ctl.h. */
#include "common/cleanup.h"
#include "ctl/ctl.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

int report(const struct ctl *ctl, int code, const char *cure, const char *format, ...)
{
    _cleanup_free_ char *message = NULL;
    va_list args;
    json_t *value;

    va_start(args, format);
    if (vasprintf(&message, format, args) < 0)
        message = NULL;
    va_end(args);

    if (!ctl->json) {
        fprintf(stderr, "perdure: %s\n", message ? message : strerror(ENOMEM));
        if (cure && cure[0])
            fprintf(stderr, "  %s\n", cure);
        return code;
    }
    value = json_pack("{s:i, s:{s:s, s:s?}}", "version", 1, "error", "message",
                      message ? message : strerror(ENOMEM), "cure", cure && cure[0] ? cure : NULL);
    if (value)
        (void)json_dumpf(value, stdout, JSON_COMPACT);
    json_decref(value);
    putchar('\n');
    return code;
}

int report_errno(const struct ctl *ctl, int error, const char *what)
{
    return report(ctl, EXIT_FAILED, NULL, "%s: %s", what, strerror(-error));
}

int print_json(const struct ctl *ctl, json_t *value)
{
    int r;

    if (!value)
        return report_errno(ctl, -ENOMEM, "cannot write JSON");
    r = json_dumpf(value, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6));
    json_decref(value);
    putchar('\n');
    return r < 0 || fflush(stdout) != 0 ? EXIT_FAILED : EXIT_OK;
}

int check_names(const struct ctl *ctl, int count, char **names)
{
    for (int i = 0; i < count; i++)
        if (!service_name_is_valid(names[i]))
            return report(ctl, EXIT_USAGE,
                          "a name is that of its policy file without .ini: letters, digits and "
                          "_ . : @ - \\, not starting with a dot",
                          "'%s' is not a service name", names[i]);
    return EXIT_OK;
}

int check_id(const struct ctl *ctl, const char *word)
{
    const char *at = strrchr(word, '@');
    _cleanup_free_ char *name = NULL;

    if (!at || at[1] == '\0' || at[1 + strspn(at + 1, "0123456789")] != '\0')
        return report(ctl, EXIT_USAGE, "an id is NAME@N; `perdure list NAME` lists them",
                      "'%s' is not the id of a checkpoint", word);
    name = strndup(word, (size_t)(at - word));
    return name ? check_names(ctl, 1, &name) : report_errno(ctl, -ENOMEM, word);
}
