/* test_verify.c - the mode "verify" finds every damaged checkpoint and its children, and goes on.
 */
#include "common/cleanup.h"
#include "common/fs.h"
#include "image/seal.h"
#include "tests/image/folder.h"
#include "tests/image/sample.h"
#include "worker/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cmocka.h>

static char key_path[128], store_path[128];
static struct keys *keys;
static int store_fd = -1;

/* STORE/NAME/NUMBER with one file, sealed. */
static void put(const char *name, uint64_t number, uint64_t parent)
{
    struct manifest m = sample_manifest(name, number, NULL, 0);
    _cleanup_close_ int fd = -1;
    char path[64], target[32];

    snprintf(path, sizeof(path), "store/%s/%llu", name, (unsigned long long)number);
    (void)mkdirat(store_fd, name, 0700);
    fd = folder_make(path);
    folder_put(fd, "pages-1.img", path, strlen(path));
    snprintf(target, sizeof(target), "../%llu", (unsigned long long)parent);
    if (parent)
        assert_int_equal(symlinkat(target, fd, "parent"), 0);
    m.parent = parent;
    m.images = NULL;
    m.image_count = 0;
    assert_int_equal(seal_make(fd, NULL, &m), 0);
    assert_int_equal(manifest_write(fd, &m, keys), 0);
    free(m.images[0].name);
    free(m.images);
}

static int make_store(void **state)
{
    store_fd = folder_make("store");
    snprintf(key_path, sizeof(key_path), "%s/keys", folder_path());
    snprintf(store_path, sizeof(store_path), "%s/store", folder_path());
    if (keys_read_or_make(key_path, &keys) < 0)
        return -1;
    put("a", 1, 0);
    put("a", 2, 1);
    put("a", 3, 2);
    put("a", 4, 0);
    put("b", 1, 0);
    folder_put(store_fd, "a/counter", "4\n", 2);
    folder_put(store_fd, "a/4.poisoned", "why", 3);
    assert_int_equal(mkdirat(store_fd, "a/staging-5", 0700), 0);
    assert_int_equal(mkdirat(store_fd, ".tools", 0700), 0);
    folder_put(store_fd, "file", "", 0);
    return 0;
}

static int remove_store(void **state)
{
    keys = keys_free(keys);
    store_fd = fd_close(store_fd);
    return fs_remove_all(folder_fd, "store") < 0 || fs_remove_all(folder_fd, "keys") < 0 ? -1 : 0;
}

/* What the mode reports; the progress before it is at its end. */
static char *run(const char *name, uint64_t number, int expected)
{
    struct worker_args args = {.store = store_path,
                               .keys = key_path,
                               .name = name,
                               .number = number,
                               .report_fd = memfd_create("report", MFD_CLOEXEC)};
    char text[8192] = "", *result = text;
    unsigned long long done = 0, total = 0;

    assert_int_equal(worker_verify(&args), expected);
    assert_in_range(pread(args.report_fd, text, sizeof(text) - 1, 0), 1, sizeof(text) - 2);
    close(args.report_fd);
    while (result[0] == '%') {
        assert_int_equal(sscanf(result, "%%%llu/%llu", &done, &total), 2);
        result = strchr(result, '\n') + 1;
    }
    assert_true(done == total);
    return strdup(result);
}

/* "a@1+ a@2-": ids in their order, + is whole, - is damaged, ? cannot be told. */
static void verify(const char *name, uint64_t number, const char *expected, const char *why)
{
    _cleanup_free_ char *text = run(name, number, EXIT_SUCCESS);
    json_t *result = json_loads(text, 0, NULL), *one;
    char got[256] = "";
    size_t i;

    json_array_foreach(json_object_get(result, "checkpoints"), i, one)
    {
        const char *id = json_string_value(json_object_get(one, "id"));
        bool ok = json_is_true(json_object_get(one, "ok"));
        bool damaged = json_is_true(json_object_get(one, "damaged"));

        assert_true(strlen(got) + strlen(id) + 3 < sizeof(got));
        sprintf(got + strlen(got), "%s%s%c", i ? " " : "", id, ok ? '+' : damaged ? '-' : '?');
        assert_true(ok == (json_string_length(json_object_get(one, "why")) == 0));
    }
    assert_string_equal(got, expected);
    assert_true(!why || strstr(text, why));
    json_decref(result);
}

static void all_are_whole(void **state)
{
    verify("a", 0, "a@1+ a@2+ a@3+ a@4+", NULL);
    verify("a", 3, "a@3+", NULL);
    verify("b", 0, "b@1+", NULL);
}

static void every_service(void **state)
{
    _cleanup_free_ char *text = run(NULL, 0, EXIT_SUCCESS);

    assert_non_null(strstr(text, "\"a@4\""));
    assert_non_null(strstr(text, "\"b@1\""));
    assert_null(strstr(text, "false,\"damaged\":true"));
}

static void damage_spreads_to_children(void **state)
{
    folder_put(store_fd, "a/2/pages-1.img", "store/a/X", 9);
    verify("a", 0, "a@1+ a@2- a@3- a@4+", "parent a@2: the image is damaged: pages-1.img");
    verify("a", 3, "a@3- a@2-", NULL); /* others depend on that one, too */
    verify("a", 1, "a@1+", NULL);
}

static void many_kinds_at_once(void **state)
{
    assert_int_equal(fs_remove_all(store_fd, "a/1"), 0);
    folder_put(store_fd, "a/4/manifest.json", "{}", 2);
    verify("a", 0, "a@2- a@3- a@4-", "a@1, a parent of a@2");
}

/* An added file may have any name; what is said of it is text all the same. */
static void names_that_are_not_text(void **state)
{
    folder_put(store_fd, "a/4/\xff.img", "", 0);
    verify("a", 0, "a@1+ a@2+ a@3+ a@4-", NULL);
}

/* A key that is not here says nothing of the image. */
static void without_the_key_it_is_not_damage(void **state)
{
    struct keys *other = NULL;

    assert_int_equal(fs_remove_all(folder_fd, "keys"), 0);
    assert_int_equal(keys_read_or_make(key_path, &other), 0);
    keys_free(other);
    verify("b", 0, "b@1?", NULL);
}

static void fails_where_there_is_nothing(void **state)
{
    _cleanup_free_ char *number = run("a", 9, EXIT_FAILURE), *name = run("c", 0, EXIT_FAILURE);
    _cleanup_free_ char *key = NULL;

    assert_non_null(strstr(number, "a@9"));
    assert_non_null(strstr(name, "c: No such file"));
    assert_int_equal(chmod(key_path, 0644), 0);
    key = run(NULL, 0, EXIT_FAILURE);
    assert_non_null(strstr(key, key_path));
}

#define store_test(f) cmocka_unit_test_setup_teardown(f, make_store, remove_store)

int main(void)
{
    const struct CMUnitTest tests[] = {
        store_test(all_are_whole),
        store_test(every_service),
        store_test(damage_spreads_to_children),
        store_test(many_kinds_at_once),
        store_test(names_that_are_not_text),
        store_test(without_the_key_it_is_not_damage),
        store_test(fails_where_there_is_nothing),
    };

    return cmocka_run_group_tests(tests, folder_setup, folder_teardown);
}
