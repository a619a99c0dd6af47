/* image_users.h - with whose rights the processes of an image would run. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Every user that a thread of the image has as its real, effective, saved or file system uid:
 * ascending, each once, a new array. A thread that holds capabilities counts as user 0, too.
 * -EBADMSG: a core-*.img is damaged, does not say it of a thread, or there is none. */
int image_users(int dirfd, uint32_t **ret_uids, size_t *ret_count);
