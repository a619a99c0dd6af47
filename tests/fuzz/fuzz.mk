# `make fuzz`: every parser of what comes from outside under libFuzzer (clang), FUZZ_RUNS inputs each;
# `make fuzz FUZZERS=fuzz_pagemap FUZZ_RUNS=10000000` for one. Without clang, `make check` still runs
# each over its corpus (replay.c). A new one: its name in FUZZERS, NAME_SRC, files in corpus/.
FUZZ_RUNS ?= 1000000
FUZZERS ?= fuzz_pagemap fuzz_manifest fuzz_archive
fuzz_pagemap_SRC = tests/fuzz/fuzz_pagemap.c image/pagemap.c image/pb.c
fuzz_manifest_SRC = tests/fuzz/fuzz_manifest.c $(MANIFEST_SRC) \
                    common/fs.c common/dirs.c common/proc.c
fuzz_manifest_PKG = jansson libsodium
fuzz_archive_SRC = tests/fuzz/fuzz_archive.c $(ARCHIVE_SRC) image/seal.c image/hash.c \
                   $(MANIFEST_SRC) $(PACK_SRC) common/fs.c common/dirs.c common/proc.c common/reason.c
fuzz_archive_PKG = libarchive jansson libsodium libzstd

FUZZ_CORPUS = $(CURDIR)/tests/fuzz/corpus
FUZZ_SAN = -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all

define fuzz_unit
UNITS += test_$(1)
test_$(1)_SRC = tests/fuzz/replay.c common/fs.c $$($(1)_SRC)
test_$(1)_PKG = $$($(1)_PKG)
$(BUILD)/fuzz/$(1): $$(patsubst %.c,$(BUILD)/fuzz/obj/%.o,$$(sort $$($(1)_SRC)))
	$$(call say,LD,$$@)
	$$(Q)clang $$(ALL_CFLAGS) $$(FUZZ_SAN) -o $$@ $$^ $$(if $$($(1)_PKG),$$(shell $$(PKG_CONFIG) --libs $$($(1)_PKG)))
endef
$(foreach f,$(FUZZERS),$(eval $(call fuzz_unit,$(f))))

$(BUILD)/san/tests/fuzz/replay.o: ALL_CFLAGS += -DCORPUS='"$(FUZZ_CORPUS)"'

$(BUILD)/fuzz/obj/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)clang $(ALL_CFLAGS) $(FUZZ_SAN) $(PKG_CFLAGS) -MMD -MP -c -o $@ $<
-include $(patsubst %.c,$(BUILD)/fuzz/obj/%.d,$(foreach f,$(FUZZERS),$($(f)_SRC)))

# What it finds goes into the build folder: a new kind of input is worth a file in corpus/ by hand.
.PHONY: fuzz
fuzz: $(addprefix $(BUILD)/fuzz/,$(FUZZERS))
	$(Q)for f in $(FUZZERS); do \
	    name=$${f#fuzz_}; found=$(BUILD)/fuzz/found/$$name; mkdir -p $$found; echo "  FUZZ $$name"; \
	    $(BUILD)/fuzz/$$f -runs=$(FUZZ_RUNS) -verbosity=0 -print_final_stats=1 -timeout=10 \
	        -artifact_prefix=$(BUILD)/fuzz/$$name- $$found $(FUZZ_CORPUS)/$$name || exit 1; \
	done
