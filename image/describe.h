/* describe.h - what a checkpoint holds: processes, their memory by mapping, what they had open.
 *
 * It is read out of CRIU's images (images/NAME.proto, fields by number) and none of it is believed:
 * numbers that cannot be are -EBADMSG, names are bytes of any kind. */
#pragma once

#include "image/pack.h"
#include "image/pagemap.h"
#include "image/stats.h"

#include <stdbool.h>

enum mapping_kind {
    MAPPING_ANON,
    MAPPING_FILE,
    MAPPING_STACK,
    MAPPING_HEAP,
    MAPPING_VDSO,
    MAPPING_SHARED, /* shared with other processes, without a name or by shmget(2) */
    MAPPING_MEMFD,
    MAPPING_HUGETLB,
    MAPPING_OTHER, /* of a socket, of an AIO ring */
};

struct mapping {
    uint64_t start, end;
    uint32_t prot, flags; /* mmap(2) */
    enum mapping_kind kind;
    uint64_t segment, offset; /* its pages are those of a segment; 0: its own */
    char *path;               /* NULL: no file */
    uint64_t pages, stored;   /* that the image has; of these with bytes in its own folder */
};

/* Memory that several processes may map: its pages are in the image once. */
struct segment {
    uint64_t id;
    struct pagemap map;
    uint64_t pages, stored;
};

struct process {
    uint32_t pid, ppid, sid, threads;
    uint32_t uid, gid; /* effective; UINT32_MAX: not known (a zombie) */
    const char *state; /* "running", "stopped", "zombie", "dead" */
    char *comm;
    uint32_t files;           /* id of its table of descriptors */
    struct mapping *mappings; /* by address */
    size_t mapping_count;
    uint64_t pages, stored; /* of its own, without segments */
};

enum object_kind { OBJECT_FILE, OBJECT_SOCKET, OBJECT_PIPE, OBJECT_OTHER };

/* What a descriptor can stand for; several may stand for the same. */
struct object {
    uint32_t id;
    enum object_kind kind;
    const char *type; /* "file", "tcp", "unix-stream", "pipe", "eventfd", ... */
    uint32_t flags;   /* open(2) */
    uint64_t offset, size;
    uint32_t inode;     /* pipe, socket */
    const char *family; /* of sockets: "inet", "inet6", "unix", "netlink", "packet" */
    const char *state;  /* "listen", "established", ... */
    char *path;         /* file, unix socket ("@x" abstract), memfd; NULL: none */
    char *local, *remote;
    uint64_t segment; /* a memfd's content */
    uint32_t named;   /* id of the object that has its path; 0: none */
};

struct descriptor {
    uint32_t pid, fd;
    size_t object; /* index */
};

struct description {
    struct process *processes;
    size_t process_count;
    struct segment *segments; /* by id */
    size_t segment_count;
    struct object *objects; /* by id */
    size_t object_count;
    struct descriptor *descriptors; /* by pid and fd */
    size_t descriptor_count;
    uint64_t pages, stored; /* all processes and segments */
    bool has_stats;
    struct dump_stats stats;
};

/* Reads the images of a folder. -EBADMSG: one is damaged, else as pack_open(). `ret_name` is then
 * the file's name. */
int describe(const struct image_dir *dir, struct description *ret, char ret_name[64]);
void description_done(struct description *description);

/* NULL: there is none of this id. */
const struct object *description_object(const struct description *description, uint32_t id);
const struct segment *description_segment(const struct description *description, uint64_t id);
