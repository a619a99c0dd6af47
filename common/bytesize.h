/* bytesize.h - sizes as people write them, base 1024 as in systemd.exec(5): "64M", "1.5G", "512".
 */
#pragma once

#include <stdint.h>

/* Suffixes B K M G T P E, none is bytes. -EINVAL when it is no size, -ERANGE when it does not fit.
 */
int bytesize_parse(const char *text, uint64_t *ret_bytes);

/* "64M", "1.5G", "812B"; one digit after the point, cut. Writes at most BYTESIZE_SIZE bytes,
 * returns buf. */
#define BYTESIZE_SIZE 48
char *bytesize_format(uint64_t bytes, char buf[BYTESIZE_SIZE]);
