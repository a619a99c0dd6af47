/* words.h - splits a command line into words with systemd's quoting, systemd.service(5) "Command
 * lines":
 * "..." and '...', C escapes, \s for a space; no shell, no variables. */
#pragma once

/* The next word as a new string; *cursor moves on. WORDS_END: no more words. -EINVAL: a quote that
 * is not closed, an unknown escape, or one that means NUL. */
enum { WORDS_END = 1 };
int words_next(const char **cursor, char **ret_word);

/* All words as a new NULL-terminated vector (common/strv.h); NULL when there are none. */
int words_split(const char *text, char ***ret_words);

/* The line that words_split() makes `words` of; new string, NULL when out of memory. */
char *words_join(char *const *words);
