/* shared.h - the page that a program under test shares with its test: what it counts, and what the
 * test asks.
 *
 * The count lives in private memory and is only copied to the page. The page is a file, so it is
 * not rolled back by a restore: a program that finds another count there than its own was restored,
 * or is one of two copies. One break per restore is right; two copies make thousands. */
#pragma once

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* Fixed layout; tests/flow/programs.py reads it. Times are CLOCK_REALTIME: CRIU gives a restored
 * task a time namespace, in which the other clocks are shifted. */
struct shared {
    uint64_t beats;      /* copy of the private count */
    uint64_t starts;     /* cold starts */
    uint64_t breaks;     /* how often `beats` was not our own */
    uint64_t resumed_at; /* private count at the last break */
    uint64_t bad_pages;  /* of the private memory, checked after each break */
    uint64_t sequence;   /* of linewriter: lives here alone */
    uint64_t ask;        /* the test's number ... */
    uint64_t answer;     /* ... repeated by the first beat that sees it, ... */
    uint64_t answer_ns;  /* ... at this time */
    uint64_t pid;
};

struct share {
    volatile struct shared *page;
    uint64_t own;
};

static inline uint64_t realtime_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static inline void die(const char *what)
{
    perror(what);
    exit(1);
}

static inline void share_open(struct share *s, const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0 || ftruncate(fd, 4096) < 0)
        die(path);
    s->page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (s->page == MAP_FAILED)
        die("mmap");
    close(fd);
    s->own = 0;
    s->page->beats = 0;
    s->page->pid = (uint64_t)getpid();
    s->page->starts++;
}

/* Counts one; true when the count was not ours, that is after a restore. */
static inline int share_beat(struct share *s)
{
    volatile struct shared *page = s->page;
    int broken = page->beats != s->own;

    if (page->answer != page->ask) {
        page->answer_ns = realtime_ns();
        page->answer = page->ask;
    }
    if (broken) {
        page->resumed_at = s->own;
        page->breaks++;
    }
    page->beats = ++s->own;
    return broken;
}

static inline void pause_usec(unsigned usec)
{
    struct timespec t = {usec / 1000000, (long)(usec % 1000000) * 1000};
    nanosleep(&t, NULL);
}
