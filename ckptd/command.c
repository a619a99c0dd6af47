/* command.c - the command line of a worker. */
#include "ckptd/command.h"

#include "ckptd/manager_state.h"
#include "common/cleanup.h"
#include "common/strv.h"

#include <inttypes.h>
#include <string.h>

int command_add(char ***argv, const char *option, const char *value)
{
    int r = strv_extend(argv, option);

    return r < 0 || !value ? r : strv_extend(argv, value);
}

int command_add_number(char ***argv, const char *option, uint64_t number)
{
    char text[24];

    snprintf(text, sizeof(text), "%" PRIu64, number);
    return command_add(argv, option, text);
}

int command_add_checkpoint(char ***argv, const char *name, uint64_t number)
{
    int r = command_add(argv, "--name", name);

    return r < 0 ? r : command_add_number(argv, "--number", number);
}

/* What knows archives is a program of its own. */
static const char *program_of(const struct manager *manager, const char *mode)
{
    bool archive = strcmp(mode, "export") == 0 || strcmp(mode, "import") == 0;

    return archive ? manager->archiver : manager->worker;
}

int command_begin(const struct manager *manager, const char *mode, char ***ret_argv)
{
    _cleanup_strv_ char **argv = NULL;
    int r;

    if ((r = command_add(&argv, program_of(manager, mode), mode)) < 0 ||
        (r = command_add(&argv, "--store", store_path(manager->store))) < 0 ||
        (r = command_add(&argv, "--keys", manager->key_file)) < 0)
        return r;
    *ret_argv = TAKE_PTR(argv);
    return 0;
}
