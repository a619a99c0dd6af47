/* policy_fixture.h - a scratch folder of policies, and what loading them says. */
#pragma once

#include "common/cleanup.h"
#include "common/fs.h"
#include "common/strv.h"
#include "supervisord/policy.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

struct fixture {
    char dir[64];
    char path[128]; /* DIR/t.ini */
    struct policy *policy;
    struct policy_errors errors;
};

static inline int fixture_setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    strcpy(f->dir, "/tmp/perdure-policy.XXXXXX");
    if (!mkdtemp(f->dir))
        return -1;
    snprintf(f->path, sizeof(f->path), "%s/t.ini", f->dir);
    *state = f;
    return 0;
}

static inline int fixture_teardown(void **state)
{
    struct fixture *f = *state;

    policy_free(f->policy);
    policy_errors_done(&f->errors);
    fs_remove_all(AT_FDCWD, f->dir);
    free(f);
    return 0;
}

/* Writes DIR/NAME. */
static inline void write_bytes(struct fixture *f, const char *name, const void *data, size_t size)
{
    _cleanup_free_ char *path = fs_join(f->dir, name);
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(fs_write_all(fd, data, size), 0);
}

static inline void write_text(struct fixture *f, const char *name, const char *text)
{
    write_bytes(f, name, text, strlen(text));
}

static inline void make_dir(struct fixture *f, const char *name)
{
    _cleanup_free_ char *path = fs_join(f->dir, name);

    assert_int_equal(mkdir(path, 0755), 0);
}

/* Loads t.ini anew. */
static inline int reload(struct fixture *f)
{
    f->policy = policy_free(f->policy);
    policy_errors_done(&f->errors);
    return policy_load(f->path, NULL, &f->errors, &f->policy);
}

static inline void show_errors(const struct policy_errors *errors)
{
    for (size_t i = 0; i < errors->count; i++)
        print_message("%s:%u: %s\n", errors->items[i].file, errors->items[i].line,
                      errors->items[i].message);
}

/* t.ini with this text is a policy. */
static inline const struct policy *good(struct fixture *f, const char *text)
{
    int r;

    write_text(f, "t.ini", text);
    r = reload(f);
    if (r != 0)
        show_errors(&f->errors);
    assert_int_equal(r, 0);
    assert_int_equal(f->errors.count, 0);
    return f->policy;
}

static inline bool has_error(const struct policy_errors *errors, unsigned line, const char *part)
{
    for (size_t i = 0; i < errors->count; i++)
        if (errors->items[i].line == line && strstr(errors->items[i].message, part))
            return true;
    return false;
}

/* t.ini with this text has exactly one error, there and saying that. */
static inline void bad(struct fixture *f, const char *text, unsigned line, const char *part)
{
    int r;

    write_text(f, "t.ini", text);
    r = reload(f);
    if (r != POLICY_INVALID || f->errors.count != 1 || !has_error(&f->errors, line, part)) {
        print_message("expected line %u, \"%s\" of:\n%s\n", line, part, text);
        show_errors(&f->errors);
    }
    assert_int_equal(r, POLICY_INVALID);
    assert_null(f->policy);
    assert_int_equal(f->errors.count, 1);
    assert_true(has_error(&f->errors, line, part));
    assert_string_equal(f->errors.items[0].file, f->path);
}

#define COMMAND "[Service]\nExecStart=/bin/x\n" /* lines 1 and 2 */
