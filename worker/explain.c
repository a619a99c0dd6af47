/* explain.c - the table of known CRIU failures and their cures; the first row that matches wins. */
#include "worker/explain.h"

#include "common/cleanup.h"

#include <stdbool.h>
#include <string.h>

struct row {
    const char *all[2]; /* parts that must all be in the line */
    const char *cure;
};

static const struct row rows[] = {
    /* ---- who and what is dumped ---- */
    {{"Can't fork for", "File exists"},
     "another process holds the pid; set [Checkpoint] PidNamespace=yes so that the service keeps "
     "its pids to itself"},
    {{"is not a session leader"},
     "the service's first process is in somebody else's session; run the program in the "
     "foreground"},
    {{"session leader of", "outside of its pid namespace"},
     "start the service under perdure, not from a terminal, so that it has a session of its own"},
    {{"No task found with sid"},
     "a process of the service belongs to a session outside it; let perdure start the whole tree"},
    {{"Can't get rlimit", "Operation not permitted"},
     "perdure lacks CAP_SYS_RESOURCE, and the tree runs under more than one user; run supervisord "
     "with CAP_SYS_RESOURCE or the whole service under one User="},
    {{"Running as non-root requires"}, "run supervisord as root"},
    {{"Operation not permitted", "proc file system"},
     "services in a user namespace of their own cannot be restored; drop it"},
    {{"suspending seccomp failed"},
     "perdure itself runs under a seccomp filter; remove SystemCallFilter= and the like from "
     "supervisord's unit (in nspawn: SYSTEMD_SECCOMP=0)"},
    {{"Unable to detach", "No such process"},
     "the service ended during the dump; nothing is to be done"},
    {{"No such process"}, "the process ended before or during the dump; nothing is to be done"},
    {{"doesn't live in IPC ns"},
     "System V shared memory needs an IPC namespace of its own: start the command by "
     "'unshare --ipc'"},
    {{"unsupported id"},
     "the service lives in another mount namespace; run it and supervisord in the same one (no "
     "Private*= or Protect*= in supervisord's unit)"},
    {{"unreachable sharing"},
     "the service lives in another mount namespace; run it and supervisord in the same one (no "
     "Private*= or Protect*= in supervisord's unit)"},
    {{"doesn't have a proper root mount"},
     "the service has a mount namespace of its own; run it and supervisord in the same one"},
    {{"No parent found for mountpoint"},
     "perdure runs in a plain chroot; enter it by pivot_root(2) (a container) instead"},
    {{"Can't lookup mount"},
     "the service holds a file of another mount namespace; start it without inherited "
     "descriptors and in supervisord's mount namespace"},
    {{"Can't create a directory"},
     "in a pid namespace of its own CRIU can dump only what runs as root; set [Checkpoint] "
     "PidNamespace=no"},
    {{"whose /proc doesn't belong to it"},
     "in a pid namespace of its own CRIU can dump only what runs as root; set [Checkpoint] "
     "PidNamespace=no"},
    /* ---- sockets ---- */
    {{"Connected TCP socket"},
     "the image keeps TCP connections; set [Checkpoint] TcpEstablished=yes to bring them back"},
    {{"half of stream unix connection"},
     "the service is connected to a unix socket of a program outside (journal, D-Bus, database); "
     "use TCP or a datagram socket for it, or run both in one service"},
    {{"Non-empty write queue on an in-flight socket"},
     "a connection to a unix socket is not accepted yet; the next dump will do"},
    {{"External socket is used"},
     "the service has a socket pair with a program outside; run both in one service"},
    {{"Can't connect inet socket back"},
     "the old connection still lingers in the kernel; set TcpEstablished=no for recovery on the "
     "same host"},
    {{"Can't bind inet socket", "Address already in use"},
     "another program listens on the service's port; stop it (ss -ltnp shows it)"},
    {{"Can't bind", "Cannot assign requested address"},
     "the service's address is not on this host any more; add it again (ip address)"},
    {{"Unable to connect to image streamer"}, "remove 'stream' from CRIU's configuration files"},
    {{"nft_run_cmd"},
     "locking the network needs nf_tables in the kernel; set [Checkpoint] TcpEstablished=no"},
    {{"network_lock"}, "locking the network needs nf_tables; set [Checkpoint] TcpEstablished=no"},
    /* ---- files ---- */
    {{"has bad size"},
     "the file changed its size since the checkpoint; set [Checkpoint] Files=truncate or snapshot, "
     "or let the service open it O_APPEND and write-only"},
    {{"has bad mode"}, "give the file its old permissions back"},
    {{"build-ID"},
     "a program or library was upgraded since the checkpoint; start the service cold"},
    {{"increase limit"},
     "a deleted file that is still open is larger than GhostLimit=; set [Checkpoint] "
     "GhostLimit= above its size"},
    {{"Can't dump ghost file"},
     "a deleted file that is still open is larger than GhostLimit=; set [Checkpoint] "
     "GhostLimit= above its size"},
    {{"link remap"},
     "the service holds a deleted name of a file that has another name; that cannot be kept in a "
     "checkpoint that leaves it running: close the file or keep the name"},
    {{"link-remap"},
     "the service holds a deleted name of a file that has another name; that cannot be kept in a "
     "checkpoint that leaves it running: close the file or keep the name"},
    {{"Unaccessible path opened"},
     "the service holds a file whose name is another file's by now; close the file or give it its "
     "name back"},
    {{"Can't create ghost"},
     "the folder of a deleted file that the service held open is gone or read-only; make it again"},
    {{"file locks are hold"}, "set [Checkpoint] FileLocks=yes"},
    {{"Can't dump that handle"},
     "inotify on this file system (overlay, cgroup) cannot be kept; watch a folder of a real file "
     "system, or switch the watch off"},
    {{"send_fds failed (-22)"},
     "the program has an io_uring, which cannot be passed on; switch io_uring off in the program "
     "or "
     "by sysctl kernel.io_uring_disabled=2"},
    {{"io_uring"},
     "io_uring cannot be kept; switch it off in the program, or set sysctl "
     "kernel.io_uring_disabled=2"},
    {{"userfaultfd"}, "userfaultfd cannot be kept; switch it off in the program"},
    {{"Can't open file", "No such file"},
     "a file that the image needs is gone; put it back or start the service cold"},
    {{"No such file or directory"},
     "a file is gone; put it back, or take another checkpoint (perdure list)"},
    {{"No space left on device"}, "the disk is full; free space, lower Keep=, or set MaxBytes="},
    /* ---- damaged images ---- */
    {{"bytes while", "expected"}, "the image is damaged; restore an older one (perdure list)"},
    {{"Unexpected EOF"}, "the image is damaged; restore an older one (perdure list)"},
    {{"Magic doesn't match"}, "the image is damaged; restore an older one (perdure list)"},
    {{"No parent for snapshot pagemap"},
     "the checkpoint this one builds on is missing; bring its folder back"},
    {{"in parent pagemap"}, "the image is damaged; restore an older one (perdure list)"},
    {{"parent inventory"}, "the checkpoint this one builds on is missing; bring its folder back"},
    /* ---- host and tools ---- */
    {{"Tracking memory is not available"},
     "this kernel has no soft-dirty tracking; use full dumps"},
    {{"sockets: Can't get 1:", "Operation not supported"},
     "CRIU before 4.2 cannot dump sockets on Linux 6.16 and newer; install CRIU 4.2 or run 'make "
     "deps'"},
    {{"vdso", "bounds"}, "this CRIU is too old for the kernel; install CRIU 4.0 or newer"},
    {{"Can't fstat inherit fd"},
     "the service's output pipe was not handed to criu; restart supervisord and report this"},
    {{"Can't exec criu swrk"}, "install CRIU 4.0 or newer, or run 'make deps' again"},
    {{"CPU", "do not match run time"},
     "this CPU lacks a feature the service uses; restore on a host like the old one"},
    {{"CPU xsave", "mismatch"},
     "this CPU lacks a feature the service uses; restore on a host like the old one"},
    {{"FPU feature required by image"},
     "this CPU lacks a feature the service uses; restore on a host like the old one"},
    {{"cgroup file system"}, "perdure lacks CAP_SYS_ADMIN; run supervisord with full capabilities"},
    {{"Abort restore of existing cgroups"}, "remove 'manage-cgroups' from CRIU's configuration"},
    {{"Cgroup dir"}, "remove 'manage-cgroups' from CRIU's configuration"},
    {{"Timeout reached"},
     "a process could not be frozen in time (state D: waiting for a disk or a network file "
     "system); look at it with ps"},
    {{"did not end within"},
     "the image may be damaged or the machine too busy; an older checkpoint is taken"},
    {{"filled its log"}, "the image is damaged; restore an older one (perdure list)"},
};

static bool matches(const struct row *row, const char *error)
{
    for (size_t i = 0; i < ELEMENTS(row->all); i++)
        if (row->all[i] && !strstr(error, row->all[i]))
            return false;
    return true;
}

const char *explain(const char *error)
{
    for (size_t i = 0; i < ELEMENTS(rows); i++)
        if (matches(&rows[i], error))
            return rows[i].cure;
    return "see CRIU's documentation for this message (https://criu.org/Main_Page)";
}
