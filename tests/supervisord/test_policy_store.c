/* test_policy_store.c - the keys that say how checkpoints are kept, proven and secured. */
#include "tests/supervisord/policy_fixture.h"

static void test_store_keys(void **state)
{
    const struct policy *p =
        good(*state, COMMAND "[Checkpoint]\nKeepHourly=24\nKeepDaily=7\nKeepWeekly=4\nMaxChain=0\n"
                             "Compress=zstd:19\nEncrypt=yes\nVerify=always\nDrill=every 10\n"
                             "DrillNice=0\nFiles=snapshot\nSnapshotPaths=/srv/%n/* \"/a b\"\n"
                             "SnapshotPaths=/var/x\nStaging=tmpfs\nStagingMax=1G\n[Recovery]\n"
                             "Ladder=proven newest older cold\n");

    assert_true(p->keep_hourly == 24 && p->keep_daily == 7 && p->keep_weekly == 4);
    assert_int_equal(p->max_chain, 0);
    assert_int_equal(p->compress, 19);
    assert_true(p->encrypt);
    assert_int_equal(p->verify, VERIFY_ALWAYS);
    assert_int_equal(p->drill_every, 10);
    assert_int_equal(p->drill_nice, 0);
    assert_int_equal(p->files, FILES_SNAPSHOT);
    assert_string_equal(files_mode_name(p->files), "snapshot");
    assert_int_equal(strv_length(p->snapshot_paths), 3);
    assert_string_equal(p->snapshot_paths[0], "/srv/t/*");
    assert_string_equal(p->snapshot_paths[1], "/a b");
    assert_int_equal(p->staging, STAGING_TMPFS);
    assert_int_equal(p->staging_max, 1 << 30);
    assert_int_equal(p->ladder_len, 4);
    assert_int_equal(p->ladder[0], RUNG_PROVEN);

    p = good(*state, COMMAND "[Checkpoint]\nCompress=none\nDrill=3\nFiles=snapshot\n"
                             "SnapshotPaths=/x\nSnapshotPaths=\nStaging=disk\n");
    assert_int_equal(p->compress, 0);
    assert_int_equal(p->drill_every, 3);
    assert_null(p->snapshot_paths);
    assert_int_equal(p->staging, STAGING_DISK);
    bad(*state, COMMAND "[Checkpoint]\nSnapshotPaths=/x\n", 0, "only for Files=snapshot");
    bad(*state, COMMAND "[Checkpoint]\nFiles=refuse\nSnapshotPaths=/x\n", 0,
        "only for Files=snapshot");
}

static void test_bad_store_values(void **state)
{
    static const struct {
        const char *line, *part;
    } cases[] = {
        {"KeepHourly=-1", "from 0 to 100000"},
        {"KeepDayly=3", "did you mean KeepDaily=?"},
        {"MaxChain=65", "from 0 to 64"},
        {"Compress=zsdt", "did you mean \"zstd\"?"},
        {"Compress=lz4hc", "zstd:1 to zstd:19"},
        {"Compress=zstd:0", "from 1 to 19"},
        {"Compress=zstd:20", "from 1 to 19"},
        {"Compress=zstd:", "from 1 to 19"},
        {"Encrypt=aes", "neither yes nor no"},
        {"Verify=alway", "did you mean \"always\"?"},
        {"Drill=often", "\"every N\" checkpoints, or off"},
        {"Drill=every", "\"every N\" checkpoints, or off"},
        {"Drill=every -3", "\"every N\" checkpoints, or off"},
        {"Drill=0", "from 1 to 100000"},
        {"Drill=every 3 days", "from 1 to 100000"},
        {"DrillNice=20", "from 0 to 19"},
        {"DrillNice=-1", "from 0 to 19"},
        {"Files=trunc", "ignore refuse truncate snapshot"},
        {"Files=truncat", "did you mean \"truncate\"?"},
        {"SnapshotPaths=srv", "no absolute path"},
        {"SnapshotPaths=\"/a\\nb\"", "line break"},
        {"SnapshotPaths=/%z", "unknown specifier"},
        {"Staging=ram", "auto tmpfs disk"},
        {"StagingMax=much", "no size"},
        {"[Recovery]\nLadder=prooven cold", NULL},
    };

    for (size_t i = 0; i < ELEMENTS(cases); i++) {
        _cleanup_free_ char *text = NULL;

        assert_true(asprintf(&text, COMMAND "[Checkpoint]\n%s\n", cases[i].line) > 0);
        bad(*state, text, cases[i].part ? 4 : 5,
            cases[i].part ? cases[i].part : "did you mean \"proven\"?");
    }
}

static void test_settings(void **state)
{
    struct fixture *f = *state;
    struct settings settings;

    assert_int_equal(settings_load(f->path, &f->errors, &settings), 0);
    assert_int_equal(settings.max_bytes, 0);
    assert_int_equal(settings.scrub_usec, 7 * 86400 * USEC_PER_SEC);
    assert_null(settings.key_file);
    settings_done(&settings);
    write_text(f, "t.ini", "[Checkpoint]\nMaxBytes=10G\nScrub=0\nKeyFile=/root/k\n");
    assert_int_equal(settings_load(f->path, &f->errors, &settings), 0);
    assert_true(settings.max_bytes == 10ULL << 30);
    assert_int_equal(settings.scrub_usec, 0);
    assert_string_equal(settings.key_file, "/root/k");
    settings_done(&settings);
    write_text(f, "t.ini", "[Checkpoint]\nScrub=infinity\n");
    assert_int_equal(settings_load(f->path, &f->errors, &settings), 0);
    assert_int_equal(settings.scrub_usec, 0);
    settings_done(&settings);
    write_text(f, "t.ini", "[Checkpoint]\nKeyFile=k\n");
    assert_int_equal(settings_load(f->path, &f->errors, &settings), POLICY_INVALID);
    assert_true(has_error(&f->errors, 2, "no absolute path"));
}

static void key_file_is(const struct settings *settings, const char *folder, const char *file)
{
    _cleanup_free_ char *path = NULL, *expected = fs_join(folder, file);

    assert_int_equal(settings_key_file(settings, "/state", &path), 0);
    assert_string_equal(path, expected);
}

/* KeyFile=, then the credential, then the state folder. */
static void test_key_file(void **state)
{
    struct fixture *f = *state;
    struct settings settings = {0}, named = {.key_file = (char *)"/etc/k"};

    unsetenv("CREDENTIALS_DIRECTORY");
    key_file_is(&settings, "/state", "store.keys");
    setenv("CREDENTIALS_DIRECTORY", f->dir, 1);
    key_file_is(&settings, "/state", "store.keys");
    write_text(f, "perdure.keys", "");
    key_file_is(&settings, f->dir, "perdure.keys");
    key_file_is(&named, "/etc", "k");
    unsetenv("CREDENTIALS_DIRECTORY");
}

int main(void)
{
#define WITH_FOLDER(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        WITH_FOLDER(test_store_keys),
        WITH_FOLDER(test_bad_store_values),
        WITH_FOLDER(test_settings),
        WITH_FOLDER(test_key_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
