/* command.h - the command line of a worker, word by word; its modes are in worker/main.c and
 * worker/archive_main.c. */
#pragma once

#include <stdint.h>

struct manager;

/* PROGRAM MODE --store ... --keys ...: what every mode that works on the store begins with. */
int command_begin(const struct manager *manager, const char *mode, char ***ret_argv);

int command_add(char ***argv, const char *option, const char *value); /* NULL: it takes none */
int command_add_number(char ***argv, const char *option, uint64_t number);
int command_add_checkpoint(char ***argv, const char *name, uint64_t number);
