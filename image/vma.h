/* vma.h - one mapping of a process as mm-PID.img has it (CRIU images/vma.proto). */
#pragma once

#include "image/pb.h"

#define MM_VMAS 14 /* number of the mappings' field in images/mm.proto */

/* status (criu/include/image.h) */
enum {
    VMA_AREA_STACK = 1 << 1,
    VMA_AREA_VSYSCALL = 1 << 2,
    VMA_AREA_VDSO = 1 << 3,
    VMA_AREA_HEAP = 1 << 5,
    VMA_FILE_PRIVATE = 1 << 6,
    VMA_FILE_SHARED = 1 << 7,
    VMA_ANON_SHARED = 1 << 8,
    VMA_AREA_SYSVIPC = 1 << 10,
    VMA_AREA_SOCKET = 1 << 11,
    VMA_AREA_VVAR = 1 << 12,
    VMA_AREA_AIORING = 1 << 13,
    VMA_AREA_MEMFD = 1 << 14,
    VMA_AREA_GUARD = 1 << 16, /* no mapping: where guard pages are; behind all mappings */
    VMA_EXT_PLUGIN = 1 << 27,
};

struct vma {
    uint64_t start, end;  /* whole pages, at least one */
    uint64_t offset;      /* in the file or segment, bytes */
    uint64_t shmid;       /* id of the segment, or of a file */
    uint32_t prot, flags; /* mmap(2) */
    uint32_t status;      /* VMA_ */
    uint32_t file_flags;  /* open(2) */
};

/* -EBADMSG: not such a message, or of addresses that cannot be. */
int vma_parse(struct pb message, struct vma *ret);
