/* signame.c - names of signals. */
#include "common/signame.h"

#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "" is 0, "+3" is 3, "-1" is -1; anything else is out of every range. */
static int offset(const char *text)
{
    char *end;
    long n;

    if (*text == '\0')
        return 0;
    if ((*text != '+' && *text != '-') || !isdigit((unsigned char)text[1]))
        return -1000;
    n = strtol(text, &end, 10);
    return *end == '\0' && labs(n) < 1000 ? (int)n : -1000;
}

int signal_from_name(const char *text)
{
    int n = -1;

    if (isdigit((unsigned char)*text)) {
        char *end;
        long number = strtol(text, &end, 10);

        return *end == '\0' && number > 0 && number <= SIGRTMAX ? (int)number : -EINVAL;
    }
    if (strncmp(text, "SIG", 3) == 0)
        text += 3;
    if (strncmp(text, "RTMIN", 5) == 0)
        n = SIGRTMIN + offset(text + 5);
    else if (strncmp(text, "RTMAX", 5) == 0)
        n = SIGRTMAX + offset(text + 5);
    if (n >= SIGRTMIN && n <= SIGRTMAX)
        return n;
    for (n = 1; n < SIGRTMIN; n++) {
        const char *name = sigabbrev_np(n);

        if (name && strcmp(name, text) == 0)
            return n;
    }
    return -EINVAL;
}

const char *signal_name(int signal, char buf[SIGNAL_NAME_SIZE])
{
    const char *name = sigabbrev_np(signal);

    if (name)
        return name;
    if (signal >= SIGRTMIN && signal <= SIGRTMAX)
        snprintf(buf, SIGNAL_NAME_SIZE, "RTMIN+%d", signal - SIGRTMIN);
    else
        snprintf(buf, SIGNAL_NAME_SIZE, "%d", signal);
    return buf;
}
