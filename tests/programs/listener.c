/* listener.c - prints every signal of a control socket as a line: its name and its texts, apart by
 * tabs. Says "ready" first; ends when the socket does.
 * usage: listener SOCKET */
#include "common/peer.h"
#include "common/wire.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int on_signal(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
    const char *text;

    printf("%s", sd_bus_message_get_member(m));
    while (sd_bus_message_read_basic(m, 's', &text) > 0)
        printf("\t%s", text);
    printf("\n");
    return fflush(stdout);
}

static int listen_to(const char *path, sd_bus **bus)
{
    int r;

    if ((r = peer_connect(path, bus)) < 0 ||
        (r = sd_bus_match_signal(*bus, NULL, NULL, CONTROL_PATH, CONTROL_IFACE, NULL, on_signal,
                                 NULL)) < 0)
        return r;
    printf("ready\n");
    if (fflush(stdout) < 0)
        return -EPIPE;
    while ((r = sd_bus_process(*bus, NULL)) >= 0)
        if (r == 0 && (r = sd_bus_wait(*bus, UINT64_MAX)) < 0)
            break;
    return 0;
}

int main(int argc, char *argv[])
{
    sd_bus *bus = NULL;
    int r;

    if (argc != 2)
        return 2;
    r = listen_to(argv[1], &bus);
    if (r < 0)
        fprintf(stderr, "listener %s: %s\n", argv[1], strerror(-r));
    peer_close(bus);
    return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
