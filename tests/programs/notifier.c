/* notifier.c - a Type=notify service: beats first, tells READY=1 after a delay, and can let a child
 * be the main process.
 *
 * usage: notifier [-m] DELAY_MSEC PAGE      (-m: fork, MAINPID= is the child, the parent exits 0)
 */
#include "tests/programs/shared.h"

#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

static void notify(const char *text)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (!path || strlen(path) >= sizeof(a.sun_path))
        exit(3);
    strcpy(a.sun_path, path);
    if (a.sun_path[0] == '@')
        a.sun_path[0] = '\0';
    if (fd < 0 || sendto(fd, text, strlen(text), 0, (struct sockaddr *)&a,
                         (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path))) < 0)
        die(path);
    close(fd);
}

int main(int argc, char **argv)
{
    struct share share;
    int with_child = argc == 4 && strcmp(argv[1], "-m") == 0;
    char text[64];

    if (argc != 3 + with_child)
        return 2;
    if (with_child && fork() != 0) {
        sleep(2); /* the child speaks first */
        return 0;
    }
    share_open(&share, argv[2 + with_child]);
    pause_usec((unsigned)atoi(argv[1 + with_child]) * 1000);
    snprintf(text, sizeof(text), "MAINPID=%d\nREADY=1\nSTATUS=beating", getpid());
    notify(with_child ? text : "READY=1\nSTATUS=beating");
    for (;;) {
        share_beat(&share);
        pause_usec(1000);
    }
}
