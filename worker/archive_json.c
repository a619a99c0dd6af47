/* archive_json.c - see archive_json.h. */
#include "worker/archive_json.h"

#include "image/checkpoint.h"

#include <jansson.h>

static char *text_of(json_t *value)
{
    char *text = value ? json_dumps(value, JSON_COMPACT) : NULL;

    json_decref(value);
    return text;
}

char *archive_json_config(const struct manifest *manifest)
{
    char id[CHECKPOINT_ID_SIZE], time[RFC3339_SIZE];

    checkpoint_id_format(manifest->service, manifest->number, id);
    format_rfc3339(manifest->time_realtime, time);
    return text_of(json_pack("{s:s, s:s, s:s, s:s, s:s}", "id", id, "name", manifest->service,
                             "runtime", "perdure", "createdTime", time, "checkpointedTime", time));
}

/* internal/container.go, getContainerInfo(): the name of what no engine it knows has made comes
 * from this annotation. */
char *archive_json_spec(const struct manifest *manifest)
{
    char id[CHECKPOINT_ID_SIZE];

    checkpoint_id_format(manifest->service, manifest->number, id);
    return text_of(json_pack("{s:s, s:{s:s, s:s, s:s, s:s}}", "ociVersion", "1.0.0", "annotations",
                             "io.container.manager", "perdure", "io.kubernetes.cri.container-name",
                             manifest->service, "org.perdure.id", id, "org.perdure.host",
                             manifest->host));
}

char *archive_json_result(const char *id, uint64_t bytes)
{
    return text_of(
        json_pack("{s:i, s:s, s:I}", "version", 1, "id", id, "bytes", (json_int_t)bytes));
}

char *archive_json_imported(const char *id, uint64_t bytes, const uint32_t *uids, size_t count)
{
    json_t *array = json_array();

    for (size_t i = 0; i < count; i++)
        if (json_array_append_new(array, json_integer(uids[i])) < 0) {
            json_decref(array);
            return NULL;
        }
    return text_of(json_pack("{s:i, s:s, s:I, s:o}", "version", 1, "id", id, "bytes",
                             (json_int_t)bytes, "uids", array));
}
