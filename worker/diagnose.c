/* diagnose.c - turns criu's end and its log into a reason. */
#include "worker/diagnose.h"

#include "common/cleanup.h"
#include "common/fs.h"
#include "worker/criu_log.h"
#include "worker/explain.h"

#include <errno.h>
#include <string.h>

#define LOG_MAX        (128u << 20)
#define LINE_MAX_BYTES 256

bool diagnose(const struct criu_run *run, const struct criu_result *result, struct reason *reason)
{
    _cleanup_free_ char *log = NULL;
    char error[LINE_MAX_BYTES];

    if (result->error == -ETIME) {
        reason_set(reason, explain(result->why), "%s", result->why);
        return true;
    }
    if (fs_read(run->work_fd, run->log_name, LOG_MAX, &log, NULL) == 0 &&
        criu_log_first_error(log, error, sizeof(error))) {
        reason_set(reason, explain(error), "%s", error);
        return true;
    }
    if (result->error == -ECONNREFUSED)
        reason_set(reason, explain("Can't exec criu swrk"), "%s cannot be run", run->binary);
    else if (result->error == -ECOMM)
        reason_set(reason, "see who killed it (dmesg: out of memory?); the next try is a new one",
                   "criu ended in the middle of its work");
    else
        reason_set(reason, explain(""), "criu failed without a reason: %s",
                   strerror(-result->error));
    return false;
}
