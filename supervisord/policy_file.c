/* policy_file.c - the only user of inih: feeds it prepared lines, so that nothing is cut or
 * guessed. */
#include "supervisord/policy_file.h"

#include "common/cleanup.h"
#include "common/nearest.h"

#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#define FILE_MAX_BYTES (1 << 20) /* nobody writes a megabyte of policy */
#define ERRORS_MAX     100       /* of one file */
#define BLANK          " \t"

struct reader {
    const char *path;
    char *data, *next, *end; /* the file's text */
    unsigned line;           /* of the physical line handed to inih last */
    const char *const *sections;
    bool in_section;
    bool skip_section; /* unknown, already reported; or X- */
    bool continued;    /* the line before ended in a backslash */
    bool skip_value;   /* the rest of a continued line that has an error */

    char *section, *key, *value; /* the logical line being put together; key NULL: none */
    const char *indent;          /* blanks before a continuation, which inih drops */
    size_t indent_len;
    unsigned value_line;

    policy_file_value_t on_value;
    void *userdata;
    struct policy_errors *errors;
    size_t errors_before;
    bool invalid;
    int failed; /* <0: stop */
};

static void reader_done(struct reader *reader)
{
    free(reader->data);
    free(reader->section);
    free(reader->key);
    free(reader->value);
}

static void complain(struct reader *reader, unsigned line, const char *message)
{
    int r = policy_errors_add(reader->errors, reader->path, line, "%s", message);

    reader->invalid = true;
    if (r < 0)
        reader->failed = r;
}

/* ---- the whole file ---- */

static int read_all(int fd, size_t size, char **ret_data, size_t *ret_size)
{
    _cleanup_free_ char *data = malloc(size + 1);
    size_t used = 0;

    if (!data)
        return -ENOMEM;
    while (used < size) {
        ssize_t n = read(fd, data + used, size - used);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        used += (size_t)n;
    }
    data[used] = '\0';
    *ret_data = TAKE_PTR(data);
    *ret_size = used;
    return 0;
}

/* POLICY_INVALID: reported. */
static int reader_open(struct reader *reader)
{
    _cleanup_close_ int fd = open(reader->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    struct stat st;
    size_t size = 0;
    int r;

    if (fd < 0 || fstat(fd, &st) < 0)
        return policy_errors_add(reader->errors, reader->path, 0, "cannot be read: %s",
                                 strerror(errno));
    if (!S_ISREG(st.st_mode))
        return policy_errors_add(reader->errors, reader->path, 0,
                                 "is not a regular file; put a text file in its place");
    if (st.st_size > FILE_MAX_BYTES)
        return policy_errors_add(
            reader->errors, reader->path, 0,
            "is huge (%lld bytes, at most %d are read); this is no policy file",
            (long long)st.st_size, FILE_MAX_BYTES);
    r = read_all(fd, (size_t)st.st_size, &reader->data, &size);
    if (r == -ENOMEM)
        return r;
    if (r < 0)
        return policy_errors_add(reader->errors, reader->path, 0, "cannot be read: %s",
                                 strerror(-r));
    reader->next = reader->data;
    reader->end = reader->data + size;
    if (size >= 3 && memcmp(reader->data, "\xef\xbb\xbf", 3) == 0) /* byte order mark */
        reader->next += 3;
    return 0;
}

/* Length of the UTF-8 character at p (RFC 3629), 0 when there is none. */
static size_t utf8_length(const unsigned char *p, const unsigned char *end)
{
    size_t len = *p < 0x80                 ? 1
                 : *p >= 0xc2 && *p < 0xe0 ? 2
                 : *p >= 0xe0 && *p < 0xf0 ? 3
                 : *p >= 0xf0 && *p < 0xf5 ? 4
                                           : 0;

    if (len == 0 || (size_t)(end - p) < len)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    if ((*p == 0xe0 && p[1] < 0xa0) || (*p == 0xed && p[1] > 0x9f) || (*p == 0xf0 && p[1] < 0x90) ||
        (*p == 0xf4 && p[1] > 0x8f))
        return 0;
    return len;
}

/* A binary file is one error, not one per line of it. */
static int check_text(struct reader *reader)
{
    const unsigned char *p = (unsigned char *)reader->next, *end = (unsigned char *)reader->end;
    unsigned line = 1;

    while (p < end) {
        size_t len = utf8_length(p, end);

        if (len == 0 || (*p < ' ' && !strchr("\t\r\n", *p)) || *p == '\0')
            return policy_errors_add(
                reader->errors, reader->path, line,
                "byte 0x%02x: this is not UTF-8 text; nothing of the file is used", *p);
        if (*p == '\n')
            line++;
        p += len;
    }
    return 0;
}

/* ---- logical lines ---- */

/* Hands the line that has been put together on. */
static void flush(struct reader *reader)
{
    if (reader->key && !reader->skip_value && reader->failed >= 0) {
        size_t len = strlen(reader->value);
        int r;

        while (len > 0 && strchr(BLANK, reader->value[len - 1]))
            reader->value[--len] = '\0';
        r = reader->on_value(reader->userdata, reader->section, reader->key, reader->value,
                             reader->path, reader->value_line);
        if (r < 0)
            reader->failed = r;
        else if (r > 0)
            reader->invalid = true;
    }
    free(TAKE_PTR(reader->key));
    free(TAKE_PTR(reader->value));
    reader->continued = reader->skip_value = false;
}

/* inih's handler: the first piece of a value, or another one of the line before. */
static int on_piece(void *userdata, const char *section, const char *name, const char *piece)
{
    struct reader *reader = userdata;
    size_t len = strlen(piece), old = reader->value ? strlen(reader->value) : 0;
    char *value;

    if (reader->failed < 0)
        return 0;
    if (!reader->key) {
        free(reader->section);
        reader->section = strdup(section);
        reader->key = strdup(name);
        reader->value_line = reader->line;
        reader->indent_len = 0;
    }
    value = realloc(reader->value, old + reader->indent_len + len + 1);
    if (value)
        reader->value = value;
    if (!value || !reader->section || !reader->key) {
        reader->failed = -ENOMEM;
        return 0;
    }
    memcpy(value + old, reader->indent, reader->indent_len);
    memcpy(value + old + reader->indent_len, piece, len + 1);
    if (reader->continued) /* systemd.syntax(7): the backslash becomes a space */
        value[strlen(value) - 1] = ' ';
    else
        flush(reader);
    return 1;
}

/* ---- physical lines, as inih asks for them ---- */

static void check_section(struct reader *reader, char *text)
{
    char *close = strchr(text, ']');
    const char *meant;
    char message[256];

    reader->skip_section = reader->in_section = true;
    if (!close || close[1 + strspn(close + 1, BLANK)] != '\0')
        complain(reader, reader->line, "a section is written [Name] and nothing else in the line");
    if (!close)
        return;
    *close = '\0';
    for (const char *const *s = reader->sections; *s; s++)
        if (strcmp(*s, text + 1) == 0)
            reader->skip_section = false;
    if (reader->skip_section && strncmp(text, "[X-", 3) != 0) {
        meant = nearest_word(text + 1, reader->sections);
        snprintf(message, sizeof(message), "unknown section [%.64s]%s%s%s; nothing of it is used",
                 text + 1, meant ? "; did you mean [" : "", meant ? meant : "", meant ? "]?" : "");
        complain(reader, reader->line, message);
    }
    *close = ']';
    close[1] = '\0';
}

static size_t trimmed_length(const char *text)
{
    size_t len = strlen(text);

    while (len > 0 && strchr(BLANK, text[len - 1]))
        len--;
    return len;
}

static bool ends_in_backslash(const char *text)
{
    size_t len = trimmed_length(text), n = 0;

    while (n < len && text[len - 1 - n] == '\\')
        n++;
    return n % 2;
}

/* What inih would cut or read otherwise than systemd; NULL when the line is fine. */
static const char *line_fault(const struct reader *reader, const char *text, bool first)
{
    size_t key = strcspn(text, "=:");

    if (!reader->in_section)
        return "this line comes before the first [Section]; write [Service] above it";
    for (const char *p = text + 1; *p; p++)
        if (*p == ';' && strchr(BLANK, p[-1]))
            return "\" ;\" inside a line would begin a comment and cut the value; write a comment "
                   "on "
                   "a line of its own, and \"\\;\" for a word that is a semicolon";
    if (text[trimmed_length(text)] != '\0' && ends_in_backslash(text))
        return "there is a blank after the backslash at the end of the line; remove the blank";
    if (first && (text[key] != '=' || key == 0))
        return "this is no \"Key=value\"; if it belongs to the line before, end that with a "
               "backslash";
    return NULL;
}

/* Cuts the next physical line off the text; NULL at the end. */
static char *next_line(struct reader *reader)
{
    char *text = reader->next, *newline;

    if (text >= reader->end || reader->failed < 0)
        return NULL;
    if (reader->errors->count - reader->errors_before >= ERRORS_MAX) {
        complain(reader, reader->line, "too many errors; the rest of the file is not read");
        reader->next = reader->end;
        return NULL;
    }
    newline = memchr(text, '\n', (size_t)(reader->end - text));
    reader->next = newline ? newline + 1 : reader->end;
    if (newline)
        *newline = '\0';
    if (newline && newline > text && newline[-1] == '\r')
        newline[-1] = '\0';
    reader->line++;
    return text;
}

/* The text that inih is to see of this line, "" for none; sets what on_piece() must know. */
static const char *prepare(struct reader *reader, char *raw, size_t room)
{
    char *text = raw + strspn(raw, BLANK);
    bool first = !reader->continued;
    const char *fault;
    char message[160];

    if (*text == '#' || *text == ';')
        return "";
    if (*text == '\0') {
        flush(reader);
        return "";
    }
    if (first && *text == '[') {
        check_section(reader, text);
        return reader->skip_section ? "" : text;
    }
    reader->indent = raw;
    reader->indent_len = (size_t)(text - raw);
    reader->continued = ends_in_backslash(text);
    if (reader->skip_section || reader->skip_value) {
        reader->skip_value = reader->continued;
        return "";
    }
    snprintf(
        message, sizeof(message),
        "line too long for one line (%zu bytes): break it with a backslash at the end of the line",
        room);
    fault = strlen(text) > room ? message : line_fault(reader, text, first);
    if (fault) {
        complain(reader, reader->line, fault);
        if (!reader->in_section)
            reader->skip_section = true; /* said once, not for every line */
        free(TAKE_PTR(reader->key));
        free(TAKE_PTR(reader->value));
        reader->skip_value = reader->continued;
        return "";
    }
    return text;
}

/* inih's reader, like fgets(3): the line ends in "\n", or newer versions take it for cut. A leading
 * blank makes inih take it as more of the value before. */
static char *read_line(char *buffer, int size, void *userdata)
{
    struct reader *reader = userdata;
    bool more = reader->continued;
    char *raw = next_line(reader);
    const char *text;

    if (!raw)
        return NULL;
    text = prepare(reader, raw, (size_t)size - strlen("\n") - 1 - more);
    stpcpy(stpcpy(stpcpy(buffer, more && *text ? " " : ""), text), "\n");
    return buffer;
}

int policy_file_read(const char *path, const char *const *sections, policy_file_value_t on_value,
                     void *userdata, struct policy_errors *errors)
{
    _cleanup_(reader_done) struct reader reader = {
        .path = path,
        .sections = sections,
        .on_value = on_value,
        .userdata = userdata,
        .errors = errors,
        .errors_before = errors->count,
    };
    int r = reader_open(&reader);

    if (r == 0)
        r = check_text(&reader);
    if (r != 0)
        return r;
    r = ini_parse_stream(read_line, &reader, on_piece, &reader);
    if (r < 0)
        return -ENOMEM;
    flush(&reader); /* a backslash at the end of the file */
    if (reader.failed < 0)
        return reader.failed;
    return reader.invalid ? POLICY_INVALID : 0;
}
