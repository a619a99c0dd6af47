/* signame.h - signals by name or number, signal(7): "SIGUSR2", "USR2", "12", "RTMIN+3". */
#pragma once

/* The signal's number, or -EINVAL. */
int signal_from_name(const char *text);

/* "TERM" without SIG; "RTMIN+3"; "12" for one that has no name. Writes at most SIGNAL_NAME_SIZE
 * bytes. */
#define SIGNAL_NAME_SIZE 16
const char *signal_name(int signal, char buf[SIGNAL_NAME_SIZE]);
