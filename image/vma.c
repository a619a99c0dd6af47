/* vma.c - reads one vma_entry. */
#include "image/vma.h"

#include "image/pagemap.h"

#include <errno.h>

int vma_parse(struct pb message, struct vma *ret)
{
    struct vma vma = {0};
    struct pb_field field;
    int r;

    while ((r = pb_next(&message, &field)) > 0) {
        switch (field.number) { /* vma_entry */
        case 1:
            vma.start = field.value;
            break;
        case 2:
            vma.end = field.value;
            break;
        case 3:
            vma.offset = field.value;
            break;
        case 4:
            vma.shmid = field.value;
            break;
        case 5:
            vma.prot = (uint32_t)field.value;
            break;
        case 6:
            vma.flags = (uint32_t)field.value;
            break;
        case 7:
            vma.status = (uint32_t)field.value;
            break;
        case 10:
            vma.file_flags = (uint32_t)field.value;
            break;
        }
    }
    if (r < 0)
        return r;
    if (vma.start >= vma.end || (vma.start | vma.end) % PAGEMAP_PAGE != 0)
        return -EBADMSG;
    *ret = vma;
    return 0;
}
