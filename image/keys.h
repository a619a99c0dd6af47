/* keys.h - the store's secrets: what authenticates a manifest and encrypts an image (libsodium).
 *
 * The key file has one line per key, "ID HEX" (ID: 8 hex digits, HEX: 32 bytes), the newest last;
 * the newest seals and encrypts, all of them open. Sub-keys come out of each by crypto_kdf(3), one
 * for manifests, one for files. Rotation appends a line: old images are not written again. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KEYS_ID_SIZE  9  /* 8 hex digits, NUL */
#define KEYS_MAC_SIZE 65 /* 32 bytes in hex, NUL */

struct keys;

/* Reads the key file, which must be a regular file of root (or of our own uid) with no rights for
 * others: -EPERM when not. -ENOENT: there is none. -EBADMSG: not a key file. */
int keys_read(const char *path, struct keys **ret);

/* The same, but makes a file with one new key, durably, when there is none, and removes what a
 * rotation that was killed has left: for the one daemon that owns the file. */
int keys_read_or_make(const char *path, struct keys **ret);

/* Appends a new key, durably; what runs goes on with the keys it has read. */
int keys_rotate(const char *path, char ret_id[KEYS_ID_SIZE]);

struct keys *keys_free(struct keys *keys);

/* Id of the key that seals now. */
const char *keys_current(const struct keys *keys);

/* Authenticates `data` with the key `id`. -ENOKEY: there is no such key. */
int keys_sign(const struct keys *keys, const char *id, const void *data, size_t size,
              char ret_mac[KEYS_MAC_SIZE]);

/* 0: it is what keys_sign() gave. -EKEYREJECTED: it is not. -ENOKEY. Constant time. */
int keys_verify(const struct keys *keys, const char *id, const void *data, size_t size,
                const char *mac);

/* ---- encryption, one record at a time (XChaCha20-Poly1305 secretstream); crypt.h makes files of
 * it. Records cannot be left out, repeated or put in another order. ---- */

#define KEYS_STREAM_HEADER 24
#define KEYS_STREAM_EXTRA  17 /* bytes that a record grows by */

struct keys_stream;

/* Begins to encrypt with the key that seals now, or to decrypt what began with this header.
 * -ENOKEY. */
int keys_stream_encrypt(const struct keys *keys, uint8_t ret_header[KEYS_STREAM_HEADER],
                        struct keys_stream **ret);
int keys_stream_decrypt(const struct keys *keys, const char *id,
                        const uint8_t header[KEYS_STREAM_HEADER], struct keys_stream **ret);
struct keys_stream *keys_stream_free(struct keys_stream *stream);

/* Encrypts a record of `size` bytes into `ret`, which has room for KEYS_STREAM_EXTRA more. `about`
 * is authenticated with it, but not in it. Nothing can follow the last. */
int keys_stream_push(struct keys_stream *stream, const void *data, size_t size, const void *about,
                     size_t about_size, bool last, void *ret);

/* Decrypts a record of `size` bytes, at least KEYS_STREAM_EXTRA, into `ret`. -EKEYREJECTED: it is
 * not what was pushed at this place. */
int keys_stream_pull(struct keys_stream *stream, const void *data, size_t size, const void *about,
                     size_t about_size, void *ret, bool *ret_last);
