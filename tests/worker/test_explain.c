/* test_explain.c - every known CRIU failure, in CRIU's own words, leads to its cure. */
#include "worker/explain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct {
    const char *error, *in_cure;
} known[] = {
    {"Error (criu/cr-restore.c:1230): Can't fork for 2509: File exists", "PidNamespace=yes"},
    {"Error (criu/pstree.c:300): The root process 7 is not a session leader. Consider using",
     "in the foreground"},
    {"Error (criu/tty.c:1): A session leader of 7 is outside of its pid namespace", "terminal"},
    {"Error (criu/tty.c:1): tty: No task found with sid 12", "whole tree"},
    {"Error (criu/cr-dump.c:371): Can't get rlimit 0: Operation not permitted", "CAP_SYS_RESOURCE"},
    {"Error (criu/util.c:1): Running as non-root requires '--unprivileged'", "as root"},
    {"Error (criu/x.c:1): Unable to open the proc file system: Operation not permitted",
     "user namespace"},
    {"Error (criu/seize.c:1): suspending seccomp failed: Operation not permitted", "seccomp"},
    {"Error (criu/seize.c:1): Unable to detach from 12: No such process", "ended during"},
    {"Error (criu/seize.c:1): ptrace: No such process", "ended before"},
    {"Error (criu/x.c:1): Task 9 with SysVIPC shmem map @7f doesn't live in IPC ns", "--ipc"},
    {"Error (criu/mount.c:1): mnt: FS mnt ./dev/hugepages has unsupported id 0x1", "Private*="},
    {"Error (criu/mount.c:1): mnt: Mount 545 ./tmp (master_id: 13 shared_id: 81) has unreachable "
     "sharing",
     "Private*="},
    {"Error (criu/mount.c:1): mnt: 341:./run/netns/x doesn't have a proper root mount",
     "mount namespace"},
    {"Error (criu/mount.c:1): mnt: No parent found for mountpoint 111 (@./run)", "pivot_root"},
    {"Error (criu/files-reg.c:1790): Can't lookup mount=24 for fd=10 path=/dev/null",
     "inherited descriptors"},
    {"Error (criu/sk-inet.c:191): inet: Connected TCP socket, consider using --tcp-established "
     "option.",
     "TcpEstablished=yes"},
    {"Error (criu/sk-unix.c:881): unix: Can't dump half of stream unix connection. name: (null); "
     "peer name: /run/x",
     "unix socket"},
    {"Error (criu/sk-unix.c:1): unix: Non-empty write queue on an in-flight socket", "next dump"},
    {"Error (criu/sk-unix.c:1): unix: External socket is used. Consider using --ext-unix-sk",
     "socket pair"},
    {"Error (soccr/soccr.c:529): Can't connect inet socket back: Cannot assign requested address",
     "TcpEstablished=no"},
    {"Error (criu/sk-inet.c:1): inet: Can't bind inet socket (id 5): Address already in use",
     "ss -ltnp"},
    {"Error (criu/sk-inet.c:1): inet: Can't bind (id 5): Cannot assign requested address",
     "ip address"},
    {"Error (criu/img-streamer.c:1): Unable to connect to image streamer socket: "
     "streamer-capture.sock",
     "configuration files"},
    {"Error (criu/netfilter.c:1): nft_run_cmd_from_buffer failed", "nf_tables"},
    {"Error (criu/netfilter.c:1): network_lock failed", "nf_tables"},
    {"Error (criu/files-reg.c:2175): File tmp/t.db has bad size 114688 (expect 61440)", "O_APPEND"},
    {"Error (criu/files-reg.c:2175): File tmp/t.db has bad size 114688 (expect 61440)",
     "Files=truncate"},
    {"Error (criu/pie/parasite.c:634): Can't create a directory (-13)", "PidNamespace=no"},
    {"Error (criu/pie/parasite.c:641): can't dump unprivileged task whose /proc doesn't belong to "
     "it",
     "PidNamespace=no"},
    {"Error (criu/files-reg.c:1226): Unaccessible path opened 65024:77, need 65024:78",
     "another file's"},
    {"Error (criu/files-reg.c:467): Can't create ghost regfile: Not a directory", "folder"},
    {"Error (criu/files-reg.c:2294): File tmp/x has bad mode 0100600 (expect 0100644)",
     "permissions"},
    {"Error (criu/files-reg.c:2153): File usr/bin/x has bad build-ID", "upgraded"},
    {"Error (criu/files-reg.c:1031): Can't dump ghost file /tmp/x of 3145728 size, increase limit",
     "GhostLimit="},
    {"Error (criu/files-reg.c:1): Can't dump ghost file /tmp/x", "GhostLimit="},
    {"Error (criu/files-reg.c:1): Can't create link remap for /tmp/x. Use link-remap option.",
     "another name"},
    {"Error (criu/files-reg.c:1): Use link-remap option", "another name"},
    {"Error (criu/file-lock.c:110): Some file locks are hold by dumping tasks! You can try "
     "--file-locks to dump them.",
     "FileLocks=yes"},
    {"Error (criu/fsnotify.c:1): fsnotify: Can't dump that handle", "inotify"},
    {"Error (criu/files.c:1): Can't dump file 3 of that type [anon_inode:[io_uring]]", "io_uring"},
    {"Error (criu/files.c:1): Can't dump file 3 of that type [anon_inode:[userfaultfd]]",
     "userfaultfd"},
    {"Error (criu/files-reg.c:1): Can't open file dev/shm/x on restore: No such file or directory",
     "put it back"},
    {"Error (criu/x.c:1): open: No such file or directory", "a file is gone"},
    {"Error (criu/page-xfer.c:263): page-xfer: Unable to spice data: No space left on device",
     "MaxBytes="},
    {"Error (criu/protobuf.c:1): Read 488 bytes while 2291 expected", "damaged"},
    {"Error (criu/protobuf.c:1): Unexpected EOF on (empty-image)", "damaged"},
    {"Error (criu/image.c:1): Magic doesn't match for /x/core-1.img", "damaged"},
    {"Error (criu/pagemap.c:1): No parent for snapshot pagemap", "builds on"},
    {"Error (criu/pagemap.c:1): Missing 7f00 in parent pagemap", "damaged"},
    {"Error (criu/mem.c:1): Pid-reuse detection failed: no parent inventory", "builds on"},
    {"Error (criu/config.c:1131): Tracking memory is not available. Consider omitting",
     "soft-dirty"},
    {"Error (criu/sockets.c:628): sockets: Can't get 1:16 opt: Operation not supported",
     "CRIU 4.2"},
    {"Error (criu/vdso.c:1): vdso: Unexpected rt vDSO area bounds", "CRIU 4.0"},
    {"Error (criu/files.c:1597): Can't fstat inherit fd 11: Bad file descriptor", "output pipe"},
    {"Can't exec criu swrk: No such file", "CRIU 4.0"},
    {"Error (criu/arch/x86/cpu.c:223): CPU instruction capabilities do not match run time", "CPU"},
    {"Error (criu/arch/x86/cpu.c:274): CPU xsave size mismatch (832/2696)", "CPU"},
    {"Error (criu/arch/x86/cpu.c:247): FPU feature required by image avx512f", "CPU"},
    {"Error (criu/cgroup.c:1): cg: Unable to open the cgroup file system: Permission denied",
     "CAP_SYS_ADMIN"},
    {"Error (criu/cgroup.c:1): cg: Abort restore of existing cgroups", "manage-cgroups"},
    {"Error (criu/cgroup.c:1): cg: Cgroup dir a/b doesn't exist", "manage-cgroups"},
    {"Error (criu/cr-dump.c:1791): Timeout reached. Try to interrupt: 0", "frozen in time"},
    {"criu did not end within 30 s", "older checkpoint"},
    {"criu filled its log with errors", "damaged"},
};

static void test_known(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (!strstr(explain(known[i].error), known[i].in_cure))
            fail_msg("%s\n  -> %s\n  expected: %s", known[i].error, explain(known[i].error),
                     known[i].in_cure);
}

static void test_unknown(void **state)
{
    (void)state;
    assert_non_null(strstr(explain("Error (criu/new.c:1): never seen"), "criu.org"));
    assert_non_null(strstr(explain(""), "criu.org"));
}

static void test_one_line(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        assert_null(strchr(explain(known[i].error), '\n'));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known),
        cmocka_unit_test(test_unknown),
        cmocka_unit_test(test_one_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
