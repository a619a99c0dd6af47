/* forker.c - a daemon of the old school: forks twice, writes its PID file, and only then lets the
 * command that started it return.
 *
 * usage: forker PIDFILE PAGE
 */
#include "tests/programs/shared.h"

static void daemonize(const char *pid_file, int ready)
{
    FILE *f;

    if (setsid() < 0)
        die("setsid");
    if (fork() != 0)
        _exit(0);
    for (int fd = 0; fd < 3; fd++)
        close(fd);
    if (open("/dev/null", O_RDWR) != 0 || dup(0) != 1 || dup(0) != 2)
        _exit(1);
    f = fopen(pid_file, "we");
    if (!f || fprintf(f, "%d\n", getpid()) < 0 || fclose(f) != 0)
        _exit(1);
    if (write(ready, "", 1) != 1)
        _exit(1);
    close(ready);
}

int main(int argc, char **argv)
{
    struct share share;
    int ready[2];
    char byte;

    if (argc != 3)
        return 2;
    if (pipe2(ready, O_CLOEXEC) < 0)
        die("pipe2");
    if (fork() != 0) {
        close(ready[1]);
        return read(ready[0], &byte, 1) == 1 ? 0 : 1;
    }
    close(ready[0]);
    daemonize(argv[1], ready[1]);
    share_open(&share, argv[2]);
    for (;;) {
        share_beat(&share);
        pause_usec(1000);
    }
}
