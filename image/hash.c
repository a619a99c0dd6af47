/* hash.c - SHA-256 through OpenSSL's EVP interface (EVP_DigestInit(3)), loaded when first needed.
 */
#include "image/hash.h"

#include "common/cleanup.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>

#define BLOCK       (1 << 20)
#define DIGEST_SIZE 32

/* The ABI of libcrypto 3 and 1.1, which this part of EVP shares; all types are opaque. */
struct crypto {
    void *(*ctx_new)(void);
    void (*ctx_free)(void *ctx);
    const void *(*sha256)(void);
    int (*init)(void *ctx, const void *type, void *engine);
    int (*update)(void *ctx, const void *data, size_t size);
    int (*final)(void *ctx, unsigned char *digest, unsigned *size);
};

static const struct crypto *crypto(void)
{
    static struct crypto loaded;
    static bool tried, usable;
    void *lib;

    if (tried)
        return usable ? &loaded : NULL;
    tried = true;
    lib = dlopen("libcrypto.so.3", RTLD_NOW | RTLD_LOCAL);
    if (!lib)
        lib = dlopen("libcrypto.so.1.1", RTLD_NOW | RTLD_LOCAL);
    if (!lib)
        return NULL;
    *(void **)&loaded.ctx_new = dlsym(lib, "EVP_MD_CTX_new");
    *(void **)&loaded.ctx_free = dlsym(lib, "EVP_MD_CTX_free");
    *(void **)&loaded.sha256 = dlsym(lib, "EVP_sha256");
    *(void **)&loaded.init = dlsym(lib, "EVP_DigestInit_ex");
    *(void **)&loaded.update = dlsym(lib, "EVP_DigestUpdate");
    *(void **)&loaded.final = dlsym(lib, "EVP_DigestFinal_ex");
    usable = loaded.ctx_new && loaded.ctx_free && loaded.sha256 && loaded.init && loaded.update &&
             loaded.final;
    return usable ? &loaded : NULL;
}

struct listener {
    void (*tell)(uint64_t bytes, void *data); /* NULL: nobody listens */
    void *data;
};

static int digest_fd(const struct crypto *c, void *ctx, int fd, const struct listener *listener,
                     unsigned char digest[DIGEST_SIZE])
{
    _cleanup_free_ char *block = malloc(BLOCK);
    unsigned size = DIGEST_SIZE;
    ssize_t n;

    if (!block)
        return -ENOMEM;
    if (c->init(ctx, c->sha256(), NULL) != 1)
        return -ENOSYS;
    while ((n = read(fd, block, BLOCK)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (c->update(ctx, block, (size_t)n) != 1)
            return -ENOSYS;
        if (listener->tell)
            listener->tell((uint64_t)n, listener->data);
    }
    return c->final(ctx, digest, &size) == 1 ? 0 : -ENOSYS;
}

int hash_file(int dirfd, const char *name, char ret_hex[HASH_HEX + 1])
{
    return hash_file_telling(dirfd, name, NULL, NULL, ret_hex);
}

int hash_file_telling(int dirfd, const char *name, void (*tell)(uint64_t bytes, void *data),
                      void *data, char ret_hex[HASH_HEX + 1])
{
    static const char digits[] = "0123456789abcdef";
    const struct crypto *c = crypto();
    unsigned char digest[DIGEST_SIZE];
    _cleanup_close_ int fd = -1;
    void *ctx;
    int r;

    if (!c)
        return -ENOSYS;
    fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return -errno;
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    ctx = c->ctx_new();
    if (!ctx)
        return -ENOMEM;
    r = digest_fd(c, ctx, fd, &(struct listener){tell, data}, digest);
    c->ctx_free(ctx);
    if (r < 0)
        return r;
    for (size_t i = 0; i < DIGEST_SIZE; i++) {
        ret_hex[2 * i] = digits[digest[i] >> 4];
        ret_hex[2 * i + 1] = digits[digest[i] & 15];
    }
    ret_hex[HASH_HEX] = '\0';
    return 0;
}
