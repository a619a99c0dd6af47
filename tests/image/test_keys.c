/* test_keys.c - a key file is made, refused when others can touch it, and rotated; what is sealed
 * with one key is known by that key only. */
#include "common/cleanup.h"
#include "common/fs.h"
#include "image/keys.h"
#include "tests/image/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#define ID_A  "0123abcd"
#define ID_B  "ffffffff"
#define HEX_A "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define HEX_B "ff0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

static char path[128];

static void keys_freep(struct keys **keys)
{
    keys_free(*keys);
}

#define _cleanup_keys_ _cleanup_(keys_freep)

static int setup(void **state)
{
    int r = folder_setup(state);

    snprintf(path, sizeof(path), "%s/keys", folder_path());
    return r;
}

static int fresh(void **state)
{
    return fs_remove_all(folder_fd, "keys");
}

static void put(const char *text)
{
    folder_put(folder_fd, "keys", text, strlen(text));
}

static int read_text(const char *text)
{
    _cleanup_keys_ struct keys *keys = NULL;

    put(text);
    return keys_read(path, &keys);
}

static void makes_one_that_only_we_can_read(void **state)
{
    _cleanup_keys_ struct keys *first = NULL, *again = NULL;
    char mac[KEYS_MAC_SIZE];
    struct stat st;

    assert_int_equal(keys_read(path, &first), -ENOENT);
    assert_int_equal(keys_read_or_make(path, &first), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(st.st_size, 8 + 1 + 64 + 1);
    assert_int_equal(faccessat(folder_fd, "keys.fresh", F_OK, 0), -1);
    assert_int_equal(keys_read_or_make(path, &again), 0);
    assert_string_equal(keys_current(first), keys_current(again));
    assert_int_equal(keys_sign(first, keys_current(first), "text", 4, mac), 0);
    assert_int_equal(keys_verify(again, keys_current(first), "text", 4, mac), 0);
}

static void refuses_a_file_that_others_can_touch(void **state)
{
    static const mode_t bad[] = {0640, 0620, 0610, 0604, 0602, 0601, 0644, 0666};
    _cleanup_keys_ struct keys *keys = NULL;

    put(ID_A " " HEX_A "\n");
    for (size_t i = 0; i < ELEMENTS(bad); i++) {
        assert_int_equal(chmod(path, bad[i]), 0);
        assert_int_equal(keys_read(path, &keys), -EPERM);
        assert_int_equal(keys_read_or_make(path, &keys), -EPERM);
    }
    assert_int_equal(chmod(path, 0400), 0);
    assert_int_equal(keys_read(path, &keys), 0);
    if (geteuid() == 0) {
        assert_int_equal(chown(path, 65534, 0), 0);
        keys = keys_free(keys);
        assert_int_equal(keys_read(path, &keys), -EPERM);
    }
}

static void refuses_what_is_no_file(void **state)
{
    _cleanup_keys_ struct keys *keys = NULL;

    folder_put(folder_fd, "real", ID_A " " HEX_A "\n", 74);
    assert_int_equal(symlinkat("real", folder_fd, "keys"), 0);
    assert_int_equal(keys_read(path, &keys), -EPERM);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(keys_read(path, &keys), -EPERM);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(keys_read(path, &keys), -EPERM);
}

static void refuses_what_is_no_key(void **state)
{
    assert_int_equal(read_text(ID_A " " HEX_A "\n"), 0);
    assert_int_equal(read_text(ID_A " " HEX_A), 0); /* an editor or a credential without its end */
    assert_int_equal(read_text(ID_A " " HEX_A "\n" ID_B " " HEX_B "\n"), 0);
    assert_int_equal(read_text(""), -EBADMSG);
    assert_int_equal(read_text("\n"), -EBADMSG);
    assert_int_equal(read_text(ID_A " " HEX_A "\n\n"), -EBADMSG);
    assert_int_equal(read_text(ID_A " " HEX_A "0\n"), -EBADMSG);
    assert_int_equal(read_text(ID_A "  " HEX_A "\n"), -EBADMSG);
    assert_int_equal(read_text("0123ABCD " HEX_A "\n"), -EBADMSG);
    assert_int_equal(read_text("0123abc  " HEX_A "\n"), -EBADMSG);
    assert_int_equal(read_text(ID_A " g" HEX_A "\n"), -EBADMSG);
    assert_int_equal(read_text(ID_A " " HEX_A "\n" ID_A " " HEX_B "\n"), -EBADMSG);
    assert_int_equal(read_text(ID_A " " HEX_A "\n" ID_B " "), -EBADMSG);
}

static void knows_its_own_seal_only(void **state)
{
    _cleanup_keys_ struct keys *a = NULL, *b = NULL, *other = NULL;
    char mac[KEYS_MAC_SIZE], mac_of_other[KEYS_MAC_SIZE], text[] = "some text";

    put(ID_A " " HEX_A "\n");
    assert_int_equal(keys_read(path, &a), 0);
    put(ID_A " " HEX_B "\n"); /* the same id on another key */
    assert_int_equal(keys_read(path, &other), 0);
    put(ID_B " " HEX_A "\n");
    assert_int_equal(keys_read(path, &b), 0);

    assert_int_equal(keys_sign(a, ID_A, text, sizeof(text), mac), 0);
    assert_int_equal(keys_sign(other, ID_A, text, sizeof(text), mac_of_other), 0);
    assert_string_not_equal(mac, mac_of_other);
    assert_int_equal(keys_verify(a, ID_A, text, sizeof(text), mac), 0);
    assert_int_equal(keys_verify(other, ID_A, text, sizeof(text), mac), -EKEYREJECTED);
    assert_int_equal(keys_verify(b, ID_A, text, sizeof(text), mac), -ENOKEY);
    assert_int_equal(keys_verify(a, ID_A, text, sizeof(text), ""), -EKEYREJECTED);
    for (size_t i = 0; i < sizeof(text); i++) {
        text[i] ^= 1;
        assert_int_equal(keys_verify(a, ID_A, text, sizeof(text), mac), -EKEYREJECTED);
        text[i] ^= 1;
    }
    assert_int_equal(keys_verify(a, ID_A, text, sizeof(text) - 1, mac), -EKEYREJECTED);
}

static void rotates(void **state)
{
    _cleanup_keys_ struct keys *old = NULL, *new = NULL;
    char mac[KEYS_MAC_SIZE], id[KEYS_ID_SIZE];
    struct stat st;

    assert_int_equal(keys_rotate(path, id), -ENOENT);
    put(ID_A " " HEX_A); /* without the end of the line: it is put there first */
    assert_int_equal(keys_read(path, &old), 0);
    assert_int_equal(keys_rotate(path, id), 0);
    assert_int_equal(keys_read(path, &new), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);

    assert_string_equal(keys_current(old), ID_A);
    assert_string_equal(keys_current(new), id);
    assert_int_equal(keys_sign(old, ID_A, "text", 4, mac), 0);
    assert_int_equal(keys_verify(new, ID_A, "text", 4, mac), 0);
    assert_int_equal(keys_verify(new, id, "text", 4, mac), -EKEYREJECTED);
    assert_int_equal(keys_verify(old, id, "text", 4, mac), -ENOKEY);
}

/* Records keep their order, none is left out, none comes twice. */
static void records_have_their_place(void **state)
{
    uint8_t header[KEYS_STREAM_HEADER], record[3][1 + KEYS_STREAM_EXTRA], plain;
    struct keys_stream *stream;
    _cleanup_keys_ struct keys *keys = NULL;
    bool last;

    assert_int_equal(keys_read_or_make(path, &keys), 0);
    assert_int_equal(keys_stream_encrypt(keys, header, &stream), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(keys_stream_push(stream, "abc" + i, 1, "x", 1, i == 2, record[i]), 0);
    keys_stream_free(stream);

    for (int first = 0; first < 3; first++) {
        int second = first == 0 ? 2 : 0; /* after the first record: not this one */

        assert_int_equal(keys_stream_decrypt(keys, keys_current(keys), header, &stream), 0);
        assert_int_equal(
            keys_stream_pull(stream, record[first], sizeof(record[0]), "x", 1, &plain, &last),
            first == 0 ? 0 : -EKEYREJECTED);
        assert_int_equal(keys_stream_pull(stream, record[first == 0 ? second : 1],
                                          sizeof(record[0]), "x", 1, &plain, &last),
                         -EKEYREJECTED);
        keys_stream_free(stream);
    }
    assert_int_equal(keys_stream_decrypt(keys, keys_current(keys), header, &stream), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(
            keys_stream_pull(stream, record[i], sizeof(record[i]), "y", 1, &plain, &last),
            -EKEYREJECTED);
        assert_int_equal(
            keys_stream_pull(stream, record[i], sizeof(record[i]), "x", 1, &plain, &last), 0);
        assert_int_equal(plain, "abc"[i]);
        assert_int_equal(last, i == 2);
    }
    keys_stream_free(stream);
    assert_int_equal(keys_stream_decrypt(keys, "00000000", header, &stream), -ENOKEY);
    assert_int_equal(keys_stream_encrypt(NULL, header, &stream), -ENOKEY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(makes_one_that_only_we_can_read, fresh),
        cmocka_unit_test_setup(refuses_a_file_that_others_can_touch, fresh),
        cmocka_unit_test_setup(refuses_what_is_no_file, fresh),
        cmocka_unit_test_setup(refuses_what_is_no_key, fresh),
        cmocka_unit_test_setup(knows_its_own_seal_only, fresh),
        cmocka_unit_test_setup(rotates, fresh),
        cmocka_unit_test_setup(records_have_their_place, fresh),
    };

    return cmocka_run_group_tests(tests, setup, folder_teardown);
}
