/* image_users.c - reads the credentials of every thread (CRIU's core-*.img). */
#include "image/image_users.h"

#include "common/cleanup.h"
#include "common/fs.h"
#include "image/pb.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define CORE_MAX (16u << 20) /* registers and signals of one thread, far below this */

struct users {
    uint32_t *uids;
    size_t count;
    bool found; /* credentials, of the thread that is looked at */
};

static int add(struct users *users, uint32_t uid)
{
    uint32_t *more;
    size_t at = 0;

    while (at < users->count && users->uids[at] < uid)
        at++;
    if (at < users->count && users->uids[at] == uid)
        return 0;
    more = reallocarray(users->uids, users->count + 1, sizeof(*more));
    if (!more)
        return -ENOMEM;
    users->uids = more;
    memmove(more + at + 1, more + at, (users->count - at) * sizeof(*more));
    more[at] = uid;
    users->count++;
    return 0;
}

/* A set of capabilities may come as single numbers or packed. */
static bool is_set(const struct pb_field *field)
{
    for (const uint8_t *p = field->bytes.p; p < field->bytes.end; p++)
        if (*p != 0)
            return true;
    return !field->bytes.p && field->value != 0;
}

static int note_creds(struct users *users, struct pb message)
{
    struct pb_field field;
    int r, q = 0;

    users->found = true;
    while (q == 0 && (r = pb_next(&message, &field)) > 0) {
        switch (field.number) { /* creds_entry */
        case 1:                 /* uid, euid, suid, fsuid */
        case 3:
        case 5:
        case 7:
            q = add(users, (uint32_t)field.value);
            break;
        case 10: /* cap_prm, cap_eff, cap_amb */
        case 11:
        case 19:
            q = is_set(&field) ? add(users, 0) : 0;
            break;
        }
    }
    return q < 0 ? q : r;
}

/* Calls `each` for every field `number` of a message. */
static int for_each(struct users *users, struct pb message, uint32_t number,
                    int (*each)(struct users *, struct pb))
{
    struct pb_field field;
    int r, q = 0;

    while (q == 0 && (r = pb_next(&message, &field)) > 0)
        if (field.number == number)
            q = each(users, field.bytes);
    return q < 0 ? q : r;
}

static int note_thread(struct users *users, struct pb message)
{
    int r;

    users->found = false;
    r = for_each(users, message, 10, note_creds); /* thread_core_entry.creds */
    return r < 0 ? r : users->found ? 0 : -EBADMSG;
}

static int note_core(int dirfd, const char *name, void *users)
{
    _cleanup_free_ char *data = NULL;
    struct pb records, message;
    size_t size;
    int r;

    if (strncmp(name, "core-", strlen("core-")) != 0)
        return 0;
    if ((r = fs_read(dirfd, name, CORE_MAX, &data, &size)) < 0)
        return r == -EFBIG ? -EBADMSG : r;
    if ((r = pb_image(data, size, &records)) < 0)
        return r;
    while ((r = pb_next_record(&records, &message)) > 0)
        if ((r = for_each(users, message, 5, note_thread)) < 0) /* core_entry.thread_core */
            return r;
    return r;
}

static void users_done(struct users *users)
{
    free(users->uids);
}

int image_users(int dirfd, uint32_t **ret_uids, size_t *ret_count)
{
    _cleanup_(users_done) struct users users = {};
    int r = fs_for_each(dirfd, note_core, &users);

    if (r < 0)
        return r;
    if (users.count == 0)
        return -EBADMSG;
    *ret_count = users.count;
    *ret_uids = TAKE_PTR(users.uids);
    return 0;
}
