/* test_retention.c - which checkpoint stays, goes, is re-based or packed; on lists by hand, and on
 * random ones whose answers are carried out to the end. */
#include "ckptd/retention.h"
#include "common/cleanup.h"
#include "common/proc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HOUR (3600 * USEC_PER_SEC)
#define DAY  (24 * HOUR)
#define MAX  200

static const struct retention_rules only_two = {.keep = 2};

/* "WUW": which are wanted; static. */
static const char *wanted_of(const struct checkpoint *list, size_t count,
                             const struct retention_rules *rules, uint64_t now)
{
    static char text[MAX + 1];
    bool wanted[MAX];

    retention_wanted(list, count, rules, now, wanted);
    for (size_t i = 0; i < count; i++)
        text[i] = wanted[i] ? 'W' : 'u';
    text[count] = '\0';
    return text;
}

static void keeps_the_newest_of_each_kind(void **state)
{
    struct checkpoint list[] = {
        {.number = 1},
        {.number = 2, .state = CHECKPOINT_CORRUPT},
        {.number = 3, .pinned = true},
        {.number = 4, .state = CHECKPOINT_POISONED},
        {.number = 5, .state = CHECKPOINT_CORRUPT},
        {.number = 6},
        {.number = 7},
    };
    const struct retention_rules nothing = {0};

    assert_string_equal(wanted_of(list, 7, &only_two, 0), "uuWWWWW");
    assert_string_equal(wanted_of(list, 7, &nothing, 0), "uuWuWuW");
    assert_string_equal(wanted_of(list, 2, &nothing, 0), "WW");
    assert_string_equal(wanted_of(list, 0, &nothing, 0), "");
}

/* The key file may be put back. */
static void leaves_what_only_lacks_its_key(void **state)
{
    struct checkpoint list[] = {
        {.number = 1, .state = CHECKPOINT_CORRUPT, .foreign = true, .bytes = 10},
        {.number = 2, .state = CHECKPOINT_CORRUPT, .bytes = 10},
        {.number = 3, .bytes = 10},
        {.number = 4, .bytes = 10},
    };
    const struct retention_rules one = {.keep = 1};

    assert_string_equal(wanted_of(list, 4, &one, 0), "WWuW");
    assert_int_equal(retention_victim(list, 4, NULL), 1);
    list[1].foreign = true;
    assert_int_equal(retention_victim(list, 4, NULL), 2);
    assert_int_equal(retention_removable(list, 4), 10);
}

/* One every 20 minutes for two days: three hours, two days. */
static void keeps_the_newest_of_each_period(void **state)
{
    struct checkpoint list[144];
    const struct retention_rules rules = {.keep = 1, .hourly = 3, .daily = 2, .weekly = 1};
    const uint64_t start = 20000 * DAY;
    const char *wanted;

    for (size_t i = 0; i < 144; i++)
        list[i] = (struct checkpoint){.number = i + 1, .time_realtime = start + i * HOUR / 3};
    wanted = wanted_of(list, 144, &rules, start + 2 * DAY - 1);
    assert_string_equal(wanted + 72,
                        "uuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuu"
                        "WuuWuuW");
    assert_int_equal(wanted[71], 'W'); /* the last of yesterday */
    assert_null(memchr(wanted, 'W', 71));
    /* A day later nothing is of the last three hours; the newest stays all the same. */
    wanted = wanted_of(list, 144, &rules, start + 3 * DAY - 1);
    assert_int_equal(strlen(wanted + 143), 1);
    assert_int_equal(wanted[143], 'W');
    assert_null(memchr(wanted, 'W', 143));
}

/* A period counts once, also where the clock went back; and one that is ahead is of now. */
static void clocks_that_jump(void **state)
{
    const struct checkpoint list[] = {
        {.number = 1, .time_realtime = 5 * HOUR},
        {.number = 2, .time_realtime = 90 * HOUR},
        {.number = 3, .time_realtime = 6 * HOUR},
        {.number = 4, .time_realtime = 7 * HOUR},
    };
    const struct retention_rules rules = {.keep = 1, .hourly = 3};

    assert_string_equal(wanted_of(list, 4, &rules, 7 * HOUR), "WuWW");
    assert_string_equal(wanted_of(list, 2, &rules, 7 * HOUR), "WW");
    assert_string_equal(wanted_of(list, 2, &rules, 5 * HOUR), "uW");
}

static void only_leaves_go(void **state)
{
    struct checkpoint list[] = {
        {.number = 1},
        {.number = 2, .parent = 1},
        {.number = 3, .parent = 2},
        {.number = 4, .parent = 3},
        {.number = 5},
        {.number = 6, .parent = 5},
    };
    bool wanted[6] = {[5] = true};

    assert_int_equal(retention_surplus(list, 6, wanted), 3);
    wanted[3] = true;
    assert_true(retention_surplus(list, 6, wanted) == RETENTION_NONE);
    assert_int_equal(retention_victim(list, 6, NULL), 3); /* wanted or not */
    assert_true(retention_victim(list, 6, wanted) == RETENTION_NONE);
    list[3].pinned = true;
    assert_true(retention_victim(list, 6, NULL) == RETENTION_NONE);
}

static void victims_in_order(void **state)
{
    struct checkpoint list[] = {
        {.number = 1, .bytes = 1},
        {.number = 2, .bytes = 2, .state = CHECKPOINT_CORRUPT},
        {.number = 3, .bytes = 4},
        {.number = 4, .bytes = 8, .state = CHECKPOINT_POISONED},
    };
    const bool spared[4] = {[1] = true};

    assert_int_equal(retention_bytes(list, 4), 15);
    assert_int_equal(retention_removable(list, 4), 11);
    assert_int_equal(retention_victim(list, 4, NULL), 1);
    assert_int_equal(retention_victim(list, 4, spared), 3);
    list[1].state = CHECKPOINT_WHOLE;
    assert_int_equal(retention_victim(list, 4, NULL), 3);
    assert_int_equal(retention_victim(list, 3, NULL), 0);
    assert_true(retention_victim(&list[2], 1, NULL) == RETENTION_NONE);
    assert_true(retention_victim(list, 0, NULL) == RETENTION_NONE);
    list[3].parent = 3; /* what needs the newest whole one goes all the same */
    assert_int_equal(retention_victim(&list[2], 2, NULL), 1);
    list[0].pinned = true;
    assert_int_equal(retention_removable(list, 4), 10);
}

/* 1 (100 bytes) <- 2 <- ... <- n, each delta of `bytes`; the last `keep` are wanted. */
static void chain(struct checkpoint *list, bool *wanted, size_t n, uint64_t bytes, size_t keep)
{
    for (size_t i = 0; i < n; i++) {
        list[i] = (struct checkpoint){.number = i + 1, .parent = i, .bytes = i ? bytes : 100};
        wanted[i] = i + keep >= n;
    }
}

static void small_deltas_go_onto_the_full_one(void **state)
{
    struct checkpoint list[17];
    bool wanted[17];
    struct retention_rebase next;

    chain(list, wanted, 16, 1, 5);
    assert_true(retention_rebase(list, 16, wanted, 16, &next) == RETENTION_NONE);
    chain(list, wanted, 17, 1, 5);
    assert_int_equal(retention_rebase(list, 17, wanted, 16, &next), 12);
    assert_int_equal(next.number, 13);
    assert_int_equal(next.parent, 1);
    list[12].parent = 1;
    assert_true(retention_rebase(list, 17, wanted, 16, &next) == RETENTION_NONE);
    assert_int_equal(retention_surplus(list, 17, wanted), 11);
}

static void large_deltas_make_a_full_one(void **state)
{
    struct checkpoint list[17];
    bool wanted[17];
    struct retention_rebase next;

    chain(list, wanted, 17, 3, 5); /* 12 x 3 are more than a quarter of 100 */
    assert_int_equal(retention_rebase(list, 17, wanted, 16, &next), 12);
    assert_int_equal(next.parent, 0);
    chain(list, wanted, 9, 30, 5); /* 3 x 30 are less than the full one */
    assert_true(retention_rebase(list, 9, wanted, 16, &next) == RETENTION_NONE);
    chain(list, wanted, 10, 30, 5); /* 4 x 30 are more, long before the chain is full */
    assert_int_equal(retention_rebase(list, 10, wanted, 16, &next), 5);
    assert_int_equal(next.parent, 0);
}

/* Where Keep= fills the chain, re-basing would write a full image at every dump. */
static void a_chain_that_is_wanted_stays(void **state)
{
    struct checkpoint list[17];
    bool wanted[17];
    struct retention_rebase next;

    chain(list, wanted, 17, 1, 17);
    assert_true(retention_rebase(list, 17, wanted, 16, &next) == RETENTION_NONE);
    chain(list, wanted, 17, 1, 16);
    assert_true(retention_rebase(list, 17, wanted, 16, &next) == RETENTION_NONE);
}

/* In the chain of the newest, nothing is done before it is worth it. */
static void a_pinned_one_in_the_chain_waits(void **state)
{
    struct checkpoint list[17];
    bool wanted[17];
    struct retention_rebase next;

    chain(list, wanted, 17, 1, 2);
    wanted[3] = list[3].pinned = true;
    assert_true(retention_rebase(list, 10, wanted, 16, &next) == RETENTION_NONE);
    assert_int_equal(retention_rebase(list, 17, wanted, 16, &next), 3);
    assert_int_equal(next.parent, 1);
    list[3].parent = 1; /* now the full one is its parent, and stays */
    assert_int_equal(retention_rebase(list, 17, wanted, 14, &next), 15);
    assert_int_equal(next.parent, 1);
}

/* 1 <- 2 <- 3 <- 4 in an old chain, of which 4 is pinned; 5 is the newest. */
static void a_pinned_one_frees_its_parents(void **state)
{
    struct checkpoint list[] = {
        {.number = 1, .bytes = 100},
        {.number = 2, .parent = 1},
        {.number = 3, .parent = 2},
        {.number = 4, .parent = 3},
        {.number = 5},
        {.number = 6, .parent = 1},
    };
    bool wanted[6] = {[3] = true, [4] = true};
    struct retention_rebase next;

    assert_true(retention_rebase(list, 5, wanted, 16, &next) == RETENTION_NONE);
    list[3].pinned = true;
    assert_int_equal(retention_rebase(list, 5, wanted, 16, &next), 3);
    assert_int_equal(next.parent, 0);
    wanted[0] = true;
    assert_int_equal(retention_rebase(list, 5, wanted, 16, &next), 3);
    assert_int_equal(next.parent, 1);
    /* Somebody else needs 1 as well: no need to be without it. */
    wanted[0] = false;
    list[5].state = CHECKPOINT_POISONED;
    assert_int_equal(retention_rebase(list, 6, wanted, 16, &next), 3);
    assert_int_equal(next.parent, 1);
    list[3].state = CHECKPOINT_POISONED; /* nobody writes that anew */
    assert_true(retention_rebase(list, 6, wanted, 16, &next) == RETENTION_NONE);
}

static void packs_what_the_newest_does_not_need(void **state)
{
    struct checkpoint list[] = {
        {.number = 1, .compressible = true},
        {.number = 2, .packed = true}, /* or too small to be worth it */
        {.number = 3, .state = CHECKPOINT_POISONED, .compressible = true},
        {.number = 4, .parent = 2, .compressible = true},
        {.number = 5, .parent = 1, .compressible = true},
    };

    assert_int_equal(retention_pack(list, 5), 3);
    list[3].compressible = false;
    assert_true(retention_pack(list, 5) == RETENTION_NONE);
    list[4].parent = 0;
    assert_int_equal(retention_pack(list, 5), 0);
    assert_true(retention_pack(list, 0) == RETENTION_NONE);
}

/* A hostile or broken list: parents that are not there, that are younger, or their own. */
static void parents_that_make_no_sense(void **state)
{
    struct checkpoint list[] = {
        {.number = 1, .parent = 3},
        {.number = 2, .parent = 2},
        {.number = 5, .parent = 4},
        {.number = 6, .parent = UINT64_MAX},
    };
    bool wanted[4] = {[3] = true};
    struct retention_rebase next;

    assert_true(retention_rebase(list, 4, wanted, 0, &next) == RETENTION_NONE);
    assert_int_equal(retention_surplus(list, 4, wanted), 0);
    assert_int_equal(retention_victim(list, 4, NULL), 0);
    assert_int_equal(retention_removable(list, 4), 0);
}

/* ---- random lists ---- */

struct world {
    struct checkpoint list[MAX];
    size_t count;
    uint64_t last, now;
    uint32_t max_chain;
    struct retention_rules rules;
    unsigned seed;
};

static unsigned chance(struct world *w, unsigned n)
{
    return (unsigned)rand_r(&w->seed) % n;
}

static size_t index_of(const struct world *w, uint64_t number)
{
    for (size_t i = 0; i < w->count; i++)
        if (w->list[i].number == number)
            return i;
    return RETENTION_NONE;
}

static size_t newest_of(const struct world *w)
{
    for (size_t i = w->count; i-- > 0;)
        if (w->list[i].state == CHECKPOINT_WHOLE)
            return i;
    return RETENTION_NONE;
}

static uint32_t depth_of(const struct world *w, size_t i)
{
    uint32_t depth = 0;

    for (; w->list[i].parent; depth++)
        i = index_of(w, w->list[i].parent);
    return depth;
}

/* As ckptd does it: a delta to the newest whole one, full when that is deep enough. */
static void dump(struct world *w)
{
    size_t newest = newest_of(w);
    bool delta = newest != RETENTION_NONE && depth_of(w, newest) < w->max_chain && chance(w, 10);

    w->now += chance(w, 3) ? HOUR / 2 : DAY;
    w->list[w->count] = (struct checkpoint){
        .number = ++w->last,
        .parent = delta ? w->list[newest].number : 0,
        .bytes = delta ? 1 + chance(w, 60) : 100,
        .time_realtime = w->now,
        .pinned = chance(w, 12) == 0,
    };
    w->count++;
    if (chance(w, 15) == 0)
        w->list[chance(w, (unsigned)w->count)].state = CHECKPOINT_POISONED;
}

/* Nobody is without his parent, and parents are older. */
static void assert_sound(const struct world *w)
{
    for (size_t i = 0; i < w->count; i++)
        if (w->list[i].parent)
            assert_true(index_of(w, w->list[i].parent) < i);
}

static void remove_at(struct world *w, size_t i)
{
    assert_true(i < w->count);
    assert_false(w->list[i].pinned);
    assert_true(i != newest_of(w));
    memmove(&w->list[i], &w->list[i + 1], (w->count - i - 1) * sizeof(w->list[0]));
    w->count--;
    assert_sound(w);
}

static void prune(struct world *w)
{
    bool wanted[MAX];
    size_t i;

    for (;;) {
        retention_wanted(w->list, w->count, &w->rules, w->now, wanted);
        i = retention_surplus(w->list, w->count, wanted);
        if (i == RETENTION_NONE)
            return;
        assert_false(wanted[i]);
        remove_at(w, i);
    }
}

/* One step of background work; false: there is none left. */
static bool work(struct world *w)
{
    struct retention_rebase next;
    bool wanted[MAX];
    size_t i, parent;

    retention_wanted(w->list, w->count, &w->rules, w->now, wanted);
    i = retention_rebase(w->list, w->count, wanted, w->max_chain, &next);
    if (i == RETENTION_NONE)
        return false;
    assert_true(wanted[i] && w->list[i].state == CHECKPOINT_WHOLE);
    assert_true(w->list[i].number == next.number && next.parent < w->list[i].parent);
    parent = next.parent ? index_of(w, next.parent) : RETENTION_NONE;
    /* The new parent is one of the old ones. */
    for (size_t p = i; next.parent && p != parent; p = index_of(w, w->list[p].parent))
        assert_true(w->list[p].parent != 0);
    w->list[i].parent = next.parent;
    w->list[i].bytes = next.parent ? w->list[i].bytes + 10 : 100;
    assert_sound(w);
    return true;
}

static void live(unsigned seed)
{
    struct world w = {
        .seed = seed,
        .now = 20000 * DAY,
    };

    w.max_chain = chance(&w, 4) ? 1 + chance(&w, 16) : 0;
    w.rules = (struct retention_rules){
        .keep = 1 + chance(&w, 20), .hourly = chance(&w, 5), .daily = chance(&w, 5)};
    for (int day = 0; day < 60; day++) {
        int steps = 0;

        dump(&w);
        assert_sound(&w);
        prune(&w);
        while (work(&w)) {
            prune(&w);
            assert_true(++steps < 50);
        }
        for (size_t i = 0; i < w.count; i++)
            assert_true(depth_of(&w, i) <= w.max_chain);
    }
    /* Then the disk is full. */
    for (uint64_t left = retention_bytes(w.list, w.count) - retention_removable(w.list, w.count);
         ;) {
        size_t i = retention_victim(w.list, w.count, NULL);

        if (i == RETENTION_NONE) {
            assert_int_equal(retention_bytes(w.list, w.count), left);
            break;
        }
        remove_at(&w, i);
    }
    assert_true(newest_of(&w) != RETENTION_NONE || w.count == 0);
}

static void random_lives(void **state)
{
    for (unsigned seed = 1; seed <= 300; seed++)
        live(seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_the_newest_of_each_kind),
        cmocka_unit_test(leaves_what_only_lacks_its_key),
        cmocka_unit_test(keeps_the_newest_of_each_period),
        cmocka_unit_test(clocks_that_jump),
        cmocka_unit_test(only_leaves_go),
        cmocka_unit_test(victims_in_order),
        cmocka_unit_test(small_deltas_go_onto_the_full_one),
        cmocka_unit_test(large_deltas_make_a_full_one),
        cmocka_unit_test(a_chain_that_is_wanted_stays),
        cmocka_unit_test(a_pinned_one_in_the_chain_waits),
        cmocka_unit_test(a_pinned_one_frees_its_parents),
        cmocka_unit_test(packs_what_the_newest_does_not_need),
        cmocka_unit_test(parents_that_make_no_sense),
        cmocka_unit_test(random_lives),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
