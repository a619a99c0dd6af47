/* test_policy_file.c - the reader: nothing is cut or guessed, whatever bytes a file has. */
#include "tests/supervisord/policy_fixture.h"

static void test_syntax(void **state)
{
    const struct policy *p = good(*state, "\xef\xbb\xbf# comment\n"
                                          "; another\r\n"
                                          "\n"
                                          "  [Unit]\t\n"
                                          "Description = \ta thing: with = and # signs  \r\n"
                                          "[Service]\n"
                                          "   ExecStart=/bin/x a=b;c   \n"
                                          "\tUser=nobody");

    assert_string_equal(p->description, "a thing: with = and # signs");
    assert_string_equal(p->exec_start[1], "a=b;c");
    assert_string_equal(p->user, "nobody");
}

static void test_continuation(void **state)
{
    const struct policy *p = good(*state, "[Service]\n"
                                          "ExecStart=/bin/x \\\n"
                                          "# a comment in between\n"
                                          "; and another\n"
                                          "   one \"two\\\n"
                                          "  [three]=3\" \\\n"
                                          "\tUser=root \\\n"
                                          "\n"
                                          "Restart=always \\\n");

    assert_string_equal(p->exec_start[1], "one");
    assert_string_equal(p->exec_start[2], "two   [three]=3"); /* blanks in quotes stay */
    assert_string_equal(p->exec_start[3], "User=root");
    assert_null(p->exec_start[4]);
    assert_null(p->user);
    assert_int_equal(p->restart, RESTART_ALWAYS); /* a backslash at the end of the file */
}

static void test_even_backslashes_do_not_continue(void **state)
{
    const struct policy *p = good(*state, "[Service]\nExecStart=/bin/x a\\\\\nUser=nobody\n");

    assert_string_equal(p->exec_start[1], "a\\");
    assert_string_equal(p->user, "nobody");
}

static void test_line_length(void **state)
{
    struct fixture *f = *state;
    char text[1024], word[512];
    const struct policy *p;

    /* 198 bytes are the most that inih's buffer holds; each line of a continued value has them anew
     */
    memset(word, 'a', sizeof(word));
    word[198 - strlen("Description=")] = '\0';
    snprintf(text, sizeof(text), COMMAND "[Unit]\nDescription=%s\n", word);
    p = good(f, text);
    assert_int_equal(strlen(p->description), 198 - strlen("Description="));

    snprintf(text, sizeof(text), COMMAND "[Unit]\nDescription=%sb\n", word);
    bad(f, text, 4, "line too long for one line (198 bytes): break it with a backslash");
    snprintf(text, sizeof(text), COMMAND "[Unit]\nDescription=b \\\n\\\n%saaaaaaaaaaaab \\\nc\n",
             word);
    bad(f, text, 6, "line too long");
    snprintf(text, sizeof(text), COMMAND "#%sbbbbbbbbbbbbbbbbbbbbbbbbbb=\n", word);
    good(f, text); /* a comment may be long */
    snprintf(text, sizeof(text), COMMAND "[Unit]%150s%150s\nDescription=x\n", "", "");
    good(f, text);

    snprintf(text, sizeof(text),
             "[Service]\nExecStart=/bin/x %.150s \\\n%.185s%.10s \\\n  %.100s\n", word, word, word,
             word);
    p = good(f, text);
    assert_int_equal(strlen(p->exec_start[1]), 150);
    assert_int_equal(strlen(p->exec_start[2]), 195);
    assert_int_equal(strlen(p->exec_start[3]), 100);
    snprintf(text, sizeof(text), "[Service]\nExecStart=/bin/x \\\n%.185s%.11s \\\n  %.100s\n", word,
             word, word);
    bad(f, text, 3, "line too long for one line (197 bytes)");
}

static void test_comment_inside(void **state)
{
    bad(*state, COMMAND "User=nobody ; who\n", 3, "comment on a line of its own");
    bad(*state, COMMAND "User= ;nobody\n", 3, "comment on a line of its own");
    bad(*state, COMMAND "Environment=\"A=b ;c\"\n", 3, "cut the value");
    bad(*state, COMMAND "Environment=A=b \\\n  B=c\t; d\n", 4, "cut the value");
    bad(*state, "[Service] ; x\nExecStart=/bin/x\n", 1, "nothing else in the line");
}

static void test_not_key_value(void **state)
{
    bad(*state, COMMAND "hello\n", 3, "Key=value");
    bad(*state, COMMAND "User: nobody\n", 3, "Key=value");
    bad(*state, COMMAND "=x\n", 3, "Key=value");
    bad(*state, COMMAND "Environment=A=b \\ \n  B=c=d\n", 3, "remove the blank");
    bad(*state, COMMAND "[Unit\n", 3, "[Name]");
}

static void test_sections(void **state)
{
    struct fixture *f = *state;
    char text[512];

    bad(f, COMMAND "[Checkpoints]\nKeep=2\nColour=red\n", 3,
        "unknown section [Checkpoints]; did you mean "
        "[Checkpoint]?");
    bad(f, COMMAND "[Zebra]\nKeep=2\n", 3, "unknown section [Zebra]; nothing of it is used");
    snprintf(text, sizeof(text), COMMAND "[Checkpoint%0200d]\n", 1);
    bad(f, text, 3, "unknown section");
    write_text(f, "t.ini", "User=nobody\nGroup=x\n" COMMAND);
    assert_int_equal(reload(f), POLICY_INVALID);
    assert_int_equal(f->errors.count, 1);
    assert_true(has_error(&f->errors, 1, "before the first [Section]"));
    good(f, "[X-Mine]\nA=b ; c\n" COMMAND "X-Note=hello\n[Install]\nWantedBy=multi-user.target\n"
            "[Unit]\nDocumentation=man:x(1)\n");
}

static void test_all_errors(void **state)
{
    struct fixture *f = *state;

    write_text(f, "t.ini",
               "[Service]\nUsr=nobody\nNice=99\nRestart=allways\n\nfoo\n[Recovery]\nKeep=1\n");
    assert_int_equal(reload(f), POLICY_INVALID);
    assert_true(has_error(&f->errors, 2, "unknown key Usr= in [Service]; did you mean User=?"));
    assert_true(has_error(&f->errors, 3, "a number from -20 to 19"));
    assert_true(has_error(&f->errors, 4, "did you mean \"always\"?"));
    assert_true(has_error(&f->errors, 6, "Key=value"));
    assert_true(has_error(&f->errors, 8, "belongs into [Checkpoint]"));
    assert_true(has_error(&f->errors, 0, "ExecStart= is missing"));
    assert_int_equal(f->errors.count, 6);
}

static void test_no_text(void **state)
{
    struct fixture *f = *state;

    write_bytes(f, "t.ini", "[Service]\nExec\0Start=/bin/x\n", 28);
    assert_int_equal(reload(f), POLICY_INVALID);
    assert_true(has_error(&f->errors, 2, "byte 0x00: this is not UTF-8 text"));
    bad(f, COMMAND "User=\xff\xfe\n", 3, "byte 0xff");
    bad(f, COMMAND "User=\x1b[0m\n", 3, "byte 0x1b");
    bad(f, COMMAND "User=\xc0\xaf\n", 3, "byte 0xc0"); /* overlong */
    bad(f, COMMAND "User=a\xed\xa0\x80\n", 3, "0xed"); /* a surrogate */
    bad(f, COMMAND "User=\xe2\x82", 3, "byte 0xe2");   /* cut off */
    good(f, COMMAND "Environment=EURO=\xe2\x82\xac\n");
}

static void test_no_file(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(reload(f), POLICY_INVALID);
    assert_true(has_error(&f->errors, 0, "No such file"));
    make_dir(f, "t.ini");
    assert_int_equal(reload(f), POLICY_INVALID);
    assert_true(has_error(&f->errors, 0, "not a regular file"));
    assert_int_equal(rmdir(f->path), 0);
    assert_int_equal(mkfifo(f->path, 0600), 0); /* must not hang */
    assert_int_equal(reload(f), POLICY_INVALID);
    assert_true(has_error(&f->errors, 0, "not a regular file"));
    assert_int_equal(unlink(f->path), 0);
    write_text(f, "t.ini", "");
    assert_int_equal(reload(f), POLICY_INVALID);
    assert_true(has_error(&f->errors, 0, "ExecStart= is missing"));
}

static void test_huge(void **state)
{
    struct fixture *f = *state;
    size_t size = 5 << 20;
    _cleanup_free_ char *data = malloc(size);

    memset(data, 'a', size);
    write_bytes(f, "t.ini", data, size);
    assert_int_equal(reload(f), POLICY_INVALID);
    assert_true(has_error(&f->errors, 0, "huge"));
    write_bytes(f, "t.ini", data, 1 << 20); /* one line of a megabyte */
    assert_int_equal(reload(f), POLICY_INVALID);
    for (size_t i = 1; i < size; i += 2)
        data[i] = '\n';
    memcpy(data, "[Unit]\n", 7);
    write_bytes(f, "t.ini", data, 1 << 20); /* half a million bad lines */
    assert_int_equal(reload(f), POLICY_INVALID);
    assert_true(f->errors.count < 110);
}

/* A seeded generator, so that a failure can be repeated. */
static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

static void test_any_bytes(void **state)
{
    static const char *const pieces[] = {
        "[Service]\n", "ExecStart=",
        "/bin/x ",     "\\",
        "\n",          " ;",
        "\"",          "'",
        "%",           "$",
        "${",          "}",
        "=",           "Environment=",
        "A=b",         "Limit",
        "NOFILE=",     "1:2",
        "infinity",    "[",
        "]",           "\r",
        " ",           "\t",
        "@",           "\xc3\xa4",
        "LimitCPU=",   "StandardOutput=",
        "file:",       "-",
        "Ladder=",     "[Recovery]",
        "SIG",         "~",
    };
    struct fixture *f = *state;
    uint32_t seed = 4711;

    for (int round = 0; round < 600; round++) {
        char data[2048];
        size_t size = 0, wanted = next_random(&seed) % 1500;

        while (size < wanted) {
            const char *piece = pieces[next_random(&seed) % ELEMENTS(pieces)];

            if (round % 3 == 0) {
                data[size++] = (char)next_random(&seed);
            } else {
                memcpy(data + size, piece, strlen(piece));
                size += strlen(piece);
            }
        }
        write_bytes(f, "t.ini", data, size);
        assert_true(reload(f) >= 0);
    }
}

static void test_cut_anywhere(void **state)
{
    static const char text[] =
        "[Unit]\nDescription=a \\\n b\n[Service]\nExecStart=-/bin/x \"a\\x20b\" "
        "'c' ${D} \\\n  $E\nEnvironment=\"D=1 2\" E=3\nLimitNOFILE=1:2\n"
        "SuccessExitStatus=1 SIGKILL\n[Recovery]\nLadder=newest cold\n";
    struct fixture *f = *state;

    for (size_t size = 0; size < sizeof(text); size++) {
        write_bytes(f, "t.ini", text, size);
        assert_true(reload(f) >= 0);
    }
}

#define WITH_FOLDER(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FOLDER(test_syntax),
        WITH_FOLDER(test_continuation),
        WITH_FOLDER(test_even_backslashes_do_not_continue),
        WITH_FOLDER(test_line_length),
        WITH_FOLDER(test_comment_inside),
        WITH_FOLDER(test_not_key_value),
        WITH_FOLDER(test_sections),
        WITH_FOLDER(test_all_errors),
        WITH_FOLDER(test_no_text),
        WITH_FOLDER(test_no_file),
        WITH_FOLDER(test_huge),
        WITH_FOLDER(test_any_bytes),
        WITH_FOLDER(test_cut_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
