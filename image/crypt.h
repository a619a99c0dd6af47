/* crypt.h - encryption on the way: the form of an encrypted file, with what keys.h does to a
 * record.
 *
 * The file: "PERDENC1", id of the key (8), size of what CRIU reads (8, little-endian), header of
 * the secretstream (24); then records: length (4, little-endian), and as many encrypted bytes.
 * Inside a record is its kind (1): data, or a run of zeros as its length (8), so that these cost
 * nothing. The last record is empty and marked as the last. All before the records is authenticated
 * with each. */
#pragma once

#include "image/keys.h"
#include "image/stream.h"

#define CRYPT_BEGINNING 48

/* A sink that pushes on to `to`, encrypted with the key that seals now. `plain_size` is noted down
 * only: of the file before it was compressed. -ENOKEY when there are no keys. */
int crypt_encrypt(const struct keys *keys, uint64_t plain_size, struct sink *to, struct sink **ret);

/* A sink that takes such a file and pushes on what was in it. -EBADMSG: it is no such file, cut
 * off, or followed by something; -EKEYREJECTED: it is changed; -ENOKEY. */
int crypt_decrypt(const struct keys *keys, struct sink *to, struct sink **ret);

struct sink *crypt_free(struct sink *sink);

/* The size noted down, not authenticated. -EBADMSG: no such file. */
int crypt_plain_size(const void *data, size_t size, uint64_t *ret_size);
