/* main.c - the `perdure` command: which verb, which options, and help. */
#include "common/cleanup.h"
#include "common/fs.h"
#include "common/nearest.h"
#include "common/peer.h"
#include "ctl/ctl.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <string.h>

static int verb_help(struct ctl *ctl, int argc, char **argv);

static const struct verb verbs[] = {
    {"run", "[OPTION...] -- CMD [ARG...]", "+pNir", 0, -1,
     "supervise one command in the foreground, in an instance of its own",
     "Exits with the command's status: 128+N when signal N ended it, 126 when it is not\n"
     "executable, 127 when it is not found. Ctrl-C stops it cleanly. The command starts in the\n"
     "current folder with the current environment. Its state is kept in\n"
     "$XDG_STATE_HOME/perdure/run/NAME (~/.local/state/perdure/run/NAME).\n\n"
     "  perdure run --interval 10s -- redis-server --save ''\n",
     verb_run},
    {"status", "[NAME...]", "", 0, -1,
     "what runs, since when, and what it can be brought back from",
     "Without a name: a table of all services. With names: everything known of each; exits 0\n"
     "when all of them are up, 3 when one is not, 4 when one is unknown.\n",
     verb_status},
    {"start", "NAME...", "", 1, -1, "start services, cold",
     "Starting a service that runs is no error.\n", verb_start},
    {"stop", "NAME...", "", 1, -1, "stop services; they stay stopped over a reboot",
     "Stopping a stopped service is no error. Returns when nothing of it runs any more.\n",
     verb_stop},
    {"restart", "NAME...", "", 1, -1, "stop services and start them cold", NULL, verb_restart},
    {"checkpoint", "NAME", "", 1, 1, "take a checkpoint now and print its id",
     "The service keeps running. Returns when the checkpoint is safe on disk.\n", verb_checkpoint},
    {"list", "[NAME]", "", 0, 1, "checkpoints, newest first, each under what it depends on",
     "SIZE is the memory it holds, ADDED what it takes on disk beside its parents. STATE is "
     "whole,\n"
     "poisoned (the service died soon after it was restored from it) or corrupt; only whole ones\n"
     "are used for recovery. FLAGS: proven or unprovable (by a drill), pinned, packed.\n",
     verb_list},
    {"show", "ID", "", 1, 1, "everything about one checkpoint (NAME@N)",
     "Its manifest, why it could not be restored here, and what is in it: processes, memory by\n"
     "mapping (largest first), files, sockets, pipes.\n",
     verb_show},
    {"diff", "ID ID", "", 2, 2, "what changed from one checkpoint to another",
     "Pages by mapping, processes (+ began, - ended, ~ changed), files and sockets (+ opened,\n"
     "- closed, ~ moved).\n",
     verb_diff},
    {"verify", "[ID|NAME]", "a", 0, 1, "read every byte of checkpoints and compare their hashes",
     "Without a word, or with --all: of all services. A damaged one is marked corrupt and never\n"
     "offered again, nor are those that depend on it. Exits 1 when one is bad.\n",
     verb_verify},
    {"drill", "ID", "", 1, 1, "restore a checkpoint apart from everything, and end it again",
     "The running service, its files and ports are not touched. Exits 1 when it is not proven.\n",
     verb_drill},
    {"pin", "ID", "", 1, 1, "keep a checkpoint, whatever the rules for old ones say", NULL,
     verb_pin},
    {"unpin", "ID", "", 1, 1, "let the rules decide about a checkpoint again", NULL, verb_unpin},
    {"prune", "[NAME]", "d", 0, 1, "remove the checkpoints that the rules do not keep, now",
     "The rules are Keep=, KeepHourly=, KeepDaily=, KeepWeekly= and MaxBytes=; they are applied\n"
     "after each checkpoint anyway.\n",
     verb_prune},
    {"export", "ID FILE", "F", 2, 2, "write a checkpoint, with all it needs, into one file",
     "The file (-: standard output) has the memory of the service, parents included, compressed\n"
     "and sealed with this store's key; only root may read it. `perdure import` takes it on "
     "another\n"
     "host, checkpointctl shows what is in it.\n",
     verb_export},
    {"import", "FILE --name NAME", "Nt", 1, 1, "take a checkpoint of another host into the store",
     "It becomes the newest checkpoint of the service NAME, whose policy must be there and have "
     "the\n"
     "user that the processes in the image have. One that is not sealed with a key of this store\n"
     "needs --trust. Root only. Prints the id.\n\n"
     "  perdure import redis-7.ckpt --name redis && perdure restore redis\n",
     verb_import},
    {"unpack", "ID DIR", "", 2, 2, "write a checkpoint as a plain CRIU image into a folder",
     "Full, neither compressed nor encrypted: `criu restore -D DIR` and `crit` work on it. DIR is\n"
     "made, or must be empty.\n",
     verb_unpack},
    {"key", "rotate", "", 1, 1, "seal and encrypt new checkpoints with a new key",
     "Old checkpoints stay as they are, and readable: old keys are kept. Prints the key's id.\n",
     verb_key},
    {"restore", "NAME[@N]", "", 1, 1, "stop what runs and bring back a checkpoint",
     "Without @N: the newest one. What the service did since then is lost. A poisoned checkpoint\n"
     "can be restored by naming it.\n",
     verb_restore},
    {"logs", "NAME", "nf", 1, 1, "what a service printed",
     "With --json: one object, or with -f one object per line.\n", verb_logs},
    {"check", "[FILE|NAME...]", "", 0, -1,
     "check policies, and whether services can be checkpointed",
     "Without a word: perdure.ini, all policies, and every running service. A word with a slash "
     "or\n"
     "ending in .ini is a policy file, any other a service. Exits 1 when something is wrong.\n",
     verb_check},
    {"reload", "", "", 0, 0, "read the policies again",
     "New services are started, removed ones stopped; a changed policy is used from the service's\n"
     "next start on. A file with an error keeps its old policy.\n",
     verb_reload},
    {"shutdown", "", "l", 0, 0, "end supervisord and the services", NULL, verb_shutdown},
    {"version", "", "", 0, 0, "versions of perdure, of the daemon and of CRIU", NULL, verb_version},
    {"help", "[VERB]", "", 0, 1, "this text, or that of a verb", NULL, verb_help},
};

/* `letter` is what a verb's `letters` lists; lower-case ones with `brief` have a short form. */
static const struct {
    struct option option;
    bool brief;
    const char *argument, *text;
} options[] = {
    {{"lines", required_argument, NULL, 'n'}, true, "N", "the last N lines (default 50)"},
    {{"follow", no_argument, NULL, 'f'},
     true,
     NULL,
     "go on as the file grows; 10 lines to begin with"},
    {{"policy", required_argument, NULL, 'p'},
     false,
     "FILE",
     "take all but the command from this policy"},
    {{"name", required_argument, NULL, 'N'},
     false,
     "N",
     "the service's name (default: the command's)"},
    {{"interval", required_argument, NULL, 'i'}, false, "T", "checkpoint every T (default 30s)"},
    {{"resume", no_argument, NULL, 'r'},
     false,
     NULL,
     "go on from the last run's newest checkpoint"},
    {{"leave-running", no_argument, NULL, 'l'},
     false,
     NULL,
     "let the services run on without supervision"},
    {{"all", no_argument, NULL, 'a'}, false, NULL, "all checkpoints of all services"},
    {{"force", no_argument, NULL, 'F'}, false, NULL, "replace FILE when it is there"},
    {{"trust", no_argument, NULL, 't'},
     false,
     NULL,
     "you vouch for the archive: its seal does not count"},
    {{"dry-run", no_argument, NULL, 'd'}, false, NULL, "only say what would be removed"},
    {{"json", no_argument, NULL, 'J'}, false, NULL, "print JSON (see docs/json.md)"},
    {{"config-dir", required_argument, NULL, 'C'}, false, "D", "policies and perdure.ini"},
    {{"state-dir", required_argument, NULL, 'S'}, false, "D", "checkpoints and logs"},
    {{"runtime-dir", required_argument, NULL, 'R'},
     false,
     "D",
     "the instance: where its socket is"},
    {{"help", no_argument, NULL, 'h'}, true, NULL, "this text"},
};
static const char global_letters[] = "JCSRh";

static bool allows(const struct verb *verb, int letter)
{
    return strchr(global_letters, letter) || (verb && strchr(verb->letters, letter));
}

static void print_options(const struct verb *verb)
{
    for (size_t i = 0; i < ELEMENTS(options); i++) {
        const struct option *o = &options[i].option;
        char left[40];

        if (!allows(verb, o->val))
            continue;
        snprintf(left, sizeof(left), "%s--%s%s%s", options[i].brief ? "" : "    ", o->name,
                 options[i].argument ? " " : "", options[i].argument ? options[i].argument : "");
        if (options[i].brief)
            printf("  -%c, %-20s %s\n", o->val, left, options[i].text);
        else
            printf("  %-24s %s\n", left, options[i].text);
    }
}

static void print_help(const struct verb *verb)
{
    if (verb) {
        printf("usage: perdure %s%s%s\n\n%c%s.\n", verb->name, verb->arguments[0] ? " " : "",
               verb->arguments, toupper((unsigned char)verb->summary[0]), verb->summary + 1);
        if (verb->help)
            printf("%s", verb->help);
        printf("\noptions:\n");
        print_options(verb);
        return;
    }
    printf("usage: perdure [OPTION...] VERB [WORD...]\n\n"
           "Keeps services running, and brings them back with their memory.\n\nverbs:\n");
    for (size_t i = 0; i < ELEMENTS(verbs); i++)
        printf("  %-11s %s\n", verbs[i].name, verbs[i].summary);
    printf("\noptions, of every verb:\n");
    print_options(NULL);
    printf("\nexit codes: 0 ok, 1 failed, 2 wrong usage, 3 not running, 4 unknown service,\n"
           "5 permission denied. More: man perdure, perdure VERB --help.\n");
}

/* NULL, reported, when there is no such verb. */
static const struct verb *find_verb(const struct ctl *ctl, const char *name)
{
    const char *names[ELEMENTS(verbs) + 1] = {0}, *nearest;

    for (size_t i = 0; i < ELEMENTS(verbs); i++) {
        names[i] = verbs[i].name;
        if (strcmp(names[i], name) == 0)
            return &verbs[i];
    }
    nearest = nearest_word(name, names);
    if (nearest) {
        _cleanup_free_ char *cure = NULL;

        if (asprintf(&cure, "did you mean `perdure %s`? `perdure help` lists all verbs", nearest) <
            0)
            cure = NULL;
        report(ctl, EXIT_USAGE, cure, "unknown verb '%s'", name);
    } else {
        report(ctl, EXIT_USAGE, "`perdure help` lists all verbs", "unknown verb '%s'", name);
    }
    return NULL;
}

static int verb_help(struct ctl *ctl, int argc, char **argv)
{
    const struct verb *verb = argc > 0 ? find_verb(ctl, argv[0]) : NULL;

    if (argc > 0 && !verb)
        return EXIT_USAGE;
    print_help(verb);
    return EXIT_OK;
}

static int set_option(struct ctl *ctl, int letter, char *argument)
{
    char *end;
    unsigned long n;

    switch (letter) {
    case 'J':
        ctl->json = true;
        break;
    case 'C':
        ctl->config_dir = argument;
        break;
    case 'S':
        ctl->state_dir = argument;
        break;
    case 'R':
        ctl->runtime_dir = argument;
        break;
    case 'n':
        errno = 0;
        n = strtoul(argument, &end, 10);
        if (argument[0] < '0' || argument[0] > '9' || *end || errno != 0 || n > 1000000000)
            return report(ctl, EXIT_USAGE, "give a whole number, as in -n 100",
                          "'%s' is not a number of lines", argument);
        ctl->lines = (unsigned)n;
        ctl->lines_given = true;
        break;
    case 'f':
        ctl->follow = true;
        break;
    case 'p':
        ctl->policy = argument;
        break;
    case 'N':
        ctl->name = argument;
        break;
    case 'i':
        ctl->interval = argument;
        break;
    case 'r':
        ctl->resume = true;
        break;
    case 'l':
        ctl->leave_running = true;
        break;
    case 'a':
        ctl->all = true;
        break;
    case 'd':
        ctl->dry_run = true;
        break;
    case 'F':
        ctl->force = true;
        break;
    case 't':
        ctl->trust = true;
        break;
    }
    return EXIT_OK;
}

/* Reads options up to the verb (`ctl->verb` NULL), or those of the verb. *ret_help: --help was
 * there. */
static int read_options(struct ctl *ctl, int argc, char **argv, const char *shorts, bool *ret_help)
{
    const char *of = ctl->verb ? ctl->verb->name : "";
    struct option longs[ELEMENTS(options) + 1] = {0};
    int letter, code;

    for (size_t i = 0; i < ELEMENTS(options); i++)
        longs[i] = options[i].option;
    opterr = 0;
    while ((letter = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
        const char *word = argv[optind - 1];

        if (letter == ':')
            return report(ctl, EXIT_USAGE, "see `perdure help`", "option %s needs a value", word);
        if (letter == '?' || !allows(ctl->verb, letter))
            return report(ctl, EXIT_USAGE,
                          ctl->verb ? "its --help lists them" : "`perdure help` lists them",
                          "perdure%s%s has no option '%s'", *of ? " " : "", of, word);
        if (letter == 'h')
            *ret_help = true;
        code = set_option(ctl, letter, optarg);
        if (code != EXIT_OK)
            return code;
    }
    return EXIT_OK;
}

static int check_word_count(const struct ctl *ctl, int count)
{
    const struct verb *verb = ctl->verb;

    if (count >= verb->min_words && (verb->max_words < 0 || count <= verb->max_words))
        return EXIT_OK;
    return report(ctl, EXIT_USAGE, "its --help says more", "usage: perdure %s %s", verb->name,
                  verb->arguments);
}

static int run_verb(struct ctl *ctl, int argc, char **argv)
{
    int r, code;

    r = dirs_init(&ctl->dirs, ctl->config_dir, ctl->state_dir, ctl->runtime_dir);
    if (r < 0)
        return report_errno(ctl, r, "cannot tell the instance's folders");
    ctl->socket = fs_join(ctl->dirs.runtime, DIRS_CONTROL_SOCK);
    if (!ctl->socket)
        return report_errno(ctl, -ENOMEM, ctl->verb->name);
    code = ctl->verb->run(ctl, argc, argv);
    ctl->bus = peer_close(ctl->bus);
    free(ctl->socket);
    dirs_done(&ctl->dirs);
    if (fflush(stdout) != 0 && code == EXIT_OK)
        code = report_errno(ctl, -errno, "cannot write the answer");
    return code;
}

int main(int argc, char **argv)
{
    struct ctl ctl = {.lines = 50};
    bool help = false;
    int code;

    /* Errors before the verb's own options are read obey --json, too. */
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        ctl.json = ctl.json || strcmp(argv[i], "--json") == 0;

    code = read_options(&ctl, argc, argv, "+:h", &help);
    if (code != EXIT_OK)
        return code;
    argc -= optind;
    argv += optind;
    if (help) {
        print_help(NULL);
        return EXIT_OK;
    }
    if (argc == 0) {
        report(&ctl, EXIT_USAGE, "`perdure help` lists all verbs", "a verb is missing");
        return EXIT_USAGE;
    }
    ctl.verb = find_verb(&ctl, argv[0]);
    if (!ctl.verb)
        return EXIT_USAGE;

    optind = 0; /* getopt(3): start anew on another vector */
    code = read_options(&ctl, argc, argv, ctl.verb->letters[0] == '+' ? "+:hn:f" : ":hn:f", &help);
    if (code != EXIT_OK)
        return code;
    if (help) {
        print_help(ctl.verb);
        return EXIT_OK;
    }
    code = check_word_count(&ctl, argc - optind);
    return code != EXIT_OK ? code : run_verb(&ctl, argc - optind, argv + optind);
}
