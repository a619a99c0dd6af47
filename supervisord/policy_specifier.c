/* policy_specifier.c - resolves %i and its kin in values, systemd.unit(5) "Specifiers". */
#include "common/cleanup.h"
#include "supervisord/policy_keys.h"

#include <ctype.h>
#include <errno.h>
#include <pwd.h>
#include <string.h>

/* The instance as it was before escaping: "-" is "/", "\x2d" a byte. */
static char *unescape(const char *instance)
{
    char *copy = strdup(instance), *out = copy;
    unsigned byte;

    if (!copy)
        return NULL;
    for (const char *p = instance; *p; p++) {
        if (*p == '-') {
            *out++ = '/';
        } else if (p[0] == '\\' && p[1] == 'x' && isxdigit((unsigned char)p[2]) &&
                   isxdigit((unsigned char)p[3]) && sscanf(p + 2, "%2x", &byte) == 1 && byte > 0) {
            *out++ = (char)byte;
            p += 3;
        } else {
            *out++ = *p;
        }
    }
    *out = '\0';
    return copy;
}

static const char *home(void)
{
    const struct passwd *pw = getpwuid(geteuid());

    return pw && pw->pw_dir ? pw->pw_dir : "/";
}

/* The folder of the system's or the user's own instance, systemd.unit(5) table of specifiers. */
static char *folder(const char *of_root, const char *variable, const char *below_home)
{
    const char *value = getenv(variable);
    char *path;

    if (geteuid() == 0)
        return strdup(of_root);
    if (value && value[0] == '/')
        return strdup(value);
    return asprintf(&path, "%s/%s", home(), below_home) < 0 ? NULL : path;
}

static char *format_uid(void)
{
    char *text;

    return asprintf(&text, "%u", (unsigned)geteuid()) < 0 ? NULL : text;
}

static char *user_name(void)
{
    const struct passwd *pw = getpwuid(geteuid());

    return pw ? strdup(pw->pw_name) : format_uid();
}

static char *host_name(void)
{
    char name[65] = "";

    gethostname(name, sizeof(name) - 1);
    return strdup(name);
}

/* What %letter stands for; 0 with *ret NULL: there is no such one. */
static int resolve(const char *service, char letter, char **ret)
{
    const char *at = strchr(service, '@'), *instance = at ? at + 1 : "";
    char *text;

    switch (letter) {
    case 'n':
    case 'N':
        text = strdup(service);
        break;
    case 'p':
        text = at ? strndup(service, (size_t)(at - service)) : strdup(service);
        break;
    case 'i':
        text = strdup(instance);
        break;
    case 'I':
        text = unescape(instance);
        break;
    case 'u':
        text = user_name();
        break;
    case 'U':
        text = format_uid();
        break;
    case 'h':
        text = strdup(home());
        break;
    case 'H':
        text = host_name();
        break;
    case 't':
        text = folder("/run", "XDG_RUNTIME_DIR", ".run");
        break;
    case 'S':
        text = folder("/var/lib", "XDG_STATE_HOME", ".local/state");
        break;
    case 'C':
        text = folder("/var/cache", "XDG_CACHE_HOME", ".cache");
        break;
    case 'T':
        text = strdup("/tmp");
        break;
    case 'V':
        text = strdup("/var/tmp");
        break;
    case '%':
        text = strdup("%");
        break;
    default:
        *ret = NULL;
        return 0;
    }
    if (!text)
        return -ENOMEM;
    *ret = text;
    return 0;
}

int specifiers_expand(const struct assignment *a, const char *text, char **ret)
{
    _cleanup_free_ char *out = NULL;
    _cleanup_fclose_ FILE *stream = NULL;
    size_t size;

    if (!a->service || !strchr(text, '%')) {
        out = strdup(text);
        if (!out)
            return -ENOMEM;
        *ret = TAKE_PTR(out);
        return 0;
    }
    stream = open_memstream(&out, &size);
    if (!stream)
        return -ENOMEM;
    for (const char *p = text; *p; p++) {
        _cleanup_free_ char *value = NULL;

        if (*p != '%' || (p[1] != '%' && !isalnum((unsigned char)p[1]))) {
            fputc(*p, stream);
            continue;
        }
        p++;
        if (resolve(a->service, *p, &value) < 0)
            return -ENOMEM;
        if (!value)
            return assignment_error(
                a, "unknown specifier \"%%%c\"; write \"%%%%\" for a percent sign", *p);
        fputs(value, stream);
    }
    if (fclose(TAKE_PTR(stream)) != 0)
        return -ENOMEM;
    *ret = TAKE_PTR(out);
    return 0;
}
