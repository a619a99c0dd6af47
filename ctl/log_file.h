/* log_file.h - reads the end of a log that another process appends to, and what comes after it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct log_file {
    char *path;
    int fd;          /* -1: the file is not there yet */
    ino_t inode;     /* of fd */
    uint64_t offset; /* what was read up to here */
    int watch_fd;    /* inotify: the file's folder, so that replacing is seen, too; -1 none */
};

/* Takes what was read; bytes are borrowed. <0 stops and is passed up. */
typedef int (*log_file_sink_t)(void *userdata, const char *bytes, size_t size);

/* Opens it; a file that is missing is fine if `may_be_missing`. */
int log_file_open(struct log_file *log, const char *path, bool may_be_missing);
void log_file_done(struct log_file *log);

/* Moves to where the last `lines` lines begin; an unfinished last line counts as one. */
int log_file_seek_last(struct log_file *log, unsigned lines);

/* Hands on everything from the offset to the present end. */
int log_file_drain(struct log_file *log, log_file_sink_t sink, void *userdata);

/* From now on log_file_wait() knows of every change. Call before draining. */
int log_file_watch(struct log_file *log);

/* Sleeps until the file changed, drains, and follows it when it was cut or replaced. */
int log_file_wait(struct log_file *log, log_file_sink_t sink, void *userdata);
