/* untracked.c - the mappings of mm-PID.img that are not premapped by CRIU. */
#include "image/untracked.h"

#include "common/cleanup.h"
#include "image/content.h"
#include "image/vma.h"

#include <errno.h>
#include <sys/mman.h>

#define MM_MAX (256u << 20) /* bytes; far above any real one */

/* Huge pages and what a plugin maps are not mapped before the restorer runs, which knows no parents
 * (criu/mem.c, premap_priv_vmas()); into AIO rings the kernel writes, CRIU never leaves them to a
 * parent either. */
static int note_mapping(struct untracked *untracked, struct pb message, uint64_t *last_end)
{
    struct untracked_range *more;
    struct vma vma;
    int r = vma_parse(message, &vma);

    if (r < 0 || vma.status & VMA_AREA_GUARD)
        return r;
    if (vma.start < *last_end)
        return -EBADMSG;
    *last_end = vma.end;
    if (!(vma.flags & MAP_HUGETLB) && !(vma.status & (VMA_AREA_AIORING | VMA_EXT_PLUGIN)))
        return 0;
    more = reallocarray(untracked->ranges, untracked->count + 1, sizeof(*more));
    if (!more)
        return -ENOMEM;
    untracked->ranges = more;
    more[untracked->count++] = (struct untracked_range){vma.start, vma.end};
    return 0;
}

int untracked_read(const struct image_dir *dir, const char *name, struct untracked *ret)
{
    _cleanup_(untracked_done) struct untracked untracked = {0};
    _cleanup_free_ char *data = NULL;
    struct pb records, message;
    struct pb_field field;
    uint64_t last_end = 0;
    size_t size;
    int r;

    r = content_read(dir, name, MM_MAX, &data, &size);
    if (r == 0)
        r = pb_image(data, size, &records);
    if (r < 0)
        return r;
    if (pb_next_record(&records, &message) <= 0)
        return -EBADMSG;
    while ((r = pb_next(&message, &field)) > 0) {
        if (field.number == MM_VMAS)
            r = note_mapping(&untracked, field.bytes, &last_end);
        if (r < 0)
            return r;
    }
    if (r < 0)
        return r;
    *ret = TAKE(untracked, (struct untracked){0});
    return 0;
}

void untracked_done(struct untracked *untracked)
{
    free(untracked->ranges);
    *untracked = (struct untracked){0};
}
