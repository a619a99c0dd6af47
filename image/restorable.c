/* restorable.c - compares a manifest with this host, by stat(2) alone. */
#include "image/restorable.h"

#include "common/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

__attribute__((format(printf, 2, 3))) static int no(char **ret_why, const char *format, ...)
{
    va_list args;
    char *why;
    int n;

    va_start(args, format);
    n = vasprintf(&why, format, args);
    va_end(args);
    if (n < 0)
        return -ENOMEM;
    *ret_why = why;
    return NOT_RESTORABLE;
}

/* elf(5). Data files that are mapped (caches, databases) may be written to; code may not. */
static bool is_elf(const char *path)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    char magic[4];

    return fd >= 0 && read(fd, magic, sizeof(magic)) == (ssize_t)sizeof(magic) &&
           memcmp(magic, "\177ELF", sizeof(magic)) == 0;
}

/* The inode does not decide: an overlay gives new ones after a reboot, and a reinstalled package of
 * the same version has the old size and time. It only helps to say what happened. */
static int check_file(const struct manifest_file *file, char **ret_why)
{
    struct stat st;
    int64_t mtime;

    if (stat(file->path, &st) < 0)
        return no(ret_why, "%s is gone: %s", file->path, strerror(errno));
    if (file->append)
        return 0;
    if ((uint64_t)st.st_size != file->size)
        return no(ret_why, "%s has %llu bytes now, the image needs %llu", file->path,
                  (unsigned long long)st.st_size, (unsigned long long)file->size);
    mtime = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
    if (file->mapped && mtime != file->mtime_nsec && is_elf(file->path))
        return no(ret_why, "%s was %s since", file->path,
                  st.st_ino != file->inode ? "replaced" : "changed");
    return 0;
}

int restorable_files(const struct manifest *manifest, char **ret_why)
{
    for (size_t i = 0; i < manifest->file_count; i++) {
        int r = check_file(&manifest->files[i], ret_why);

        if (r != 0)
            return r;
    }
    return 0;
}

int restorable_host(const struct manifest *manifest, const struct host *host, unsigned criu_version,
                    char **ret_why)
{
    unsigned image = manifest->criu_version, ours = criu_version;
    _cleanup_free_ char *feature = NULL;
    int r;

    if (strcmp(manifest->machine, host->machine) != 0)
        return no(ret_why, "it was made on %s, this machine is %s", manifest->machine,
                  host->machine);
    if (ours && image > ours)
        return no(ret_why, "it was made by CRIU %u.%u.%u, this host has %u.%u.%u", image / 10000,
                  image / 100 % 100, image % 100, ours / 10000, ours / 100 % 100, ours % 100);
    r = host_compare_cpu(manifest->cpu, host->cpu, &feature);
    if (r == HOST_LACKS)
        return no(ret_why, "this machine's processor lacks %s, which the program may use", feature);
    return r;
}

int restorable_images(int image_fd, const struct manifest *manifest, char **ret_why)
{
    for (size_t i = 0; i < manifest->image_count; i++) {
        const struct manifest_image *image = &manifest->images[i];
        struct stat st;

        if (fstatat(image_fd, image->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            return errno != ENOENT ? -errno : no(ret_why, "its file %s is gone", image->name);
        if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != image->size)
            return no(ret_why, "its file %s has %llu bytes instead of %llu", image->name,
                      (unsigned long long)st.st_size, (unsigned long long)image->size);
    }
    return 0;
}
