/* verb_archive.c - verbs that carry a checkpoint out of the store and into it: export, import,
 * unpack. Files are opened here, with the caller's rights; the daemon gets open descriptors. */
#include "common/bytesize.h"
#include "common/cleanup.h"
#include "common/wire.h"
#include "ctl/client.h"
#include "ctl/text.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define STREAM "-"

/* One of the three calls; `doing` is "exporting". */
static int call(struct ctl *ctl, struct request *request, const char *doing, const char *word,
                json_t **ret)
{
    _cleanup_free_ char *text = NULL;

    if (asprintf(&text, "%s %s", doing, word) < 0) {
        text = NULL;
        return report_errno(ctl, -ENOMEM, ctl->verb->name);
    }
    request->doing = text;
    request->progress_unit = 1;
    return client_call_json(ctl, request, ret);
}

static const char *size_of(const json_t *answer, char buf[TEXT_SIZE])
{
    int64_t n;

    return member_number(answer, "bytes", &n) && n >= 0 ? bytesize_format((uint64_t)n, buf) : "?";
}

/* ---- export ---- */

static int report_exists(const struct ctl *ctl, const char *path)
{
    return report(ctl, EXIT_FAILED, "name another file, or replace it with --force",
                  "%s is there already", path);
}

/* A file without a name: whatever ends us, no half archive is left. */
static int open_unnamed(const struct ctl *ctl, const char *path, int *ret_fd)
{
    const char *slash = strrchr(path, '/');
    _cleanup_free_ char *folder =
        slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");

    if (!folder)
        return report_errno(ctl, -ENOMEM, path);
    if (!ctl->force && faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        return report_exists(ctl, path);
    *ret_fd = open(folder, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
    if (*ret_fd >= 0)
        return EXIT_OK;
    if (errno == EOPNOTSUPP || errno == EISDIR)
        return report(ctl, EXIT_FAILED, "write it by a redirection: perdure export ID - > FILE",
                      "the file system of %s has no unnamed files", folder);
    return report_errno(ctl, -errno, folder);
}

static int link_to(int fd, const char *path)
{
    char from[32];

    snprintf(from, sizeof(from), "/proc/self/fd/%d", fd);
    return linkat(AT_FDCWD, from, AT_FDCWD, path, AT_SYMLINK_FOLLOW) < 0 ? -errno : 0;
}

/* Replacing goes by a second name: the old file is there until the new one is. */
static int replace(int fd, const char *path)
{
    _cleanup_free_ char *new = NULL;
    int r;

    if (asprintf(&new, "%s.new", path) < 0) {
        new = NULL;
        return -ENOMEM;
    }
    r = link_to(fd, new);
    if (r == 0 && rename(new, path) < 0) {
        r = -errno;
        (void)unlink(new);
    }
    return r;
}

static int give_name(const struct ctl *ctl, int fd, const char *path)
{
    int r = ctl->force ? replace(fd, path) : link_to(fd, path);

    if (r == -EEXIST && !ctl->force)
        return report_exists(ctl, path);
    return r < 0 ? report_errno(ctl, r, path) : EXIT_OK;
}

static int export_to_stream(struct ctl *ctl, const char *id)
{
    json_auto_t *answer = NULL;

    if (ctl->json)
        return report(ctl, EXIT_USAGE, "name a file", "--json and %s exclude each other", STREAM);
    if (isatty(STDOUT_FILENO))
        return report(ctl, EXIT_USAGE, "send it on: perdure export ID - > FILE",
                      "an archive is nothing for a terminal");
    return call(
        ctl,
        &(struct request){
            .method = CONTROL_EXPORT, .signature = "sh", .words = {id}, .fd = STDOUT_FILENO},
        "exporting", id, &answer);
}

static int export_to_file(struct ctl *ctl, const char *id, const char *path)
{
    _cleanup_close_ int fd = -1;
    json_auto_t *answer = NULL;
    char size[TEXT_SIZE];
    int code = open_unnamed(ctl, path, &fd);

    if (code != EXIT_OK)
        return code;
    code = call(
        ctl,
        &(struct request){.method = CONTROL_EXPORT, .signature = "sh", .words = {id}, .fd = fd},
        "exporting", id, &answer);
    if (code != EXIT_OK || (code = give_name(ctl, fd, path)) != EXIT_OK)
        return code;
    if (ctl->json)
        return print_json(ctl, json_incref(answer));
    printf("%s is in %s, %s; it holds all that the service had in memory\n", id, path,
           size_of(answer, size));
    return EXIT_OK;
}

int verb_export(struct ctl *ctl, int argc, char **argv)
{
    int code = check_id(ctl, argv[0]);

    if (code != EXIT_OK)
        return code;
    return strcmp(argv[1], STREAM) == 0 ? export_to_stream(ctl, argv[0])
                                        : export_to_file(ctl, argv[0], argv[1]);
}

/* ---- import ---- */

int verb_import(struct ctl *ctl, int argc, char **argv)
{
    bool stream = strcmp(argv[0], STREAM) == 0;
    _cleanup_close_ int file = -1;
    json_auto_t *answer = NULL;
    const char *id;
    int code;

    if (!ctl->name)
        return report(ctl, EXIT_USAGE, "say it with --name NAME; `perdure status` lists them",
                      "for which service is %s?", argv[0]);
    if ((code = check_names(ctl, 1, (char *[]){(char *)ctl->name})) != EXIT_OK)
        return code;
    if (stream && isatty(STDIN_FILENO))
        return report(ctl, EXIT_USAGE, "send it one: perdure import - --name NAME < FILE",
                      "a terminal has no archive");
    if (!stream && (file = open(argv[0], O_RDONLY | O_CLOEXEC)) < 0)
        return report_errno(ctl, -errno, argv[0]);
    code = call(ctl,
                &(struct request){.method = CONTROL_IMPORT,
                                  .signature = "hsb",
                                  .words = {ctl->name},
                                  .fd = stream ? STDIN_FILENO : file,
                                  .flag = ctl->trust},
                "importing", argv[0], &answer);
    if (code != EXIT_OK)
        return code;
    if (ctl->json)
        return print_json(ctl, json_incref(answer));
    id = member_string(answer, "id");
    puts(id ? id : "");
    return EXIT_OK;
}

/* ---- unpack ---- */

int verb_unpack(struct ctl *ctl, int argc, char **argv)
{
    const char *path = argv[1];
    _cleanup_close_ int fd = -1;
    json_auto_t *answer = NULL;
    char size[TEXT_SIZE];
    bool made;
    int code = check_id(ctl, argv[0]);

    if (code != EXIT_OK)
        return code;
    made = mkdir(path, 0700) == 0;
    if (!made && errno != EEXIST)
        return report_errno(ctl, -errno, path);
    fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return report_errno(ctl, -errno, path);
    code = call(ctl,
                &(struct request){
                    .method = CONTROL_UNPACK, .signature = "sh", .words = {argv[0]}, .fd = fd},
                "unpacking", argv[0], &answer);
    if (code != EXIT_OK) {
        if (made)
            (void)rmdir(path);
        return code;
    }
    if (ctl->json)
        return print_json(ctl, json_incref(answer));
    printf("%s is in %s, %s of memory; `criu restore -D %s` takes it\n", argv[0], path,
           size_of(answer, size), path);
    return EXIT_OK;
}
