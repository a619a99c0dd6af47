/* survey.h - what of its host a checkpoint touches when it is restored, and what a drill has to put
 * in its place; read from the images of CRIU (images/NAME.proto of it). */
#pragma once

#include "common/reason.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

/* Something at a path, as it is to be found in the scratch world. */
struct survey_item {
    char *path;  /* absolute, without "." and ".." */
    mode_t mode; /* as on this host; type S_IFREG: an empty file of `size`, S_IFIFO, S_IFDIR */
    uid_t uid;
    gid_t gid;
    uint64_t size;
    bool written; /* open or mapped for writing: a stand-in, wherever it is */
    bool mapped;  /* only read: its content matters (the build-id of a library) */
};

/* Somebody outside to whom the service sends datagrams. */
struct survey_peer {
    struct sockaddr_un address;
    socklen_t size;
};

struct survey {
    struct survey_item *items;
    size_t item_count;
    char **paths; /* of all kinds, to know which mounts matter */
    size_t path_count;
    uint32_t *mapped; /* ids of files that are mapped shared and writable */
    size_t mapped_count;
    struct survey_peer *peers;
    size_t peer_count;
    bool locks;        /* files are locked */
    uint32_t *numbers; /* pids, threads, groups and sessions, ascending */
    size_t number_count;
    struct reason unprovable; /* set when this cannot be had in a scratch world: what and why */
};

/* Reads files.img, pstree.img, filelocks.img and mm-*.img in `images_fd`, and looks at what they
 * name with lstat(2). -EBADMSG, -ENOENT: the image is damaged. */
int survey_make(int images_fd, struct survey *ret);
void survey_done(struct survey *survey);

/* The path is `folder` or below it. */
bool path_is_below(const char *path, const char *folder);
