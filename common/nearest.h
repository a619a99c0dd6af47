/* nearest.h - the known word that somebody probably meant, for "did you mean". */
#pragma once

/* The entry of NULL-terminated `words` that takes the fewest edits (letter added, dropped, changed,
 * two swapped; case does not count) to become `word`; NULL when none is near enough to be meant: at
 * most a third of the letters, but one edit is always allowed. Borrowed from `words`. */
const char *nearest_word(const char *word, const char *const *words);
