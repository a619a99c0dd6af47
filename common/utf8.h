/* utf8.h - text from outside made fit for JSON and D-Bus, which take nothing but UTF-8. */
#pragma once

/* Replaces every byte that is not part of valid UTF-8 (RFC 3629) by '?', in place. */
void utf8_mend(char *text);
