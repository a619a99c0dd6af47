/* test_tree.c - branches in front of ids; odd parents lose nobody. */
#include "ctl/tree.h"

#include "common/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void check(const struct tree_node *nodes, size_t count, bool utf8, const char *wanted)
{
    struct tree_line *lines = NULL;
    char text[1024] = "";

    assert_int_equal(tree_draw(nodes, count, utf8, &lines), 0);
    for (size_t i = 0; i < count; i++) {
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s\n", lines[i].text);
        assert_non_null(strstr(lines[i].text, nodes[lines[i].node].id));
    }
    assert_string_equal(text, wanted);
    tree_free(lines, count);
}

/* Newest first, as the daemon lists them. */
static const struct tree_node nodes[] = {
    {"a@5", "a@3"}, {"a@4", "a@1"}, {"a@3", "a@2"}, {"a@2", "a@1"}, {"a@1", NULL}, {"b@1", NULL},
};

static void test_utf8(void **state)
{
    check(nodes, ELEMENTS(nodes), true,
          "a@1\n"
          "├─ a@4\n"
          "└─ a@2\n"
          "   └─ a@3\n"
          "      └─ a@5\n"
          "b@1\n");
}

static void test_ascii(void **state)
{
    check(
        (const struct tree_node[]){
            {"a@3", "a@1"}, {"a@4", "a@2"}, {"a@2", "a@1"}, {"a@1", NULL}, {"a@5", "a@3"}},
        5, false,
        "a@1\n"
        "|- a@3\n"
        "|  `- a@5\n"
        "`- a@2\n"
        "   `- a@4\n");
}

static void test_parent_that_is_not_there(void **state)
{
    check((const struct tree_node[]){{"a@9", "a@7"}, {"a@3", NULL}}, 2, false, "a@9\na@3\n");
}

static void test_circle(void **state)
{
    check((const struct tree_node[]){{"a@1", "a@2"}, {"a@2", "a@1"}, {"a@3", "a@3"}}, 3, false,
          "a@1\n`- a@2\na@3\n");
}

static void test_empty(void **state)
{
    check(nodes, 0, true, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_ascii),
        cmocka_unit_test(test_parent_that_is_not_there),
        cmocka_unit_test(test_circle),
        cmocka_unit_test(test_empty),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
