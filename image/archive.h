/* archive.h - a checkpoint as one file: a tar (pax) under zstd.
 *
 *   manifest.json            first; its hashes are those of the files that follow
 *   config.dump, spec.dump   what checkpointctl asks of a container, see worker/archive_json.c
 *   stats-dump, ...          files of the checkpoint that CRIU does not restore from
 *   checkpoint/NAME.img      a full image, plain, as `criu restore -D` takes it
 *
 * An archive may come from anywhere. Only regular files with names of this list are taken out of
 * it, each once; what they hold is not looked at here. */
#pragma once

#include "common/reason.h"
#include "image/stream.h"

#include <stdbool.h>
#include <stdint.h>

#define ARCHIVE_CONFIG "config.dump"
#define ARCHIVE_SPEC   "spec.dump"

#define ARCHIVE_NAME_MAX 128
#define ARCHIVE_FILE_MAX (1ULL << 44) /* bytes of one file: more is a lie */

/* CRIU writes and reads files of this name: "core-12.img". */
bool archive_name_is_image(const char *name);

/* May stand beside the images: no folder, nothing hidden, nothing that CRIU would open by itself.
 */
bool archive_name_is_other(const char *name);

/* A name of any bytes as a short word without blanks, for a message. */
#define ARCHIVE_SHOWN 64
const char *archive_name_show(const char *name, char ret[ARCHIVE_SHOWN]);

/* ---- writing ---- */

struct archive_out;

/* Writes to `fd`, a file or a pipe; compresses with zstd at `level`. Files get the time
 * `time_realtime` (usec), so that equal checkpoints make equal archives. */
int archive_out_new(int fd, int level, uint64_t time_realtime, struct archive_out **ret);

/* Hears how many bytes of content were done since it was called last; may be NULL. */
typedef void (*archive_tell_t)(uint64_t bytes, void *data);

/* Appends the file `name` of the folder `dirfd`. The first one has to be the manifest; images go
 * behind everything else. -EINVAL: no checkpoint has a file of that name. -EBADMSG: it changes its
 * size meanwhile, or is no plain file. */
int archive_out_add(struct archive_out *out, int dirfd, const char *name, archive_tell_t tell,
                    void *data);

/* The end; without it the archive is none. */
int archive_out_finish(struct archive_out *out, uint64_t *ret_bytes);

struct archive_out *archive_out_free(struct archive_out *out);

/* ---- reading ---- */

struct archive_in;

/* Reads from `fd`, which may be a pipe; an uncompressed tar will do, too. */
int archive_in_new(int fd, struct archive_in **ret);

/* Goes to the next file. ARCHIVE_IN_FILE: its name, without folder, is valid until the next call.
 * 0: the end. -EBADMSG: what comes next must not be in an archive; `reason` says what it is. The
 * first file is the manifest, and no other one is. */
enum { ARCHIVE_IN_FILE = 1 };
int archive_in_next(struct archive_in *in, const char **ret_name, uint64_t *ret_size,
                    struct reason *reason);

/* Pushes the content of that file and finishes the sink. */
int archive_in_copy(struct archive_in *in, struct sink *to, archive_tell_t tell, void *data,
                    struct reason *reason);

struct archive_in *archive_in_free(struct archive_in *in);
