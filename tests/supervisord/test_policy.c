/* test_policy.c - every key: its default, its forms, its errors; drop-ins, templates, sets,
 * samples. */
#include "tests/supervisord/policy_fixture.h"

#include "common/words.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <syslog.h>

static void test_defaults(void **state)
{
    const struct policy *p = good(*state, COMMAND);

    assert_string_equal(p->name, "t");
    assert_string_equal(p->description, "");
    assert_string_equal(p->exec_start_line, "/bin/x");
    assert_int_equal(p->type, TYPE_EXEC);
    assert_int_equal(p->restart, RESTART_ON_FAILURE);
    assert_int_equal(p->restart_usec, 100 * USEC_PER_MSEC);
    assert_int_equal(p->timeout_start_usec, 90 * USEC_PER_SEC);
    assert_int_equal(p->timeout_stop_usec, 90 * USEC_PER_SEC);
    assert_int_equal(p->kill_signal, SIGTERM);
    assert_int_equal(p->umask, 0022);
    assert_int_equal(p->start_limit_burst, 5);
    assert_int_equal(p->start_limit_interval_usec, 10 * USEC_PER_SEC);
    assert_int_equal(p->stream[STREAM_STDOUT].kind, STREAM_APPEND);
    assert_null(p->stream[STREAM_STDOUT].path);
    assert_int_equal(p->stream[STREAM_STDERR].kind, STREAM_SAME);
    assert_true(p->checkpoint_enabled && p->file_locks && !p->tcp_established && !p->pid_namespace);
    assert_int_equal(p->interval_usec, 30 * USEC_PER_SEC);
    assert_int_equal(p->keep, 5);
    assert_true(p->keep_hourly == 0 && p->keep_daily == 0 && p->keep_weekly == 0);
    assert_int_equal(p->max_chain, 16);
    assert_int_equal(p->compress, 3);
    assert_false(p->encrypt);
    assert_int_equal(p->verify, VERIFY_CHANGED);
    assert_int_equal(p->drill_every, 0);
    assert_int_equal(p->drill_nice, 19);
    assert_int_equal(p->files, FILES_IGNORE);
    assert_null(p->snapshot_paths);
    assert_int_equal(p->staging, STAGING_AUTO);
    assert_int_equal(p->staging_max, 0);
    assert_int_equal(p->ghost_limit, 64 << 20);
    assert_int_equal(p->max_bytes, 0);
    assert_int_equal(p->ladder_len, 3);
    assert_int_equal(p->ladder[0], RUNG_NEWEST);
    assert_int_equal(p->ladder[2], RUNG_COLD);
    assert_int_equal(p->min_uptime_usec, 10 * USEC_PER_SEC);
    assert_false(p->nice_set || p->oom_set || p->no_new_privs);
    assert_null(p->user);
    assert_null(p->environment);
}

static void test_scalars(void **state)
{
    const struct policy *p =
        good(*state, COMMAND
             "Type=notify\nUser=redis\nGroup=1001\nSupplementaryGroups=a b\n"
             "SupplementaryGroups=c\nWorkingDirectory=-/srv\nUMask=077\nNice=-5\n"
             "OOMScoreAdjust=100\nNoNewPrivileges=on\nRestart=on-abnormal\nRestartSec=1min 2s\n"
             "TimeoutStartSec=infinity\nTimeoutStopSec=0\nKillSignal=USR1\nKillMode=mixed\n"
             "StandardInput=null\nStandardOutput=file:/a\nStandardError=append:/b\n"
             "PIDFile=t.pid\n[Unit]\nStartLimitIntervalSec=0\nStartLimitBurst=7\n"
             "[Checkpoint]\nEnabled=no\nInterval=0\nKeep=1\nMaxBytes=2G\nTcpEstablished=yes\n"
             "FileLocks=no\nGhostLimit=1M\nPidNamespace=1\nPreCheckpoint=/bin/a 'b c'\n"
             "PostCheckpoint=/bin/d %n\n[Recovery]\nLadder=older cold\nMinUptime=1h\n"
             "PostRestore=signal:USR2\n");

    assert_int_equal(p->type, TYPE_NOTIFY);
    assert_string_equal(service_type_name(p->type), "notify");
    assert_string_equal(p->group, "1001");
    assert_int_equal(strv_length(p->supplementary_groups), 3);
    assert_string_equal(p->working_directory, "/srv");
    assert_true(p->working_directory_missing_ok);
    assert_int_equal(p->umask, 077);
    assert_true(p->nice_set && p->oom_set && p->no_new_privs);
    assert_int_equal(p->nice, -5);
    assert_int_equal(p->oom_score_adj, 100);
    assert_string_equal(restart_mode_name(p->restart), "on-abnormal");
    assert_int_equal(p->restart_usec, 62 * USEC_PER_SEC);
    assert_true(p->timeout_start_usec == USEC_INFINITY && p->timeout_stop_usec == USEC_INFINITY);
    assert_int_equal(p->kill_signal, SIGUSR1);
    assert_int_equal(p->kill_mode, KILL_MIXED);
    assert_int_equal(p->stream[STREAM_STDOUT].kind, STREAM_FILE);
    assert_string_equal(p->stream[STREAM_STDERR].path, "/b");
    assert_non_null(strstr(p->pid_file, "/t.pid"));
    assert_int_equal(p->start_limit_interval_usec, 0);
    assert_int_equal(p->start_limit_burst, 7);
    assert_false(p->checkpoint_enabled || p->file_locks);
    assert_true(p->tcp_established && p->pid_namespace);
    assert_true(p->interval_usec == 0 && p->keep == 1 && p->max_bytes == 2ull << 30);
    assert_string_equal(p->pre_checkpoint, "/bin/a \"b c\"");
    assert_string_equal(p->post_checkpoint, "/bin/d t");
    assert_int_equal(p->ladder_len, 2);
    assert_int_equal(p->ladder[0], RUNG_OLDER);
    assert_int_equal(p->post_restore_signal, SIGUSR2);
    assert_null(p->post_restore);
}

static void test_empty_resets(void **state)
{
    const struct policy *p = good(
        *state,
        "[Service]\nExecStart=/bin/a\nExecStart=\nExecStart=/bin/b\nExecStop=/bin/c\nExecStop=\n"
        "User=x\nUser=\nNice=3\nNice=\nLimitCORE=1\nLimitNOFILE=2\nLimitCORE=\nEnvironment=A=1\n"
        "Environment=\nEnvironment=B=1\nUMask=0\nUMask=\nRestartSec=9\nRestartSec=\n"
        "SuccessExitStatus=7\nSuccessExitStatus=\nStandardOutput=null\nStandardOutput=\n"
        "[Recovery]\nLadder=cold\nLadder=\nPostRestore=/bin/x\nPostRestore=\n");

    assert_string_equal(p->exec_start[0], "/bin/b");
    assert_null(p->exec_stop);
    assert_null(p->user);
    assert_false(p->nice_set);
    assert_int_equal(p->limit_count, 1);
    assert_int_equal(p->limits[0].resource, RLIMIT_NOFILE);
    assert_int_equal(strv_length(p->environment), 1);
    assert_int_equal(p->umask, 0022);
    assert_int_equal(p->restart_usec, 100 * USEC_PER_MSEC);
    assert_false(exit_set_has(&p->success, CLD_EXITED, 7));
    assert_true(exit_set_has(&p->success, CLD_EXITED, 0));
    assert_int_equal(p->stream[STREAM_STDOUT].kind, STREAM_APPEND);
    assert_int_equal(p->ladder_len, 3);
    assert_null(p->post_restore);
}

static void test_bad_values(void **state)
{
    static const struct {
        const char *line, *part;
    } cases[] = {
        {"Type=oneshot", "known to systemd but not supported by perdure yet"},
        {"Type=exce", "did you mean \"exec\"?"},
        {"Type=forking", NULL}, /* reported for the file as a whole */
        {"NoNewPrivileges=maybe", "neither yes nor no"},
        {"UMask=999", "octal"},
        {"Nice=20", "from -20 to 19"},
        {"Nice=1x", "from -20 to 19"},
        {"OOMScoreAdjust=1001", "from -1000 to 1000"},
        {"RestartSec=5 apples", "5min 20s"},
        {"RestartSec=-1", "no time span"},
        {"KillSignal=SIGFOO", "no signal"},
        {"KillMode=all", "control-group mixed process none"},
        {"User=a b", "no name of an account"},
        {"User=../x", "no name of an account"},
        {"PIDFile=%z", "unknown specifier"},
        {"WorkingDirectory=srv", "no absolute path"},
        {"Environment=A", "NAME=value"},
        {"Environment=1A=2", "NAME=value"},
        {"Environment=\"A=b", "quote is not closed"},
        {"EnvironmentFile=env", "no absolute path"},
        {"EnvironmentFile=-", "no path"},
        {"SuccessExitStatus=256", "no exit status"},
        {"SuccessExitStatus=FOO", "no exit status"},
        {"LimitNOFILE=many", "4096"},
        {"LimitNOFILE=9:3", "above the hard one"},
        {"LimitNOFILE=-1", "no limit"},
        {"LimitAS=1:2:3", "no limit"},
        {"LimitNICE=+20", "no limit"},
        {"StandardInput=socket", "write null"},
        {"StandardOutput=journal", "cannot be checkpointed"},
        {"StandardOutput=truncate:/x", "write file:/x or append:/x"},
        {"StandardOutput=file:x", "no absolute path"},
        {"StandardOutput=file:", "no path"},
        {"StandardOutput=socket", "not supported"},
        {"ExecStop=@/bin/x y", "prefix \"@\" is not supported"},
        {"ExecStop=-+/bin/x y", "prefix \"+\" is not supported"},
        {"ExecStop=bin/x", "no absolute path"},
        {"ExecStop=no-such-command-here", "\"no-such-command-here\" is in none of"},
        {"ExecStop=/bin/x $A/b", "write ${NAME}"},
        {"ExecStop=/bin/x \\q", "escape is unknown"},
        {"ExecStart=/bin/y", "there is one already"},
        {"PrivateTmp=yes", "TMPDIR="},
        {"PrivatePIDs=yes", "PidNamespace=yes in [Checkpoint]"},
        {"DynamicUser=yes", "write User="},
        {"ProtectSystem=full", "mount namespace"},
        {"WatchdogSec=5", "known to systemd but not supported by perdure yet"},
        {"MemoryMax=1G", "known to systemd but not supported by perdure yet"},
        {"ConditionPathExists=/x", "known to systemd but not supported by perdure yet"},
        {"StateDirectoryMode=0700", "known to systemd but not supported by perdure yet"},
        {"restart=no", "did you mean Restart=?"},
        {"Interval=5", "belongs into [Checkpoint]"},
        {"Colour=red", "unknown key Colour= in [Service]; remove it"},
        {"[Unit]\nAfter=network.target", NULL},
        {"[Checkpoint]\nInterval=auto", NULL},
        {"[Checkpoint]\nKeep=0", NULL},
        {"[Checkpoint]\nMaxBytes=lots", NULL},
        {"[Checkpoint]\nPreCheckpoint=-/bin/x", NULL},
        {"[Recovery]\nLadder=newest newest", NULL},
        {"[Recovery]\nLadder=hot", NULL},
        {"[Recovery]\nPostRestore=signal:FOO", NULL},
    };

    for (size_t i = 0; i < ELEMENTS(cases); i++) {
        char text[256];

        snprintf(text, sizeof(text), COMMAND "%s\n", cases[i].line);
        if (cases[i].part)
            bad(*state, text, 3, cases[i].part);
        else if (cases[i].line[0] == '[')
            bad(*state, text, 4, "=");
        else
            bad(*state, text, 0, "PIDFile=");
    }
}

static void test_commands(void **state)
{
    const struct policy *p =
        good(*state, "[Service]\nExecStart=-/bin/x \"%n a\" 100%% $A ${B}c $$ \\; end\n"
                     "ExecStop=sh -c 'exit 1'\nExecStop=-/bin/kill ${MAINPID}\n");
    static const char *const expected[] = {"/bin/x", "t a", "100%", "$A",
                                           "${B}c",  "$$",  ";",    "end"};

    assert_true(p->exec_start_ignore_failure);
    assert_int_equal(strv_length(p->exec_start), ELEMENTS(expected));
    for (size_t i = 0; i < ELEMENTS(expected); i++)
        assert_string_equal(p->exec_start[i], expected[i]);
    assert_string_equal(p->exec_start_line, "-/bin/x \"%n a\" 100%% $A ${B}c $$ \\; end");
    assert_non_null(strstr(p->exec_stop[0][0], "/bin/sh")); /* looked up */
    assert_string_equal(p->exec_stop[0][2], "exit 1");
    assert_string_equal(p->exec_stop[1][0], "/bin/kill");
    assert_null(p->exec_stop[2]);
    assert_true(p->exec_stop_ignore_failure);
}

static const struct spawn_limit *limit(const struct policy *p, int resource)
{
    for (unsigned i = 0; i < p->limit_count; i++)
        if (p->limits[i].resource == resource)
            return &p->limits[i];
    fail();
    return NULL;
}

static void test_limits(void **state)
{
    const struct policy *p =
        good(*state, COMMAND
             "LimitCPU=1.5s:2min\nLimitFSIZE=1G\nLimitDATA=1K\nLimitSTACK=8M:infinity\n"
             "LimitCORE=0\nLimitRSS=infinity\nLimitNOFILE=1024:4096\nLimitAS=2T\nLimitNPROC=64\n"
             "LimitMEMLOCK=64K\nLimitLOCKS=1\nLimitSIGPENDING=2\nLimitMSGQUEUE=3\n"
             "LimitNICE=-5\nLimitRTPRIO=9\nLimitRTTIME=15\nLimitCORE=7\n");

    assert_int_equal(p->limit_count, 16);
    assert_int_equal(limit(p, RLIMIT_CPU)->soft, 2); /* rounded up */
    assert_int_equal(limit(p, RLIMIT_CPU)->hard, 120);
    assert_int_equal(limit(p, RLIMIT_FSIZE)->soft, 1 << 30);
    assert_int_equal(limit(p, RLIMIT_STACK)->soft, 8 << 20);
    assert_true(limit(p, RLIMIT_STACK)->hard == RLIM_INFINITY);
    assert_int_equal(limit(p, RLIMIT_CORE)->hard, 7); /* the last one wins */
    assert_true(limit(p, RLIMIT_RSS)->soft == RLIM_INFINITY);
    assert_int_equal(limit(p, RLIMIT_NOFILE)->soft, 1024);
    assert_int_equal(limit(p, RLIMIT_NOFILE)->hard, 4096);
    assert_int_equal(limit(p, RLIMIT_NICE)->soft, 25);
    assert_int_equal(limit(p, RLIMIT_RTTIME)->soft, 15); /* microseconds */
}

static void test_exit_sets(void **state)
{
    const struct policy *p = good(*state, COMMAND "SuccessExitStatus=3 TEMPFAIL SIGKILL\n"
                                                  "SuccessExitStatus=255 USR1\n"
                                                  "RestartPreventExitStatus=1 6 SIGABRT CHDIR\n");

    assert_true(exit_set_has(&p->success, CLD_EXITED, 0));
    assert_true(exit_set_has(&p->success, CLD_EXITED, 3));
    assert_true(exit_set_has(&p->success, CLD_EXITED, 75));
    assert_true(exit_set_has(&p->success, CLD_EXITED, 255));
    assert_false(exit_set_has(&p->success, CLD_EXITED, 9));
    assert_false(exit_set_has(&p->success, CLD_EXITED, 1));
    assert_true(exit_set_has(&p->success, CLD_KILLED, SIGTERM));
    assert_true(exit_set_has(&p->success, CLD_KILLED, SIGPIPE));
    assert_true(exit_set_has(&p->success, CLD_KILLED, SIGKILL));
    assert_true(exit_set_has(&p->success, CLD_DUMPED, SIGUSR1));
    assert_false(exit_set_has(&p->success, CLD_KILLED, SIGSEGV));
    assert_false(exit_set_has(&p->success, CLD_STOPPED, SIGTERM));
    assert_false(exit_set_has(&p->restart_prevent, CLD_EXITED, 0));
    assert_true(exit_set_has(&p->restart_prevent, CLD_EXITED, 200));
    assert_true(exit_set_has(&p->restart_prevent, CLD_DUMPED, SIGABRT));
}

static void test_same_log_for_both(void **state)
{
    const struct policy *p =
        good(*state, COMMAND "StandardOutput=append:/x\nStandardError=append:/x\n");

    assert_int_equal(p->stream[STREAM_STDERR].kind, STREAM_SAME);
    p = good(*state, COMMAND "StandardOutput=null\nStandardError=inherit\n");
    assert_int_equal(p->stream[STREAM_STDOUT].kind, STREAM_NULL);
    assert_int_equal(p->stream[STREAM_STDERR].kind, STREAM_SAME);
}

static void test_home(void **state)
{
    const struct policy *p = good(*state, COMMAND "User=root\nWorkingDirectory=~\n");

    assert_string_equal(p->working_directory, "/root");
    bad(*state, COMMAND "User=no-such-user\nWorkingDirectory=~\n", 0,
        "home folder of \"no-such-user\"");
}

static void test_drop_ins(void **state)
{
    struct fixture *f = *state;

    make_dir(f, "t.ini.d");
    write_text(f, "t.ini.d/20.ini", "[Service]\nRestartSec=20s\nExecStart=\nExecStart=/bin/y\n");
    write_text(f, "t.ini.d/10.ini", "[Service]\nRestartSec=10s\nEnvironment=B=2 A=3\n");
    write_text(f, "t.ini.d/30.conf", "garbage");
    write_text(f, "t.ini", COMMAND "RestartSec=1s\nEnvironment=A=1\n");
    assert_int_equal(reload(f), 0);
    assert_int_equal(f->policy->restart_usec, 20 * USEC_PER_SEC);
    assert_string_equal(f->policy->exec_start[0], "/bin/y");
    assert_int_equal(strv_length(f->policy->environment), 2);
    assert_string_equal(f->policy->environment[0], "A=3");

    write_text(f, "t.ini.d/15.ini", "[Service]\n\nUsr=x\n");
    assert_int_equal(reload(f), POLICY_INVALID);
    assert_true(has_error(&f->errors, 3, "did you mean User=?"));
    assert_non_null(strstr(f->errors.items[0].file, "/t.ini.d/15.ini"));
}

static void test_templates(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *template = fs_join(f->dir, "game@.ini");
    _cleanup_free_ char *link = fs_join(f->dir, "game@east\\x2dside.ini");
    struct policy_set set;

    write_text(f, "game@.ini",
               "[Service]\nExecStart=/bin/x %i %I %n %p\nNice=1\n[Unit]\nDescription=%i\n");
    write_text(f, "game@west.ini", "");
    write_text(f, "game@own.ini", COMMAND);
    assert_int_equal(symlink("game@.ini", link), 0);
    make_dir(f, "game@.ini.d");
    make_dir(f, "game@west.ini.d");
    write_text(f, "game@.ini.d/a.ini", "[Service]\nNice=2\n");
    write_text(f, "game@.ini.d/b.ini", "[Service]\nRestartSec=7s\n");
    write_text(f, "game@west.ini.d/a.ini", "[Service]\nUMask=0\n");

    assert_int_equal(policy_set_load(f->dir, &f->errors, &set), 0);
    show_errors(&f->errors);
    assert_int_equal(f->errors.count, 0);
    assert_int_equal(set.count, 3);
    assert_string_equal(set.items[0]->name, "game@east\\x2dside");
    assert_string_equal(set.items[0]->exec_start[1], "east\\x2dside");
    assert_string_equal(set.items[0]->exec_start[2], "east-side");
    assert_int_equal(set.items[0]->nice, 2);
    assert_string_equal(set.items[1]->exec_start[0], "/bin/x");
    assert_null(set.items[1]->exec_start[1]);
    assert_string_equal(set.items[2]->exec_start[3], "game@west");
    assert_string_equal(set.items[2]->exec_start[4], "game");
    assert_int_equal(set.items[2]->nice, 1); /* the template's a.ini is replaced */
    assert_int_equal(set.items[2]->restart_usec, 7 * USEC_PER_SEC);
    policy_set_done(&set);

    assert_int_equal(policy_load(template, "north", &f->errors, &f->policy), 0);
    assert_string_equal(f->policy->name, "game@north");
    f->policy = policy_free(f->policy);
    assert_int_equal(policy_load(template, NULL, &f->errors, &f->policy), POLICY_INVALID);
    assert_true(has_error(&f->errors, 0, "is a template"));
    assert_int_equal(policy_load(template, "../x", &f->errors, &f->policy), POLICY_INVALID);
    assert_true(has_error(&f->errors, 0, "cannot be a service's name"));
}

static void test_set(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *none = fs_join(f->dir, "none");
    struct policy_set set;

    write_text(f, "b.ini", COMMAND);
    write_text(f, "a.ini", COMMAND);
    write_text(f, "bad.ini", "[Service]\nFoo=1\n");
    write_text(f, "not a name.ini", COMMAND);
    write_text(f, ".hidden.ini", "x");
    write_text(f, "a.ini~", "x");
    make_dir(f, "folder.ini");
    assert_int_equal(policy_set_load(f->dir, &f->errors, &set), 0);
    assert_int_equal(set.count, 2);
    assert_string_equal(set.items[0]->name, "a");
    assert_ptr_equal(policy_set_find(&set, "b"), set.items[1]);
    assert_null(policy_set_find(&set, "bad"));
    assert_true(has_error(&f->errors, 2, "unknown key Foo="));
    assert_true(has_error(&f->errors, 0, "cannot be a service's name"));
    assert_true(has_error(&f->errors, 0, "not a regular file"));
    policy_set_done(&set);

    assert_int_equal(policy_set_load(none, &f->errors, &set), 0);
    assert_int_equal(set.count, 0);
    policy_set_done(&set);
}

static void test_diff(void **state)
{
    struct fixture *f = *state;
    struct policy *before;
    _cleanup_strv_ char **keys = NULL;

    write_text(f, "t.ini", COMMAND "Restart=always\nRestart=no\nEnvironment=A=1\n");
    assert_int_equal(reload(f), 0);
    before = TAKE_PTR(f->policy);
    write_text(f, "t.ini",
               COMMAND "Restart=no\nEnvironment=A=1\nEnvironment=B=1\n[Checkpoint]\nKeep=2\n");
    assert_int_equal(reload(f), 0);
    assert_int_equal(policy_diff(before, f->policy, &keys), 0);
    assert_int_equal(strv_length(keys), 2);
    assert_string_equal(keys[0], "Service.Environment");
    assert_string_equal(keys[1], "Checkpoint.Keep");
    policy_free(before);
}

static void test_new(void **state)
{
    struct fixture *f = *state;
    char *argv[] = {"/bin/x", "$HOME", "a b", "100%", "$$", NULL};
    _cleanup_strv_ char **expanded = NULL;

    assert_int_equal(policy_new("x", argv, &f->policy), 0);
    assert_int_equal(f->policy->keep, 5);
    assert_int_equal(policy_expand_argv(f->policy->exec_start, NULL, &expanded), 0);
    for (size_t i = 0; i < ELEMENTS(argv) - 1; i++)
        assert_string_equal(expanded[i], argv[i]);
    assert_int_equal(strv_length(expanded), ELEMENTS(argv) - 1);
}

static void test_settings(void **state)
{
    struct fixture *f = *state;
    struct settings settings;

    assert_int_equal(settings_load(f->path, &f->errors, &settings), 0); /* missing: defaults */
    assert_int_equal(settings.control_mode, 0660);
    assert_int_equal(settings.log_level, LOG_INFO);
    assert_null(settings.criu);
    settings_done(&settings);

    write_text(f, "t.ini",
               "[Daemon]\nCriu=/opt/criu\nControlGroup=adm\nControlMode=0600\nLogLevel=debug\n"
               "[Checkpoint]\nReserve=1G\n");
    assert_int_equal(settings_load(f->path, &f->errors, &settings), 0);
    assert_string_equal(settings.criu, "/opt/criu");
    assert_string_equal(settings.control_group, "adm");
    assert_int_equal(settings.control_mode, 0600);
    assert_int_equal(settings.log_level, LOG_DEBUG);
    assert_int_equal(settings.reserve_bytes, 1 << 30);
    settings_done(&settings);

    write_text(f, "t.ini", "[Daemon]\nLogLevle=debug\nControlMode=rw\n");
    assert_int_equal(settings_load(f->path, &f->errors, &settings), POLICY_INVALID);
    assert_true(has_error(&f->errors, 2, "did you mean LogLevel=?"));
    assert_true(has_error(&f->errors, 3, "octal"));
}

static void test_samples(void **state)
{
    struct fixture *f = *state;
    struct policy_set set;

    assert_int_equal(policy_set_load("policies", &f->errors, &set), 0);
    show_errors(&f->errors);
    assert_int_equal(f->errors.count, 0);
    assert_true(set.count >= 6);
    policy_set_done(&set);
    assert_int_equal(policy_load("policies/game@.ini", "west", &f->errors, &f->policy), 0);
    assert_string_equal(f->policy->environment[0], "WORLD=west");
}

static void test_check_host(void **state)
{
    struct fixture *f = *state;

    good(f, "[Service]\nExecStart=/bin/sh\nWorkingDirectory=/\nUser=root\nStandardOutput=append:/"
            "tmp/x.log\n");
    assert_int_equal(policy_check_host(f->policy, &f->errors), 0);
    good(f, "[Service]\nExecStart=/nonexistent/x\nExecStop=/etc/"
            "passwd\nUser=nobody-here\nGroup=nogroup-here\n"
            "WorkingDirectory=/nonexistent\nEnvironmentFile=/nonexistent/env\n"
            "StandardOutput=append:/nonexistent/x.log\nStandardError=file:/etc\n");
    assert_int_equal(policy_check_host(f->policy, &f->errors), POLICY_INVALID);
    assert_true(has_error(&f->errors, 0, "ExecStart=: /nonexistent/x: No such file"));
    assert_true(has_error(&f->errors, 0, "chmod +x /etc/passwd"));
    assert_true(has_error(&f->errors, 0, "useradd --system nobody-here"));
    assert_true(has_error(&f->errors, 0, "groupadd --system nogroup-here"));
    assert_true(has_error(&f->errors, 0, "WorkingDirectory=: /nonexistent"));
    assert_true(has_error(&f->errors, 0, "EnvironmentFile=-/nonexistent/env"));
    assert_true(has_error(&f->errors, 0, "StandardOutput=: folder /nonexistent/"));
    assert_true(has_error(&f->errors, 0, "StandardError=: /etc is a folder"));
    assert_int_equal(f->errors.count, 8);
}

#define WITH_FOLDER(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FOLDER(test_defaults),     WITH_FOLDER(test_scalars),
        WITH_FOLDER(test_empty_resets), WITH_FOLDER(test_bad_values),
        WITH_FOLDER(test_commands),     WITH_FOLDER(test_limits),
        WITH_FOLDER(test_exit_sets),    WITH_FOLDER(test_same_log_for_both),
        WITH_FOLDER(test_home),         WITH_FOLDER(test_drop_ins),
        WITH_FOLDER(test_templates),    WITH_FOLDER(test_set),
        WITH_FOLDER(test_diff),         WITH_FOLDER(test_new),
        WITH_FOLDER(test_settings),     WITH_FOLDER(test_samples),
        WITH_FOLDER(test_check_host),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
