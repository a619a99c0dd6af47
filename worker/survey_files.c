/* survey_files.c - the entries of files.img: what is to be put in the place of the host's, and what
 * cannot be had twice. */
#include "worker/survey_parts.h"

#include "common/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#define USK_EXTERN 1 /* criu/sk-unix.c */
#define NO_CURE    "the checkpoint may be good: it only cannot be tried beside the service"

static bool names(struct pb bytes, const char *word)
{
    return (size_t)(bytes.end - bytes.p) == strlen(word) &&
           memcmp(bytes.p, word, strlen(word)) == 0;
}

__attribute__((format(printf, 2, 3))) static void cannot(struct survey *s, const char *format, ...)
{
    char why[512];
    va_list args;

    if (s->unprovable.why)
        return;
    va_start(args, format);
    vsnprintf(why, sizeof(why), format, args);
    va_end(args);
    reason_set(&s->unprovable, NO_CURE, "%s", why);
}

/* ---- paths ---- */

/* What the kernel calls a file has no such parts; what has them is not from a kernel. */
static bool is_straight(const char *path)
{
    return !strstr(path, "//") && !strstr(path, "/./") && !strstr(path, "/../") &&
           strcmp(strrchr(path, '/'), "/..") != 0 && strcmp(strrchr(path, '/'), "/.") != 0;
}

/* CRIU writes paths relative to the root: "usr/bin/x", "./usr/bin/x" or "/usr/bin/x". */
static int make_path(struct pb name, char **ret)
{
    size_t size = (size_t)(name.end - name.p);

    if (size >= 2 && name.p[0] == '.' && name.p[1] == '/')
        name.p++;
    if (name.p < name.end && name.p[0] == '/')
        name.p++;
    else if (size == 1 && name.p[0] == '.')
        name.p++;
    size = (size_t)(name.end - name.p);
    if (size >= PATH_MAX || memchr(name.p, '\0', size))
        return -EBADMSG;
    if (asprintf(ret, "/%.*s", (int)size, (const char *)name.p) < 0) {
        *ret = NULL;
        return -ENOMEM;
    }
    return is_straight(*ret) ? 0 : -EBADMSG;
}

/* Takes `path` over. */
static int add_path(struct survey *s, char *path)
{
    char **more = reallocarray(s->paths, s->path_count + 1, sizeof(*more));

    if (!more) {
        free(path);
        return -ENOMEM;
    }
    s->paths = more;
    more[s->path_count++] = path;
    return 0;
}

static int note_path(struct survey *s, struct pb name)
{
    _cleanup_free_ char *path = NULL;
    int r = make_path(name, &path);

    return r < 0 ? r : add_path(s, TAKE_PTR(path));
}

static struct survey_item *find_item(struct survey *s, const char *path)
{
    for (size_t i = 0; i < s->item_count; i++)
        if (strcmp(s->items[i].path, path) == 0)
            return &s->items[i];
    return NULL;
}

/* The item of this path; a new one looks as the host has it. NULL in `ret`: the host has none, and
 * CRIU will miss it in the drill as it would in a restore. */
static int get_item(struct survey *s, const char *path, struct survey_item **ret)
{
    struct survey_item *item = find_item(s, path), *more;
    struct stat st;

    *ret = item;
    if (item || lstat(path, &st) < 0)
        return 0;
    more = reallocarray(s->items, s->item_count + 1, sizeof(*more));
    if (!more)
        return -ENOMEM;
    s->items = more;
    item = &more[s->item_count];
    *item = (struct survey_item){
        .path = strdup(path),
        .mode = st.st_mode,
        .uid = st.st_uid,
        .gid = st.st_gid,
        .size = (uint64_t)st.st_size,
    };
    if (!item->path)
        return -ENOMEM;
    s->item_count++;
    *ret = item;
    return 0;
}

/* ---- entries of files.img ---- */

static bool is_safe_device(const char *path)
{
    static const char *const safe[] = {"/dev/null", "/dev/zero", "/dev/full", "/dev/random",
                                       "/dev/urandom"};

    for (size_t i = 0; i < ELEMENTS(safe); i++)
        if (strcmp(path, safe[i]) == 0)
            return true;
    return false;
}

struct reg_file {
    struct pb name;
    uint32_t id;
    uint64_t size;
    uint32_t flags;
    mode_t mode;
    bool has_size, has_build_id, external;
};

static int read_reg(struct pb message, struct reg_file *ret)
{
    struct pb_field field;
    int r;

    *ret = (struct reg_file){0};
    while ((r = pb_next(&message, &field)) > 0) {
        switch (field.number) { /* reg_file_entry */
        case 1:
            ret->id = (uint32_t)field.value;
            break;
        case 2:
            ret->flags = (uint32_t)field.value;
            break;
        case 6:
            ret->name = field.bytes;
            break;
        case 8:
            ret->size = field.value;
            ret->has_size = true;
            break;
        case 9:
            ret->external = field.value;
            break;
        case 10:
            ret->mode = (mode_t)field.value;
            break;
        case 11:
            ret->has_build_id = true;
            break;
        }
    }
    return r;
}

static bool is_written(const struct survey *s, const struct reg_file *reg)
{
    if (reg->has_build_id || reg->flags & O_PATH)
        return false;
    if ((reg->flags & O_ACCMODE) != O_RDONLY)
        return true;
    for (size_t i = 0; i < s->mapped_count; i++)
        if (s->mapped[i] == reg->id)
            return true;
    return false;
}

static int note_reg(struct survey *s, struct pb message)
{
    _cleanup_free_ char *path = NULL;
    struct survey_item *item;
    struct reg_file reg;
    int r;

    if ((r = read_reg(message, &reg)) < 0 || (r = make_path(reg.name, &path)) < 0)
        return r;
    if (reg.external)
        return 0;
    if ((S_ISCHR(reg.mode) || S_ISBLK(reg.mode)) && !is_safe_device(path))
        cannot(s, "the device %s is open", path);
    if ((r = get_item(s, path, &item)) < 0)
        return r;
    if (item && S_ISREG(item->mode)) {
        if (is_written(s, &reg)) {
            item->written = true;
            /* That of the freeze: the running service has written on. */
            item->size = reg.has_size ? reg.size : item->size;
        }
        item->mapped |= reg.has_build_id;
    }
    return add_path(s, TAKE_PTR(path));
}

/* The address of a socket: of one that the service has bound its folder matters, of somebody
 * outside the address itself. */
static int note_address(struct survey *s, struct pb name, bool external)
{
    size_t size = (size_t)(name.end - name.p);
    struct survey_peer *more;

    if (size > sizeof(((struct sockaddr_un *)0)->sun_path))
        return -EBADMSG;
    if (size == 0)
        return 0;
    if (external) {
        more = reallocarray(s->peers, s->peer_count + 1, sizeof(*more));
        if (!more)
            return -ENOMEM;
        s->peers = more;
        more = &more[s->peer_count++];
        *more = (struct survey_peer){.address.sun_family = AF_UNIX};
        memcpy(more->address.sun_path, name.p, size);
        more->size = (socklen_t)(sizeof(sa_family_t) + size);
    }
    if (name.p[0] != '/')
        return 0;
    name.end = name.p + strnlen((const char *)name.p, size);
    while (name.end > name.p + 1 && name.end[-1] != '/')
        name.end--;
    if (name.end > name.p + 1)
        name.end--;
    return note_path(s, name);
}

static int note_unix(struct survey *s, struct pb message)
{
    struct pb name = {0};
    struct pb_field field;
    uint64_t uflags = 0;
    int r;

    while ((r = pb_next(&message, &field)) > 0) {
        if (field.number == 6) /* unix_sk_entry.uflags */
            uflags = field.value;
        else if (field.number == 11)
            name = field.bytes;
        else if (field.number == 14 && (r = note_path(s, field.bytes)) < 0) /* name_dir */
            break;
    }
    return r < 0 ? r : note_address(s, name, uflags & USK_EXTERN);
}

/* No other interface than "lo" is there. */
static void check_interface(struct survey *s, struct pb name)
{
    if (name.p < name.end && !names(name, "lo"))
        cannot(s, "a socket is bound to the network interface %.*s", (int)(name.end - name.p),
               (const char *)name.p);
}

static int note_inet(struct survey *s, struct pb message)
{
    struct pb_field field, option;
    int r;

    while ((r = pb_next(&message, &field)) > 0) {
        if (field.number == 17) /* inet_sk_entry.ifname */
            check_interface(s, field.bytes);
        if (field.number != 14)
            continue;
        while ((r = pb_next(&field.bytes, &option)) > 0)
            if (option.number == 15) /* sk_opts_entry.so_bound_dev */
                check_interface(s, option.bytes);
        if (r < 0)
            return r;
    }
    return r;
}

/* inotify_file_entry: wd 5 -> f_handle 7 -> path 4. */
static int note_watch(struct survey *s, struct pb message, const uint32_t numbers[], size_t depth)
{
    struct pb_field field;
    int r;

    while ((r = pb_next(&message, &field)) > 0) {
        if (field.number != numbers[0])
            continue;
        r = depth > 1 ? note_watch(s, field.bytes, numbers + 1, depth - 1)
                      : note_path(s, field.bytes);
        if (r < 0)
            return r;
    }
    return r;
}

int survey_note_file(struct survey *s, struct pb message)
{
    static const uint32_t watch[] = {5, 7, 4};
    struct pb_field field;
    int r;

    while ((r = pb_next(&message, &field)) > 0) {
        switch (field.number) { /* file_entry */
        case 3:
            r = note_reg(s, field.bytes);
            break;
        case 4:
            r = note_inet(s, field.bytes);
            break;
        case 6:
            cannot(s, "a packet socket is open: it sees a network interface");
            break;
        case 11:
            cannot(s, "a network tunnel (/dev/net/tun) is open");
            break;
        case 13:
            r = note_watch(s, field.bytes, watch, ELEMENTS(watch));
            break;
        case 14:
            cannot(s, "fanotify watches whole file systems of the host");
            break;
        case 16:
            r = note_unix(s, field.bytes);
            break;
        case 19:
            cannot(s, "a terminal is open: it would be the same one");
            break;
        }
        if (r < 0)
            return r;
    }
    return r;
}
