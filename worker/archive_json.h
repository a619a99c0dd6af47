/* archive_json.h - the JSON around an archive: what checkpointctl asks for, and what export, import
 * and unpack report. All are new strings, NULL when out of memory. */
#pragma once

#include "image/manifest.h"

/* config.dump and spec.dump as in checkpointctl's lib/metadata.go (ContainerConfig, Spec). A
 * service is no container: it has no image, and no engine that checkpointctl knows made it. */
char *archive_json_config(const struct manifest *manifest);
char *archive_json_spec(const struct manifest *manifest);

/* {"version":1,"id":ID,"bytes":N} */
char *archive_json_result(const char *id, uint64_t bytes);

/* The same with "uids":[...]. */
char *archive_json_imported(const char *id, uint64_t bytes, const uint32_t *uids, size_t count);
