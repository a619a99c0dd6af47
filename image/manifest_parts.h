/* manifest_parts.h - what writing and reading a manifest have in common. */
#pragma once

#include "image/manifest.h"

/* The end of the file. MAC authenticates all before it; so this can be looked at before the rest is
 * parsed, and the whole is JSON all the same. */
#define TAIL_KEY  ",\n \"key\": \""
#define TAIL_MAC  "\",\n \"mac\": \""
#define TAIL_END  "\"\n}\n"
#define TAIL_SIZE (sizeof(TAIL_KEY TAIL_MAC TAIL_END) - 1 + KEYS_ID_SIZE - 1 + KEYS_MAC_SIZE - 1)

/* By enum files_mode. */
#define MANIFEST_FILES_WORDS (FILES_SNAPSHOT + 1)
extern const char *const manifest_files_words[MANIFEST_FILES_WORDS];
