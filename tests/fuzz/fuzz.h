/* fuzz.h - what a fuzz target is: libFuzzer's entry, and its name, which is also its corpus's. */
#pragma once

#include <stddef.h>
#include <stdint.h>

extern const char fuzz_name[];

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
