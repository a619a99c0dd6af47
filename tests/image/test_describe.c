/* test_describe.c - a tree of two processes in images made by hand: what is told of it, what
 * changed in a second one, and that no damage does more than make it an error. */
#include "image/compare.h"

#include "common/cleanup.h"
#include "tests/image/folder.h"
#include "tests/image/pb_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cmocka.h>

#define PAGEMAP_MAGIC 0x56084025u
#define ANY_MAGIC     0x12345678u
#define PAGE          4096u
#define HEAP          0x10000u
#define TEXT          0x400000u
#define SHARED        0x500000u
#define STACK         0x7ff0000u

/* criu/include/image.h */
enum { REGULAR = 1, IS_HEAP = 1 << 5, PRIVATE = 1 << 6, ANON_PRIVATE = 1 << 9, MEMFD = 1 << 14 };

static void save(int fd, const char *name, const struct buffer *b)
{
    folder_put(fd, name, b->bytes, b->size);
}

/* ---- processes ---- */

static void put_task(struct buffer *file, unsigned pid, unsigned ppid, unsigned threads)
{
    struct buffer entry = {0};

    put_number(&entry, 1, pid);
    put_number(&entry, 2, ppid);
    put_number(&entry, 3, pid);
    put_number(&entry, 4, 10);
    for (unsigned i = 0; i < threads; i++)
        put_number(&entry, 5, pid + i);
    put_record(file, &entry);
}

static void save_core(int fd, unsigned pid, const char *comm, unsigned state, unsigned uid)
{
    struct buffer b = {0}, core = {0}, tc = {0}, thread = {0}, creds = {0};
    char name[32];

    put_number(&tc, 1, state);
    put_text(&tc, 6, comm);
    put_number(&creds, 1, 0);
    put_number(&creds, 3, uid);
    put_number(&creds, 4, uid + 1);
    put_message(&thread, 10, &creds);
    put_number(&core, 1, 1);
    put_message(&core, 3, &tc);
    put_message(&core, 5, &thread);
    put_head(&b, ANY_MAGIC);
    put_record(&b, &core);
    snprintf(name, sizeof(name), "core-%u.img", pid);
    save(fd, name, &b);
}

static void save_ids(int fd, unsigned pid, unsigned files)
{
    struct buffer b = {0}, ids = {0};
    char name[32];

    put_number(&ids, 1, 1);
    put_number(&ids, 2, files);
    put_head(&b, ANY_MAGIC);
    put_record(&b, &ids);
    snprintf(name, sizeof(name), "ids-%u.img", pid);
    save(fd, name, &b);
}

/* ---- memory ---- */

static void put_vma(struct buffer *mm, uint64_t start, unsigned pages, uint64_t shmid,
                    unsigned prot, unsigned flags, unsigned status)
{
    struct buffer vma = {0};

    put_number(&vma, 1, start);
    put_number(&vma, 2, start + pages * PAGE);
    put_number(&vma, 3, 0);
    put_number(&vma, 4, shmid);
    put_number(&vma, 5, prot);
    put_number(&vma, 6, flags);
    put_number(&vma, 7, REGULAR | status);
    put_message(mm, 14, &vma);
}

static void save_memory(int fd)
{
    struct buffer b = {0}, mm = {0};

    put_number(&mm, 5, STACK + PAGE);
    put_vma(&mm, STACK, 4, 0, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, ANON_PRIVATE);
    put_vma(&mm, HEAP, 8, 0, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
            ANON_PRIVATE | IS_HEAP);
    put_vma(&mm, TEXT, 2, 1, PROT_READ | PROT_EXEC, MAP_PRIVATE, PRIVATE);
    put_vma(&mm, SHARED, 4, 9, PROT_READ | PROT_WRITE, MAP_SHARED, PRIVATE << 1 | MEMFD);
    put_head(&b, ANY_MAGIC);
    put_record(&b, &mm);
    save(fd, "mm-10.img", &b);
}

static void put_pages(struct buffer *file, uint64_t address, unsigned pages, unsigned flags)
{
    struct buffer entry = {0};

    put_number(&entry, 1, address);
    put_number(&entry, 2, pages);
    put_number(&entry, 4, flags);
    put_record(file, &entry);
}

static void put_pagemap_head(struct buffer *b, unsigned id)
{
    struct buffer head = {0};

    put_number(&head, 1, id);
    put_head(b, PAGEMAP_MAGIC);
    put_record(b, &head);
}

/* Pages filled with a byte each. */
static void save_pages(int fd, const char *name, const char *fill)
{
    char data[16 * PAGE];
    size_t n = strlen(fill);

    assert_true(n <= 16);
    for (size_t i = 0; i < n; i++)
        memset(data + i * PAGE, fill[i], PAGE);
    folder_put(fd, name, data, n * PAGE);
}

/* ---- what is open ---- */

static void put_entry(struct buffer *file, unsigned type, unsigned id, unsigned field,
                      const struct buffer *what)
{
    struct buffer entry = {0};

    put_number(&entry, 1, type);
    put_number(&entry, 2, id);
    put_message(&entry, field, what);
    put_record(file, &entry);
}

static void put_reg(struct buffer *file, unsigned id, const char *name, unsigned flags,
                    uint64_t offset)
{
    struct buffer reg = {0};

    put_number(&reg, 1, id);
    put_number(&reg, 2, flags);
    put_number(&reg, 3, offset);
    put_text(&reg, 6, name);
    put_number(&reg, 8, 5000);
    put_number(&reg, 10, S_IFREG | 0644);
    put_entry(file, 1, id, 3, &reg);
}

static void put_tcp(struct buffer *file, unsigned id, unsigned state)
{
    struct buffer sk = {0};

    put_number(&sk, 1, id);
    put_number(&sk, 2, 777);
    put_number(&sk, 3, AF_INET);
    put_number(&sk, 4, SOCK_STREAM);
    put_number(&sk, 5, 6);
    put_number(&sk, 6, state);
    put_number(&sk, 7, 6379);
    put_number(&sk, 8, state == 1 ? 40000 : 0);
    put_number(&sk, 11, 0x0100007f);
    put_number(&sk, 12, 0x0200000a);
    put_entry(file, 4, id, 4, &sk);
}

static void put_unix(struct buffer *file, unsigned id)
{
    struct buffer sk = {0};

    put_number(&sk, 2, 778);
    put_number(&sk, 3, SOCK_DGRAM);
    put_number(&sk, 4, 7);
    put_bytes(&sk, 11, "\0notify", 7);
    put_entry(file, 5, id, 16, &sk);
}

static void put_pipe(struct buffer *file, unsigned id, unsigned flags)
{
    struct buffer pipe = {0};

    put_number(&pipe, 1, id);
    put_number(&pipe, 2, 555);
    put_number(&pipe, 3, flags);
    put_entry(file, 2, id, 18, &pipe);
}

static void put_memfd(struct buffer *file, unsigned id)
{
    struct buffer memfd = {0};

    put_number(&memfd, 1, id);
    put_number(&memfd, 2, O_RDWR);
    put_number(&memfd, 5, 3);
    put_entry(file, 18, id, 20, &memfd);
}

static void save_memfd_inode(int fd)
{
    struct buffer b = {0}, inode = {0};

    put_text(&inode, 1, "cache");
    put_number(&inode, 4, 4 * PAGE);
    put_number(&inode, 5, 4242);
    put_number(&inode, 7, 3);
    put_head(&b, ANY_MAGIC);
    put_record(&b, &inode);
    save(fd, "memfd.img", &b);
}

static void put_fd(struct buffer *file, unsigned id, unsigned fd)
{
    struct buffer entry = {0};

    put_number(&entry, 1, id);
    put_number(&entry, 2, 0);
    put_number(&entry, 3, 1);
    put_number(&entry, 4, fd);
    put_record(file, &entry);
}

struct variant {
    uint64_t log_offset;
    unsigned tcp_state;
    const char *heap, *cache; /* one letter a page */
    bool extra_file, zombie;
};

static const struct variant first = {100, 10, "abcd", "xy", false, true};

static void save_open(int fd, const struct variant *v)
{
    struct buffer files = {0}, fds = {0};

    put_head(&files, ANY_MAGIC);
    put_reg(&files, 1, "usr/bin/x", O_RDONLY, 0);
    put_tcp(&files, 4, v->tcp_state);
    put_reg(&files, 2, "/var/log/x.log", O_WRONLY | O_APPEND, v->log_offset);
    put_unix(&files, 5);
    put_pipe(&files, 6, O_WRONLY);
    put_memfd(&files, 9);
    put_reg(&files, 11, "/tmp/extra", O_RDWR | O_NONBLOCK, 7);
    save(fd, "files.img", &files);
    put_head(&fds, ANY_MAGIC);
    put_fd(&fds, 6, 1);
    put_fd(&fds, 2, 3);
    put_fd(&fds, 4, 4);
    put_fd(&fds, 5, 5);
    put_fd(&fds, 9, 6);
    if (v->extra_file)
        put_fd(&fds, 11, 7);
    put_fd(&fds, 999, 8); /* of a kind that is kept elsewhere */
    save(fd, "fdinfo-2.img", &fds);
}

static int make_image(const char *name, const struct variant *v)
{
    struct buffer tree = {0}, own = {0}, shared = {0};
    int fd = folder_make(name);

    put_head(&tree, ANY_MAGIC);
    put_task(&tree, 10, 0, 3);
    if (v->zombie)
        put_task(&tree, 11, 10, 0);
    save(fd, "pstree.img", &tree);
    save_core(fd, 10, "server", 1, 33);
    save_core(fd, 11, "child", 6, 33);
    save_ids(fd, 10, 2);
    save_memory(fd);
    save_open(fd, v);
    save_memfd_inode(fd);
    put_pagemap_head(&own, 1);
    put_pages(&own, HEAP, (unsigned)strlen(v->heap), 4);
    save(fd, "pagemap-10.img", &own);
    save_pages(fd, "pages-1.img", v->heap);
    put_pagemap_head(&shared, 2);
    put_pages(&shared, PAGE, (unsigned)strlen(v->cache), 4);
    save(fd, "pagemap-shmem-4242.img", &shared);
    save_pages(fd, "pages-2.img", v->cache);
    return fd;
}

/* ---- what is told ---- */

static void test_processes(void **state)
{
    _cleanup_(description_done) struct description d = {0};
    _cleanup_close_ int fd = make_image("processes", &first);
    char name[64];

    assert_int_equal(describe(&(struct image_dir){.fd = fd}, &d, name), 0);
    assert_int_equal(d.process_count, 2);
    assert_int_equal(d.processes[0].pid, 10);
    assert_int_equal(d.processes[0].threads, 3);
    assert_int_equal(d.processes[0].uid, 33);
    assert_int_equal(d.processes[0].gid, 34);
    assert_string_equal(d.processes[0].comm, "server");
    assert_string_equal(d.processes[0].state, "running");
    assert_int_equal(d.processes[1].ppid, 10);
    assert_string_equal(d.processes[1].state, "zombie");
    assert_int_equal(d.processes[1].mapping_count, 0);
    assert_false(d.has_stats);
}

static void check_mapping(const struct mapping *m, uint64_t start, enum mapping_kind kind,
                          uint64_t pages, const char *path)
{
    assert_int_equal(m->start, start);
    assert_int_equal(m->kind, kind);
    assert_int_equal(m->pages, pages);
    assert_int_equal(m->stored, pages);
    if (path)
        assert_string_equal(m->path, path);
    else
        assert_null(m->path);
}

static void test_memory(void **state)
{
    _cleanup_(description_done) struct description d = {0};
    _cleanup_close_ int fd = make_image("memory", &first);
    const struct mapping *m;
    char name[64];

    assert_int_equal(describe(&(struct image_dir){.fd = fd}, &d, name), 0);
    m = d.processes[0].mappings;
    assert_int_equal(d.processes[0].mapping_count, 4);
    check_mapping(&m[0], HEAP, MAPPING_HEAP, 4, NULL);
    check_mapping(&m[1], TEXT, MAPPING_FILE, 0, "/usr/bin/x");
    check_mapping(&m[2], SHARED, MAPPING_MEMFD, 2, "cache");
    check_mapping(&m[3], STACK, MAPPING_STACK, 0, NULL);
    assert_int_equal(d.processes[0].pages, 4);
    assert_int_equal(d.segment_count, 1);
    assert_int_equal(d.pages, 6);
}

/* A delta has bytes for some pages only. */
static void test_pages_in_parent(void **state)
{
    _cleanup_(description_done) struct description d = {0};
    _cleanup_close_ int fd = make_image("delta", &first);
    struct buffer own = {0};
    char name[64];

    put_pagemap_head(&own, 1);
    put_pages(&own, HEAP, 3, 1);
    put_pages(&own, HEAP + 3 * PAGE, 1, 4);
    put_pages(&own, STACK, 2, 1);
    save(fd, "pagemap-10.img", &own);
    assert_int_equal(describe(&(struct image_dir){.fd = fd}, &d, name), 0);
    assert_int_equal(d.processes[0].mappings[0].pages, 4);
    assert_int_equal(d.processes[0].mappings[0].stored, 1);
    assert_int_equal(d.processes[0].mappings[3].pages, 2);
    assert_int_equal(d.processes[0].mappings[3].stored, 0);
    assert_int_equal(d.processes[0].stored, 1);
}

static const struct object *at(const struct description *d, size_t i, unsigned fd)
{
    assert_true(i < d->descriptor_count);
    assert_int_equal(d->descriptors[i].pid, 10);
    assert_int_equal(d->descriptors[i].fd, fd);
    return &d->objects[d->descriptors[i].object];
}

static void test_descriptors(void **state)
{
    _cleanup_(description_done) struct description d = {0};
    _cleanup_close_ int fd = make_image("descriptors", &first);
    const struct object *o;
    char name[64];

    assert_int_equal(describe(&(struct image_dir){.fd = fd}, &d, name), 0);
    assert_int_equal(d.descriptor_count, 5);
    o = at(&d, 0, 1);
    assert_int_equal(o->kind, OBJECT_PIPE);
    assert_int_equal(o->inode, 555);
    o = at(&d, 1, 3);
    assert_string_equal(o->path, "/var/log/x.log");
    assert_int_equal(o->offset, 100);
    assert_int_equal(o->size, 5000);
    assert_int_equal(o->flags, O_WRONLY | O_APPEND);
    o = at(&d, 2, 4);
    assert_string_equal(o->type, "tcp");
    assert_string_equal(o->state, "listen");
    assert_string_equal(o->local, "127.0.0.1:6379");
    assert_null(o->remote);
    o = at(&d, 3, 5);
    assert_string_equal(o->family, "unix");
    assert_string_equal(o->type, "dgram");
    assert_string_equal(o->path, "@notify");
    o = at(&d, 4, 6);
    assert_string_equal(o->type, "memfd");
    assert_string_equal(o->path, "cache");
    assert_int_equal(o->size, 4 * PAGE);
}

/* ---- what changed ---- */

static void open_side(struct side *side, const struct image_dir *dir)
{
    char name[64];

    *side = (struct side){.dirs = dir, .dir_count = 1};
    assert_int_equal(describe(dir, &side->description, name), 0);
}

static uint64_t told, told_total;

static void tell(uint64_t done, uint64_t total, void *data)
{
    assert_true(done >= told && done <= total);
    told = done;
    told_total = total;
}

static void test_compare_with_itself(void **state)
{
    _cleanup_close_ int fd = make_image("same", &first);
    const struct image_dir dir = {.fd = fd};
    struct comparison c = {0};
    struct side a, b;

    open_side(&a, &dir);
    open_side(&b, &dir);
    assert_int_equal(compare(&a, &b, NULL, &c), 0);
    assert_int_equal(c.pages[PAGE_SAME], 6);
    assert_int_equal(c.mapping_count + c.process_count + c.descriptor_count, 0);
    comparison_done(&c);
    description_done(&a.description);
    description_done(&b.description);
}

/* One page of the heap differs, one is new, one of the cache is gone; the zombie is gone, a log has
 * grown, a connection came, a file was opened. */
static void test_compare(void **state)
{
    _cleanup_close_ int one = make_image("one", &first);
    _cleanup_close_ int two =
        make_image("two", &(struct variant){150, 1, "abXde", "x", true, false});
    const struct image_dir first_dir = {.fd = one}, second_dir = {.fd = two};
    struct comparison c = {0};
    struct side a, b;

    open_side(&a, &first_dir);
    open_side(&b, &second_dir);
    told = told_total = 0;
    assert_int_equal(compare(&a, &b, &(struct compare_progress){tell, NULL}, &c), 0);
    assert_int_equal(told, 6);
    assert_int_equal(told_total, 6);
    assert_int_equal(c.pages[PAGE_SAME], 4);
    assert_int_equal(c.pages[PAGE_CHANGED], 1);
    assert_int_equal(c.pages[PAGE_ADDED], 1);
    assert_int_equal(c.pages[PAGE_GONE], 1);
    assert_int_equal(c.mapping_count, 2);
    assert_int_equal(c.mappings[0].mapping->start, HEAP);
    assert_int_equal(c.mappings[0].pages[PAGE_CHANGED], 1);
    assert_int_equal(c.mappings[0].pages[PAGE_ADDED], 1);
    assert_int_equal(c.mappings[1].mapping->start, SHARED);
    assert_int_equal(c.mappings[1].pages[PAGE_GONE], 1);
    assert_int_equal(c.process_count, 1);
    assert_int_equal(c.processes[0].presence, ONLY_FIRST);
    assert_int_equal(c.processes[0].first->pid, 11);
    assert_int_equal(c.descriptor_count, 4);
    assert_int_equal(c.descriptors[0].fd, 3);
    assert_int_equal(c.descriptors[0].presence, IN_BOTH);
    assert_int_equal(c.descriptors[0].second->offset, 150);
    assert_int_equal(c.descriptors[1].presence, ONLY_FIRST); /* another address: another socket */
    assert_int_equal(c.descriptors[2].presence, ONLY_SECOND);
    assert_string_equal(c.descriptors[2].second->remote, "10.0.0.2:40000");
    assert_int_equal(c.descriptors[3].fd, 7);
    assert_int_equal(c.descriptors[3].presence, ONLY_SECOND);
    comparison_done(&c);
    description_done(&a.description);
    description_done(&b.description);
}

/* ---- damage ---- */

static const char *const images[] = {"pstree.img", "core-10.img",    "ids-10.img",
                                     "mm-10.img",  "files.img",      "fdinfo-2.img",
                                     "memfd.img",  "pagemap-10.img", "pagemap-shmem-4242.img"};

static int try(int fd)
{
    _cleanup_(description_done) struct description d = {0};
    char name[64];

    return describe(&(struct image_dir){.fd = fd}, &d, name);
}

/* Sanitizers watch; what is still an image may be told. */
static void test_every_byte_flipped(void **state)
{
    _cleanup_close_ int fd = make_image("flipped", &first);

    for (size_t i = 0; i < ELEMENTS(images); i++) {
        size_t size;
        uint8_t *data = folder_get(fd, images[i], &size);

        for (size_t k = 0; k < size * 8; k++) {
            int r;

            data[k / 8] ^= (uint8_t)(1 << k % 8);
            folder_put(fd, images[i], data, size);
            r = try(fd);
            assert_true(r == 0 || r == -EBADMSG);
            data[k / 8] ^= (uint8_t)(1 << k % 8);
        }
        folder_put(fd, images[i], data, size);
        free(data);
    }
    assert_int_equal(try(fd), 0);
}

static void test_every_truncation(void **state)
{
    _cleanup_close_ int fd = make_image("cut", &first);

    for (size_t i = 0; i < ELEMENTS(images); i++) {
        size_t size;
        uint8_t *data = folder_get(fd, images[i], &size);

        for (size_t k = 0; k < size; k++) {
            int r;

            folder_put(fd, images[i], data, k);
            r = try(fd);
            assert_true(r == 0 || r == -EBADMSG);
        }
        folder_put(fd, images[i], data, size);
        free(data);
    }
}

static void test_names_the_damaged(void **state)
{
    _cleanup_(description_done) struct description d = {0};
    _cleanup_close_ int fd = make_image("named", &first);
    char name[64];

    folder_put(fd, "mm-10.img", "no image", 8);
    assert_int_equal(describe(&(struct image_dir){.fd = fd}, &d, name), -EBADMSG);
    assert_string_equal(name, "mm-10.img");
}

static void test_overlapping_mappings(void **state)
{
    _cleanup_close_ int fd = make_image("overlap", &first);
    struct buffer b = {0}, mm = {0};

    put_vma(&mm, HEAP, 8, 0, 0, MAP_PRIVATE, ANON_PRIVATE);
    put_vma(&mm, HEAP + PAGE, 8, 0, 0, MAP_PRIVATE, ANON_PRIVATE);
    put_head(&b, ANY_MAGIC);
    put_record(&b, &mm);
    save(fd, "mm-10.img", &b);
    assert_int_equal(try(fd), -EBADMSG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_processes),           cmocka_unit_test(test_memory),
        cmocka_unit_test(test_pages_in_parent),     cmocka_unit_test(test_descriptors),
        cmocka_unit_test(test_compare_with_itself), cmocka_unit_test(test_compare),
        cmocka_unit_test(test_every_byte_flipped),  cmocka_unit_test(test_every_truncation),
        cmocka_unit_test(test_names_the_damaged),   cmocka_unit_test(test_overlapping_mappings),
    };

    return cmocka_run_group_tests(tests, folder_setup, folder_teardown);
}
