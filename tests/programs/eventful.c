/* eventful.c - one epoll loop over timerfd, eventfd, signalfd, inotify and a listening TCP socket;
 * every connection is answered with the counts as one JSON line.
 *
 * usage: eventful PORT FOLDER        (counts SIGUSR1 and files created in FOLDER)
 */
#include <arpa/inet.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

static struct {
    uint64_t ticks, events, signals, notices;
} count;

static int check(int result, const char *what)
{
    if (result < 0) {
        perror(what);
        exit(1);
    }
    return result;
}

static int open_timer(void)
{
    struct itimerspec every = {{0, 10000000}, {0, 10000000}};
    int fd = check(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC), "timerfd_create");

    check(timerfd_settime(fd, 0, &every, NULL), "timerfd_settime");
    return fd;
}

static int open_signals(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    check(sigprocmask(SIG_BLOCK, &set, NULL), "sigprocmask");
    return check(signalfd(-1, &set, SFD_CLOEXEC), "signalfd");
}

static int open_notices(const char *folder)
{
    int fd = check(inotify_init1(IN_CLOEXEC), "inotify_init1");

    check(inotify_add_watch(fd, folder, IN_CREATE), folder);
    return fd;
}

static int open_server(const char *port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
    int one = 1, fd = check(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    check(bind(fd, (struct sockaddr *)&a, sizeof(a)), "bind");
    check(listen(fd, 8), "listen");
    return fd;
}

static void answer(int server)
{
    int fd = accept4(server, NULL, NULL, SOCK_CLOEXEC);

    if (fd < 0)
        return;
    dprintf(fd, "{\"ticks\":%lu,\"events\":%lu,\"signals\":%lu,\"notices\":%lu}\n", count.ticks,
            count.events, count.signals, count.notices);
    close(fd);
}

int main(int argc, char **argv)
{
    enum { TIMER, EVENT, SIGNALS, NOTICES, SERVER, SOURCES };
    int fd[SOURCES], loop = check(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
    uint64_t one = 1, number;
    char buffer[4096];

    if (argc != 3)
        return 2;
    fd[TIMER] = open_timer();
    fd[EVENT] = check(eventfd(0, EFD_CLOEXEC), "eventfd");
    fd[SIGNALS] = open_signals();
    fd[NOTICES] = open_notices(argv[2]);
    fd[SERVER] = open_server(argv[1]);
    for (int i = 0; i < SOURCES; i++) {
        struct epoll_event e = {.events = EPOLLIN, .data.u32 = (uint32_t)i};
        check(epoll_ctl(loop, EPOLL_CTL_ADD, fd[i], &e), "epoll_ctl");
    }
    for (;;) {
        struct epoll_event e;
        if (epoll_wait(loop, &e, 1, -1) != 1)
            continue; /* EINTR after a restore */
        if (e.data.u32 == TIMER && read(fd[TIMER], &number, 8) == 8) {
            count.ticks += number;
            if (write(fd[EVENT], &one, 8) != 8)
                return 1;
        } else if (e.data.u32 == EVENT && read(fd[EVENT], &number, 8) == 8) {
            count.events += number;
        } else if (e.data.u32 == SIGNALS) {
            count.signals += read(fd[SIGNALS], buffer, sizeof(struct signalfd_siginfo)) > 0;
        } else if (e.data.u32 == NOTICES) {
            count.notices += read(fd[NOTICES], buffer, sizeof(buffer)) > 0;
        } else if (e.data.u32 == SERVER) {
            answer(fd[SERVER]);
        }
    }
}
