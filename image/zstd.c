/* zstd.c - libzstd as sinks that compress and decompress. */
#include "image/zstd.h"

#include "common/cleanup.h"

#include <errno.h>
#include <stdbool.h>
#include <unistd.h>
#include <zstd.h>
#include <zstd_errors.h>

#define ROOM        (128 * 1024)
#define THREADS_PAY (8 << 20) /* below, starting threads costs more than they bring */
#define THREADS_MAX 4         /* memory grows with each; it is work for the background */

struct coder {
    struct sink sink;
    struct sink *to;
    ZSTD_CCtx *compress;
    ZSTD_DCtx *decompress;
    bool whole; /* the frame has ended */
    uint8_t room[ROOM];
};

struct sink *zstd_free(struct sink *sink)
{
    struct coder *coder = (struct coder *)sink;

    if (!coder)
        return NULL;
    ZSTD_freeCCtx(coder->compress);
    ZSTD_freeDCtx(coder->decompress);
    free(coder);
    return NULL;
}

/* ---- compress ---- */

static int compress_some(struct coder *coder, ZSTD_inBuffer *in, ZSTD_EndDirective how)
{
    for (;;) {
        ZSTD_outBuffer out = {coder->room, sizeof(coder->room), 0};
        size_t left = ZSTD_compressStream2(coder->compress, &out, in, how);
        int r;

        if (ZSTD_isError(left))
            return ZSTD_getErrorCode(left) == ZSTD_error_memory_allocation ? -ENOMEM : -EBADMSG;
        r = out.pos > 0 ? coder->to->write(coder->to, coder->room, out.pos) : 0;
        if (r < 0)
            return r;
        if (how == ZSTD_e_end ? left == 0 : in->pos == in->size)
            return 0;
    }
}

static int compress_write(struct sink *sink, const void *data, size_t size)
{
    return compress_some((struct coder *)sink, &(ZSTD_inBuffer){data, size, 0}, ZSTD_e_continue);
}

static int compress_finish(struct sink *sink)
{
    struct coder *coder = (struct coder *)sink;
    int r = compress_some(coder, &(ZSTD_inBuffer){NULL, 0, 0}, ZSTD_e_end);

    return r < 0 ? r : coder->to->finish(coder->to);
}

static int threads_for(uint64_t size)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    int most = ZSTD_cParam_getBounds(ZSTD_c_nbWorkers).upperBound; /* 0: built without threads */

    if (size < THREADS_PAY || cpus < 2 || most < 1)
        return 0;
    if (most > THREADS_MAX)
        most = THREADS_MAX;
    return cpus < most ? (int)cpus : most;
}

int zstd_compress(uint32_t level, uint64_t size, struct sink *to, struct sink **ret)
{
    struct coder *coder = calloc(1, sizeof(*coder));
    ZSTD_CCtx *ctx = ZSTD_createCCtx();

    if (!coder || !ctx) {
        free(coder);
        ZSTD_freeCCtx(ctx);
        return -ENOMEM;
    }
    coder->compress = ctx;
    coder->to = to;
    coder->sink = (struct sink){compress_write, stream_write_zeros, compress_finish};
    if (ZSTD_isError(ZSTD_CCtx_setParameter(ctx, ZSTD_c_compressionLevel, (int)level)) ||
        ZSTD_isError(ZSTD_CCtx_setParameter(ctx, ZSTD_c_checksumFlag, 1)) ||
        ZSTD_isError(ZSTD_CCtx_setParameter(ctx, ZSTD_c_nbWorkers, threads_for(size))) ||
        ZSTD_isError(ZSTD_CCtx_setPledgedSrcSize(ctx, size))) {
        zstd_free(&coder->sink);
        return -EINVAL;
    }
    *ret = &coder->sink;
    return 0;
}

/* ---- decompress ---- */

static int decompress_write(struct sink *sink, const void *data, size_t size)
{
    struct coder *coder = (struct coder *)sink;
    ZSTD_inBuffer in = {data, size, 0};
    bool more = false; /* the last call has filled the room: there may be more inside */

    while (in.pos < in.size || more) {
        ZSTD_outBuffer out = {coder->room, sizeof(coder->room), 0};
        size_t left;
        int r;

        if (coder->whole)
            return -EBADMSG;
        left = ZSTD_decompressStream(coder->decompress, &out, &in);
        if (ZSTD_isError(left))
            return ZSTD_getErrorCode(left) == ZSTD_error_memory_allocation ? -ENOMEM : -EBADMSG;
        coder->whole = left == 0;
        more = !coder->whole && out.pos == out.size;
        r = out.pos > 0 ? coder->to->write(coder->to, coder->room, out.pos) : 0;
        if (r < 0)
            return r;
    }
    return 0;
}

static int decompress_finish(struct sink *sink)
{
    struct coder *coder = (struct coder *)sink;

    return coder->whole ? coder->to->finish(coder->to) : -EBADMSG;
}

int zstd_decompress(struct sink *to, struct sink **ret)
{
    struct coder *coder = calloc(1, sizeof(*coder));

    if (!coder)
        return -ENOMEM;
    coder->decompress = ZSTD_createDCtx();
    if (!coder->decompress) {
        free(coder);
        return -ENOMEM;
    }
    coder->to = to;
    coder->sink = (struct sink){decompress_write, stream_write_zeros, decompress_finish};
    *ret = &coder->sink;
    return 0;
}

int zstd_content_size(const void *data, size_t size, uint64_t *ret_size)
{
    unsigned long long content = ZSTD_getFrameContentSize(data, size);

    if (content == ZSTD_CONTENTSIZE_UNKNOWN || content == ZSTD_CONTENTSIZE_ERROR)
        return -EBADMSG;
    *ret_size = content;
    return 0;
}
