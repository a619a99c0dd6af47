/* explain.h - from a CRIU error line to what a person can do about it. Pure. */
#pragma once

/* The cure for an error line of CRIU (or of ours); a general one when the table has none. Never
 * NULL; static text of one line. */
const char *explain(const char *error);
