/* verb_logs.c - shows a service's raw log; the daemon need not run for it. */
#include "common/cleanup.h"
#include "common/fs.h"
#include "common/wire.h"
#include "ctl/client.h"
#include "ctl/log_file.h"
#include "ctl/text.h"

#include <errno.h>
#include <string.h>

#define FOLLOW_LINES 10 /* as tail(1) */

struct output {
    const struct ctl *ctl;
    json_t *lines; /* --json without -f: all of them */
    char *part;    /* --json: a line that has not ended yet */
    size_t part_size;
};

static void output_done(struct output *output)
{
    json_decref(output->lines);
    free(output->part);
}

static int put_line(struct output *output, const char *bytes, size_t size)
{
    json_t *line = json_text(bytes, size);

    if (!line)
        return -ENOMEM;
    if (output->lines)
        return json_array_append_new(output->lines, line) < 0 ? -ENOMEM : 0;
    return print_json(output->ctl, json_pack("{s:i, s:o}", "version", 1, "line", line)) == EXIT_OK
               ? 0
               : -EIO;
}

static int keep_part(struct output *output, const char *bytes, size_t size)
{
    char *grown = realloc(output->part, output->part_size + size + 1);

    if (!grown)
        return -ENOMEM;
    memcpy(grown + output->part_size, bytes, size);
    output->part = grown;
    output->part_size += size;
    return 0;
}

static int take_bytes(void *userdata, const char *bytes, size_t size)
{
    struct output *output = userdata;
    int r;

    if (!output->ctl->json)
        return fwrite(bytes, 1, size, stdout) < size || fflush(stdout) != 0 ? -EPIPE : 0;
    while (size > 0) {
        const char *newline = memchr(bytes, '\n', size);
        size_t n = newline ? (size_t)(newline - bytes) : size;

        r = keep_part(output, bytes, n);
        if (r < 0)
            return r;
        if (!newline)
            break;
        r = put_line(output, output->part, output->part_size);
        if (r < 0)
            return r;
        output->part_size = 0;
        bytes += n + 1;
        size -= n + 1;
    }
    return 0;
}

/* Where the log is: the daemon knows, else the fixed place. EXIT_OK with a new string. */
static int find_log(struct ctl *ctl, const char *name, char **ret_path)
{
    char *path = NULL;
    int code;

    if (client_try_connect(ctl) == 0) {
        code = client_call_string(
            ctl, &(struct request){.method = CONTROL_LOG_PATH, .signature = "s", .words = {name}},
            &path);
        if (code != EXIT_OK)
            return code;
        if (path[0] == '\0') {
            free(path);
            return report(ctl, EXIT_FAILED,
                          "set StandardOutput=append:/some/file in its policy, or remove that line",
                          "%s writes no log: its policy sends its output elsewhere", name);
        }
    } else if (asprintf(&path, "%s/" DIRS_LOGS "/%s.log", ctl->dirs.state, name) < 0) {
        return report_errno(ctl, -ENOMEM, name);
    }
    *ret_path = path;
    return EXIT_OK;
}

static int report_open(const struct ctl *ctl, int error, const char *path)
{
    if (error == -ENOENT)
        return report(ctl, ctl->bus ? EXIT_FAILED : EXIT_UNKNOWN,
                      "it appears with the service's first start; --state-dir names another place",
                      "there is no log %s", path);
    if (error == -EACCES)
        return report(ctl, EXIT_DENIED,
                      "logs are their owner's alone (0600): run this as root (sudo)",
                      "permission denied on %s", path);
    if (error == -ENOTSUP)
        return report(ctl, EXIT_FAILED, NULL, "%s is not a regular file", path);
    return report(ctl, EXIT_FAILED, NULL, "cannot read %s: %s", path, strerror(-error));
}

int verb_logs(struct ctl *ctl, int argc, char **argv)
{
    _cleanup_(output_done) struct output output = {.ctl = ctl};
    _cleanup_(log_file_done) struct log_file log = {.fd = -1, .watch_fd = -1};
    _cleanup_free_ char *path = NULL;
    unsigned lines = ctl->follow && !ctl->lines_given ? FOLLOW_LINES : ctl->lines;
    int r, code;

    code = check_names(ctl, argc, argv);
    if (code == EXIT_OK)
        code = find_log(ctl, argv[0], &path);
    if (code != EXIT_OK)
        return code;
    if (ctl->json && !ctl->follow)
        output.lines = json_array();

    r = log_file_open(&log, path, ctl->follow);
    if (r < 0)
        return report_open(ctl, r, path);
    if (ctl->follow)
        r = log_file_watch(&log);
    if (r == 0)
        r = log_file_seek_last(&log, lines);
    if (r == 0)
        r = log_file_drain(&log, take_bytes, &output);
    while (r == 0 && ctl->follow)
        r = log_file_wait(&log, take_bytes, &output);
    if (r < 0)
        return report_open(ctl, r, path);

    if (!output.lines)
        return EXIT_OK;
    if (output.part_size > 0 && put_line(&output, output.part, output.part_size) < 0)
        return report_errno(ctl, -ENOMEM, path);
    return print_json(ctl, json_pack("{s:i, s:s, s:s, s:O}", "version", 1, "service", argv[0],
                                     "path", path, "lines", output.lines));
}
