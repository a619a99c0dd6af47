/* test_delta.c - deltas, chains and merges of synthetic images, compared page by page with the
 * model they were made of. */
#include "common/cleanup.h"
#include "common/fs.h"
#include "image/delta.h"
#include "image/pagemap.h"
#include "tests/image/folder.h"
#include "tests/image/synthetic.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cmocka.h>

#define DEPTH_MAX 17

/* dirs[0] is the newest; full[n] is the same without a parent. */
static struct image_dir dirs[DEPTH_MAX], full[DEPTH_MAX];
static size_t depth;
static uint32_t seed;

static int setup(void **state)
{
    depth = 0;
    seed = 1;
    return 0;
}

static int teardown(void **state)
{
    for (size_t i = 0; i < depth; i++) {
        close(dirs[i].fd);
        if (full[i].fd != dirs[i].fd)
            close(full[i].fd);
    }
    return 0;
}

static uint32_t number(uint32_t below)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % below;
}

/* ---- models ---- */

static void fill(struct model *model, unsigned first, unsigned pages, uint32_t content)
{
    for (unsigned n = first; n < first + pages && n < MODEL_PAGES; n++)
        model->content[n] = content > 1 ? content + n : content;
}

/* What a process does between two checkpoints: writes, zeroes, maps, unmaps, grows, moves. */
static void live(struct model *model)
{
    unsigned from = number(MODEL_PAGES - 40), to = number(MODEL_PAGES - 40);

    for (int i = 0; i < 30; i++)
        fill(model, number(MODEL_PAGES), 1 + number(3), 2 + number(1 << 20) * 1000);
    fill(model, number(MODEL_PAGES), number(12), 1);
    fill(model, number(MODEL_PAGES), number(40), 0);
    fill(model, number(MODEL_PAGES), number(20), 2 + number(1 << 20) * 1000);
    memmove(&model->content[to], &model->content[from], 40 * sizeof(uint32_t));
}

static const struct model *first_model(struct model *model)
{
    *model = (struct model){0};
    fill(model, 0, 100, 1000);
    fill(model, 130, 200, 5000);
    fill(model, 340, 10, 1);
    fill(model, 400, MODEL_PAGES - 400, 9000);
    return model;
}

/* ---- images ---- */

static int new_folder(void)
{
    static unsigned count;
    char name[16];

    snprintf(name, sizeof(name), "%u", count++);
    return folder_make(name);
}

static int save_full(const struct model *model, enum encoding encoding)
{
    int fd = new_folder();

    model_save(fd, model, "77", 4, encoding);
    model_save(fd, model, "shmem-9", 2, encoding);
    mappings_save(fd, 77, 0, 0, 0, 0);
    return fd;
}

static int make(const struct image_dir *source, size_t source_count, const struct image_dir *parent,
                size_t parent_count, int out_fd, struct delta_stats *stats)
{
    const struct delta_options options = {.parent_link = parent_count ? "../parent" : NULL};

    return delta_make(source, source_count, parent, parent_count, out_fd, &options, stats);
}

/* A checkpoint of the model becomes dirs[0], a delta against what was there. */
static void checkpoint(const struct model *model, struct delta_stats *ret)
{
    struct image_dir dump = {.fd = save_full(model, depth % ENCODING_COUNT)};
    int fd = dump.fd;

    *ret = (struct delta_stats){0};
    if (depth > 0) {
        fd = new_folder();
        assert_int_equal(make(&dump, 1, dirs, depth, fd, ret), 0);
    }
    memmove(dirs + 1, dirs, depth * sizeof(*dirs));
    memmove(full + 1, full, depth * sizeof(*full));
    dirs[0] = (struct image_dir){.fd = fd};
    full[0] = dump;
    depth++;
}

static void make_chain(size_t count, struct model models[DEPTH_MAX])
{
    struct delta_stats stats;
    struct model model;

    first_model(&model);
    for (size_t i = 0; i < count; i++) {
        checkpoint(&model, &stats);
        models[count - 1 - i] = model;
        live(&model);
    }
}

static unsigned mapped(const struct model *model)
{
    unsigned count = 0;

    for (unsigned n = 0; n < MODEL_PAGES; n++)
        count += model->content[n] != 0;
    return count;
}

static unsigned changed(const struct model *model, const struct model *parent)
{
    unsigned count = 0;

    for (unsigned n = 0; n < MODEL_PAGES; n++)
        count += model->content[n] && model->content[n] != parent->content[n];
    return count;
}

/* ---- chains ---- */

static void check_chain(size_t count)
{
    struct model models[DEPTH_MAX];

    make_chain(count, models);
    for (size_t i = 0; i < count; i++) {
        unsigned own = i + 1 < count ? changed(&models[i], &models[i + 1]) : mapped(&models[i]);

        assert_int_equal(model_check(dirs + i, count - i, "77", &models[i]), own);
        assert_int_equal(model_check(dirs + i, count - i, "shmem-9", &models[i]), own);
    }
}

static void test_chain_of_1(void **state)
{
    check_chain(2);
}

static void test_chain_of_2(void **state)
{
    check_chain(3);
}

static void test_chain_of_16(void **state)
{
    check_chain(17);
}

static void test_stats_and_holes(void **state)
{
    struct delta_stats stats;
    struct model model;
    struct stat st;

    checkpoint(first_model(&model), &stats);
    fill(&model, 140, 64, 1); /* memory that was given back, and is zero now */
    fill(&model, 300, 2, 77777);
    checkpoint(&model, &stats);
    assert_int_equal(stats.pages, 2 * mapped(&model));
    assert_int_equal(stats.stored, 2 * 66);
    assert_int_equal(stats.zero, 2 * 64);
    assert_int_equal(stats.from_parent, 2 * (mapped(&model) - 66));
    assert_int_equal(fstatat(dirs[0].fd, "pages-4.img", &st, 0), 0);
    assert_int_equal(st.st_size, 66 * 4096);
    assert_true(st.st_blocks * 512 <= 8 * 4096);
    assert_int_equal(st.st_mode, S_IFREG | 0600);
    assert_int_equal(model_check(dirs, 2, "77", &model), 66);
}

/* Nothing but zeros at the end: the file still has its full size. */
static void test_zeros_at_the_end(void **state)
{
    struct delta_stats stats;
    struct model model;
    struct stat st;

    checkpoint(first_model(&model), &stats);
    fill(&model, MODEL_PAGES - 5, 5, 1);
    checkpoint(&model, &stats);
    assert_int_equal(fstatat(dirs[0].fd, "pages-4.img", &st, 0), 0);
    assert_int_equal(st.st_size, 5 * 4096);
    assert_int_equal(model_check(dirs, 2, "77", &model), 5);
}

static void test_nothing_changed(void **state)
{
    struct delta_stats stats;
    struct model model;
    struct stat st;

    checkpoint(first_model(&model), &stats);
    checkpoint(&model, &stats);
    assert_int_equal(stats.stored, 0);
    assert_int_equal(fstatat(dirs[0].fd, "pages-4.img", &st, 0), 0); /* CRIU opens it */
    assert_int_equal(st.st_size, 0);
    assert_int_equal(model_check(dirs, 2, "77", &model), 0);
}

/* One byte of one page, at any of its ends. */
static void test_one_byte(void **state)
{
    struct delta_stats stats;
    struct model model;
    int fd;

    checkpoint(first_model(&model), &stats);
    for (int i = 0; i < 4; i++) {
        struct image_dir now = {.fd = save_full(&model, ENCODING_4_1)}, out = {0};
        off_t at = (i < 2 ? 0 : 299) * 4096 + (i % 2 ? 4095 : 0);

        fd = openat(now.fd, "pages-4.img", O_WRONLY | O_CLOEXEC);
        assert_int_equal(pwrite(fd, "?", 1, at), 1);
        close(fd);
        out.fd = new_folder();
        assert_int_equal(make(&now, 1, dirs, 1, out.fd, &stats), 0);
        assert_int_equal(stats.stored, 1);
        close(out.fd);
        close(now.fd);
    }
}

/* ---- anew against something else ---- */

/* The newest against the oldest, against nothing, and the oldest against the newest. */
static void test_rebase_merge_reverse(void **state)
{
    struct model models[DEPTH_MAX];
    struct image_dir chain[3] = {0};
    struct delta_stats stats;

    make_chain(6, models);
    chain[0].fd = new_folder();
    chain[1] = dirs[5];
    assert_int_equal(make(dirs, 6, dirs + 5, 1, chain[0].fd, &stats), 0);
    assert_int_equal(model_check(chain, 2, "77", &models[0]), changed(&models[0], &models[5]));
    close(chain[0].fd);

    chain[0].fd = new_folder();
    assert_int_equal(make(dirs, 6, NULL, 0, chain[0].fd, &stats), 0);
    assert_int_equal(model_check(chain, 1, "77", &models[0]), mapped(&models[0]));
    assert_int_equal(stats.from_parent, 0);
    assert_int_equal(faccessat(chain[0].fd, "parent", F_OK, AT_SYMLINK_NOFOLLOW), -1);
    close(chain[0].fd);

    chain[0].fd = new_folder();
    memcpy(chain + 1, full, sizeof(*full));
    assert_int_equal(make(dirs + 5, 1, full, 1, chain[0].fd, &stats), 0);
    assert_int_equal(model_check(chain, 2, "77", &models[5]), changed(&models[5], &models[0]));
    close(chain[0].fd);
}

/* A delta against its own parent is the same delta: what both sides have in the same place of the
 * same file. */
static void test_same_place_is_equal(void **state)
{
    struct model models[DEPTH_MAX];
    struct image_dir again[4] = {0};
    struct delta_stats stats;

    make_chain(4, models);
    memcpy(again + 1, dirs + 1, 3 * sizeof(*dirs));
    again[0].fd = new_folder();
    assert_int_equal(make(dirs, 4, dirs + 1, 3, again[0].fd, &stats), 0);
    assert_int_equal(stats.stored, 2 * changed(&models[0], &models[1]));
    assert_int_equal(model_check(again, 4, "77", &models[0]), changed(&models[0], &models[1]));
    close(again[0].fd);
}

/* ---- processes and mappings that come and go ---- */

static void test_new_and_gone_process(void **state)
{
    struct delta_stats stats;
    struct image_dir now = {0};
    struct model model;

    checkpoint(first_model(&model), &stats);
    now.fd = new_folder();
    model_save(now.fd, &model, "78", 4, ENCODING_4_1); /* 77 is gone, its pages_id goes on */
    mappings_save(now.fd, 78, 0, 0, 0, 0);
    memmove(dirs + 1, dirs, sizeof(*dirs));
    memmove(full + 1, full, sizeof(*full));
    dirs[0].fd = new_folder();
    full[0] = now;
    depth = 2;
    assert_int_equal(make(&now, 1, dirs + 1, 1, dirs[0].fd, &stats), 0);
    assert_int_equal(stats.from_parent, 0);
    assert_int_equal(model_check(dirs, 1, "78", &model), mapped(&model));
    assert_int_equal(faccessat(dirs[0].fd, "pagemap-77.img", F_OK, 0), -1);
}

static void check_untracked(uint32_t flags, uint32_t status, bool tracked)
{
    struct delta_stats stats;
    struct image_dir now[2] = {0};
    struct model model;

    checkpoint(first_model(&model), &stats);
    now[0].fd = save_full(&model, ENCODING_4_2);
    mappings_save(now[0].fd, 77, 150, 20, flags, status);
    now[1].fd = new_folder();
    assert_int_equal(make(now, 1, dirs, 1, now[1].fd, &stats), 0);
    assert_int_equal(stats.stored, tracked ? 0 : 20);
    close(now[0].fd);
    now[0] = now[1];
    now[1] = dirs[0];
    assert_int_equal(model_check(now, 2, "77", &model), tracked ? 0 : 20);
    close(now[0].fd);
}

static void test_huge_pages(void **state)
{
    check_untracked(MAP_HUGETLB, 0, false);
}

static void test_aio_ring(void **state)
{
    check_untracked(0, 1u << 13, false);
}

static void test_mapping_of_a_plugin(void **state)
{
    check_untracked(0, 1u << 27, false);
}

static void test_ordinary_mapping(void **state)
{
    check_untracked(MAP_GROWSDOWN, 1u << 5, true);
}

/* ---- other files ---- */

static void save_text(int dirfd, const char *name, const char *text)
{
    folder_put(dirfd, name, text, strlen(text));
}

static void test_other_files(void **state)
{
    static const char *const kept[] = {"core-77.img", "stats-dump", "snapshot-1"};
    static const char *const left[] = {"dump.log", "worker", "manifest.json", "pages-99.img"};
    char target[32] = "";
    struct delta_stats stats;
    struct image_dir out = {0};
    struct model model;

    checkpoint(first_model(&model), &stats);
    for (size_t i = 0; i < ELEMENTS(kept); i++)
        save_text(dirs[0].fd, kept[i], kept[i]);
    for (size_t i = 0; i < ELEMENTS(left); i++)
        save_text(dirs[0].fd, left[i], left[i]);
    assert_int_equal(symlinkat("../elsewhere", dirs[0].fd, "parent"), 0);
    out.fd = new_folder();
    assert_int_equal(make(dirs, 1, full, 1, out.fd, &stats), 0);
    for (size_t i = 0; i < ELEMENTS(kept); i++) {
        _cleanup_free_ char *text = NULL;

        assert_int_equal(fs_read(out.fd, kept[i], 100, &text, NULL), 0);
        assert_string_equal(text, kept[i]);
    }
    for (size_t i = 0; i < ELEMENTS(left); i++)
        assert_int_equal(faccessat(out.fd, left[i], F_OK, 0), -1);
    assert_true(readlinkat(out.fd, "parent", target, sizeof(target) - 1) > 0);
    assert_string_equal(target, "../parent");
    close(out.fd);
}

/* Holes of a copied file stay holes. */
static void test_sparse_file(void **state)
{
    struct delta_stats stats;
    struct image_dir out = {0};
    struct model model;
    struct stat st;
    char tail[4] = "";
    int fd;

    checkpoint(first_model(&model), &stats);
    fd = openat(dirs[0].fd, "ghost-file-1.img", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(pwrite(fd, "end", 3, 1 << 20), 3);
    assert_int_equal(ftruncate(fd, 2 << 20), 0);
    close(fd);
    out.fd = new_folder();
    assert_int_equal(make(dirs, 1, NULL, 0, out.fd, &stats), 0);
    fd = openat(out.fd, "ghost-file-1.img", O_RDONLY | O_CLOEXEC);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_size, 2 << 20);
    assert_true(st.st_blocks * 512 <= 64 << 10);
    assert_int_equal(pread(fd, tail, 3, 1 << 20), 3);
    assert_string_equal(tail, "end");
    close(fd);
    close(out.fd);
}

struct progress {
    uint64_t done, total;
    unsigned calls;
};

static void on_progress(uint64_t done, uint64_t total, void *data)
{
    struct progress *progress = data;

    assert_true(done >= progress->done && done <= total);
    *progress = (struct progress){done, total, progress->calls + 1};
}

static void test_progress(void **state)
{
    struct progress progress = {0};
    const struct delta_options options = {.progress = on_progress, .data = &progress};
    struct delta_stats stats;
    struct model model;
    int fd;

    checkpoint(first_model(&model), &stats);
    fd = new_folder();
    assert_int_equal(delta_make(dirs, 1, NULL, 0, fd, &options, &stats), 0);
    assert_int_equal(progress.done, 2 * mapped(&model));
    assert_int_equal(progress.total, progress.done);
    assert_true(progress.calls > 0);
    close(fd);
}

/* ---- packed ---- */

/* What a manifest would list of the folder. */
static void list_images(int dirfd, struct manifest *manifest)
{
    DIR *dir = fdopendir(openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    struct dirent *entry;

    assert_non_null(dir);
    manifest->images = calloc(32, sizeof(*manifest->images));
    while ((entry = readdir(dir))) {
        struct manifest_image *image = &manifest->images[manifest->image_count];
        struct stat st;

        assert_int_equal(fstatat(dirfd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW), 0);
        if (!S_ISREG(st.st_mode))
            continue;
        image->name = strdup(entry->d_name);
        image->size = (uint64_t)st.st_size;
        assert_int_equal(pack_plain_size(dirfd, image->name, &image->plain_size), 0);
        assert_true(++manifest->image_count < 32);
    }
    closedir(dir);
}

static void forget_images(struct manifest *manifest)
{
    for (size_t i = 0; i < manifest->image_count; i++)
        free(manifest->images[i].name);
    free(manifest->images);
}

/* A chain whose folders are all in this form, and the plain image made of it. */
static void check_packed(struct pack_form form, const struct keys *keys, const char *pages_name)
{
    struct manifest manifests[2] = {0};
    struct model models[DEPTH_MAX];
    struct image_dir packed[2] = {0}, plain = {0};
    struct delta_options options = {.form = form, .keys = keys};
    struct delta_stats stats;

    make_chain(2, models);
    for (int i = 1; i >= 0; i--) {
        options.parent_link = i ? NULL : "../1";
        packed[i].fd = new_folder();
        assert_int_equal(
            delta_make(full + i, 1, packed + 1, i ? 0 : 1, packed[i].fd, &options, &stats), 0);
        list_images(packed[i].fd, &manifests[i]);
        packed[i].manifest = &manifests[i];
        packed[i].keys = keys;
        assert_int_equal(faccessat(packed[i].fd, pages_name, F_OK, 0), 0);
    }
    assert_int_equal(model_check(packed, 2, "77", &models[0]), changed(&models[0], &models[1]));
    plain.fd = new_folder();
    assert_int_equal(make(packed, 2, NULL, 0, plain.fd, &stats), 0);
    assert_int_equal(model_check(&plain, 1, "77", &models[0]), mapped(&models[0]));
    close(plain.fd);
    for (int i = 0; i < 2; i++) {
        forget_images(&manifests[i]);
        close(packed[i].fd);
    }
}

static void test_compressed(void **state)
{
    check_packed((struct pack_form){.zstd = 3}, NULL, "pages-4.img.zst");
}

static void test_compressed_and_encrypted(void **state)
{
    _cleanup_free_ char *path = fs_join(folder_path(), "keys");
    struct keys *keys;

    assert_int_equal(keys_read_or_make(path, &keys), 0);
    check_packed((struct pack_form){.zstd = 3, .encrypt = true}, keys, "pages-4.img.zst.enc");
    keys_free(keys);
}

/* ---- what is damaged ---- */

static void refuse(const struct image_dir *source, size_t source_count,
                   const struct image_dir *parent, size_t parent_count, int wanted)
{
    struct delta_stats stats = {.pages = 42};
    int fd = new_folder();

    assert_int_equal(make(source, source_count, parent, parent_count, fd, &stats), wanted);
    assert_int_equal(stats.pages, 42);
    close(fd);
}

static void test_truncated_pages(void **state)
{
    struct model models[DEPTH_MAX];
    struct stat st;
    int fd;

    make_chain(3, models);
    fd = openat(dirs[2].fd, "pages-4.img", O_RDWR | O_CLOEXEC);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(ftruncate(fd, st.st_size - 1), 0);
    refuse(dirs, 3, NULL, 0, -EBADMSG);
    refuse(full, 1, dirs, 3, -EBADMSG);
    refuse(dirs + 2, 1, NULL, 0, -EBADMSG);
    assert_int_equal(ftruncate(fd, 0), 0);
    refuse(dirs, 3, NULL, 0, -EBADMSG);
    close(fd);
    assert_int_equal(unlinkat(dirs[2].fd, "pages-4.img", 0), 0);
    refuse(dirs, 3, NULL, 0, -EBADMSG);
}

static void test_pages_are_not_a_file(void **state)
{
    struct delta_stats stats;
    struct model model;

    checkpoint(first_model(&model), &stats);
    assert_int_equal(unlinkat(dirs[0].fd, "pages-4.img", 0), 0);
    assert_int_equal(symlinkat("/dev/zero", dirs[0].fd, "pages-4.img"), 0);
    refuse(dirs, 1, NULL, 0, -EBADMSG);
    assert_int_equal(unlinkat(dirs[0].fd, "pages-4.img", 0), 0);
    assert_int_equal(mkfifoat(dirs[0].fd, "pages-4.img", 0600), 0);
    refuse(dirs, 1, NULL, 0, -EBADMSG);
}

static void test_missing_parent(void **state)
{
    struct model models[DEPTH_MAX];

    make_chain(4, models);
    refuse(dirs, 3, NULL, 0, -EBADMSG);
    refuse(full, 1, dirs, 2, -EBADMSG);
    assert_int_equal(unlinkat(dirs[3].fd, "pagemap-77.img", 0), 0);
    refuse(dirs, 4, NULL, 0, -EBADMSG);
}

/* Folders are a list: even one that names itself as its parent comes to an end. */
static void test_circle(void **state)
{
    struct model models[DEPTH_MAX];
    struct image_dir circle[DEPTH_MAX];

    make_chain(2, models);
    for (size_t i = 0; i < DEPTH_MAX; i++)
        circle[i] = dirs[0];
    refuse(circle, DEPTH_MAX, NULL, 0, -EBADMSG);
}

static void save_map(int dirfd, const char *name, uint32_t pages_id, uint64_t address,
                     uint64_t pages, uint32_t flags)
{
    struct buffer b = {0};

    put_pagemap_head(&b, pages_id);
    put_pagemap_entry(&b, ENCODING_4_2, address, pages, flags);
    save(dirfd, name, &b);
}

static void test_counts_that_overflow(void **state)
{
    static const uint64_t counts[] = {INT32_MAX, UINT32_MAX, 1ull << 52, UINT64_MAX, 101};
    struct delta_stats stats;
    struct model model = {0};

    fill(&model, 0, 100, 1000);
    checkpoint(&model, &stats);
    for (size_t i = 0; i < ELEMENTS(counts); i++) {
        save_map(dirs[0].fd, "pagemap-77.img", 4, MODEL_BASE, counts[i], PE_PRESENT);
        refuse(dirs, 1, NULL, 0, -EBADMSG);
    }
}

/* The parent has a part of what is left to it: in the middle, or all but the end. */
static void test_page_only_in_part(void **state)
{
    struct delta_stats stats;
    struct model model = {0};

    fill(&model, 0, 100, 1000);
    fill(&model, 101, 100, 1000);
    checkpoint(&model, &stats);
    fill(&model, 100, 1, 50);
    checkpoint(&model, &stats);
    save_map(dirs[0].fd, "pagemap-77.img", 4, MODEL_BASE, 100, PE_PARENT);
    assert_int_equal(make(dirs, 2, NULL, 0, new_folder(), &stats), 0);
    save_map(dirs[0].fd, "pagemap-77.img", 4, MODEL_BASE, 101, PE_PARENT);
    refuse(dirs, 2, NULL, 0, -EBADMSG);
    save_map(dirs[0].fd, "pagemap-77.img", 4, MODEL_BASE + 150 * 4096, 52, PE_PARENT);
    refuse(dirs, 2, NULL, 0, -EBADMSG);
    save_map(dirs[0].fd, "pagemap-77.img", 4, MODEL_BASE - 4096, 2, PE_PARENT);
    refuse(dirs, 2, NULL, 0, -EBADMSG);
}

static void test_one_file_for_two(void **state)
{
    struct delta_stats stats;
    struct model model;

    checkpoint(first_model(&model), &stats);
    save_map(dirs[0].fd, "pagemap-78.img", 4, MODEL_BASE, 1, PE_PRESENT);
    refuse(dirs, 1, NULL, 0, -EBADMSG);
}

static void test_mappings(void **state)
{
    struct delta_stats stats;
    struct model model;

    checkpoint(first_model(&model), &stats);
    checkpoint(&model, &stats);
    mappings_save(full[0].fd, 77, 100, (unsigned)-50, MAP_HUGETLB, 0); /* ends before it begins */
    refuse(full, 1, full + 1, 1, -EBADMSG);
    save_text(full[0].fd, "mm-77.img", "not an image");
    refuse(full, 1, full + 1, 1, -EBADMSG);
    assert_int_equal(unlinkat(full[0].fd, "mm-77.img", 0), 0);
    refuse(full, 1, full + 1, 1, -EBADMSG);
}

static void test_every_cut_of_a_pagemap(void **state)
{
    struct model models[DEPTH_MAX];
    struct stat st;
    int fd;

    make_chain(2, models);
    fd = openat(dirs[0].fd, "pagemap-77.img", O_RDWR | O_CLOEXEC);
    assert_int_equal(fstat(fd, &st), 0);
    for (off_t size = st.st_size - 1; size >= 0; size -= 7) {
        struct delta_stats stats;
        int out = new_folder(), r;

        assert_int_equal(ftruncate(fd, size), 0);
        r = make(dirs, 2, NULL, 0, out, &stats);
        assert_true(r == 0 || r == -EBADMSG); /* 0: between two records */
        close(out);
    }
    close(fd);
}

static void test_arguments(void **state)
{
    const struct delta_options with_link = {.parent_link = "../1"}, without = {0};
    struct delta_stats stats;
    struct model model;

    checkpoint(first_model(&model), &stats);
    assert_int_equal(delta_make(dirs, 1, NULL, 0, -1, &with_link, &stats), -EINVAL);
    assert_int_equal(delta_make(dirs, 1, dirs, 1, -1, &without, &stats), -EINVAL);
    assert_int_equal(delta_make(dirs, 0, NULL, 0, -1, &without, &stats), -EINVAL);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_chain_of_1),
        TEST(test_chain_of_2),
        TEST(test_chain_of_16),
        TEST(test_stats_and_holes),
        TEST(test_zeros_at_the_end),
        TEST(test_nothing_changed),
        TEST(test_one_byte),
        TEST(test_rebase_merge_reverse),
        TEST(test_same_place_is_equal),
        TEST(test_new_and_gone_process),
        TEST(test_huge_pages),
        TEST(test_aio_ring),
        TEST(test_mapping_of_a_plugin),
        TEST(test_ordinary_mapping),
        TEST(test_other_files),
        TEST(test_sparse_file),
        TEST(test_progress),
        TEST(test_compressed),
        TEST(test_compressed_and_encrypted),
        TEST(test_truncated_pages),
        TEST(test_pages_are_not_a_file),
        TEST(test_missing_parent),
        TEST(test_circle),
        TEST(test_counts_that_overflow),
        TEST(test_page_only_in_part),
        TEST(test_one_file_for_two),
        TEST(test_mappings),
        TEST(test_every_cut_of_a_pagemap),
        TEST(test_arguments),
    };

    return cmocka_run_group_tests(tests, folder_setup, folder_teardown);
}
