# perdure: plain make. What is made of what is in sources.mk.
#   make            the programs, into build/ (BUILD=)       make deps     installs what is missing
#   make check      proves the tree: everything built, layers, units, flow tests
#   make units      the unit tests, not run                  make fuzz     parsers, see tests/fuzz
#   make demo, make bench                                    make install, make uninstall (PREFIX=)
#   make chaos, make campaign     kills and failures for longer than `make check` has time for
#   make clang, make check-layers, make format, make clean
BUILD ?= build
# Absolute, so that the dependency files mean the same objects however the folder was named.
override BUILD := $(abspath $(or $(BUILD),build))
PREFIX ?= /usr/local
DESTDIR ?=
bindir = $(PREFIX)/bin
libexecdir = $(PREFIX)/libexec/perdure
mandir = $(PREFIX)/share/man
docdir = $(PREFIX)/share/doc/perdure
unitdir = $(PREFIX)/lib/systemd/system
tmpfilesdir = $(PREFIX)/lib/tmpfiles.d
bashdir = $(PREFIX)/share/bash-completion/completions
zshdir = $(PREFIX)/share/zsh/site-functions

# Where the distribution's CRIU does not work on this kernel, `make deps` builds one here.
CRIU_PREFIX ?= /opt/perdure/criu
# Not by `export`: $(shell) does not see exported variables before GNU make 4.4.
PKG_CONFIG = PKG_CONFIG_PATH=$(wildcard $(CRIU_PREFIX)/lib/pkgconfig):$(PKG_CONFIG_PATH) pkg-config

VERSION := $(shell cat VERSION)
WARN = -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
       -Wformat=2 -Wno-unused-parameter
CFLAGS ?= -O2 -g
FORTIFY = -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
ALL_CFLAGS = -std=gnu11 -D_GNU_SOURCE -I. $(WARN) -fstack-protector-strong $(CFLAGS) \
             -DPERDURE_VERSION='"$(VERSION)"' -DLIBEXECDIR='"$(libexecdir)"' \
             -DCRIU_DEFAULT='"$(CRIU_PREFIX)/sbin/criu"'
ALL_LDFLAGS = -Wl,-z,relro,-z,now -Wl,--as-needed $(LDFLAGS)

# V=1 shows the whole command lines.
Q = $(if $(V),,@)
say = $(if $(V),,@printf '  %-4s %s\n' $(1) $(2))

.PHONY: all deps units check check-layers clang demo bench chaos campaign install uninstall format clean
all:

include sources.mk
include tests/fuzz/fuzz.mk

PKG_CFLAGS := $(shell $(PKG_CONFIG) --cflags libsystemd jansson criu 2>/dev/null)
programs = $(addprefix $(BUILD)/,$(PROGRAMS))
test_programs = $(addprefix $(BUILD)/,$(TEST_PROGRAMS))
unit_programs = $(addprefix $(BUILD)/unit/,$(UNITS))

all: $(programs) $(test_programs)

# Private libraries' folder: found at run time too.
criu_rpath = $(if $(findstring criu,$(1)),$(addprefix -Wl$(comma)-rpath$(comma),$(wildcard $(CRIU_PREFIX)/lib)))
comma = ,

define program
$(BUILD)/$(1): $$(patsubst %.c,$(BUILD)/obj/%.o,$$(sort $$($(1)_SRC)))
	$$(call say,LD,$$@)
	$$(Q)$$(CC) $$(ALL_CFLAGS) $$(ALL_LDFLAGS) -o $$@ $$^ $$(if $$($(1)_PKG),$$(shell $$(PKG_CONFIG) --libs $$($(1)_PKG))) $$($(1)_LIBS) $$(call criu_rpath,$$($(1)_PKG))
endef
$(foreach p,$(PROGRAMS) $(TEST_PROGRAMS),$(eval $(call program,$(p))))

$(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(ALL_CFLAGS) $(FORTIFY) $(PKG_CFLAGS) -MMD -MP -c -o $@ $<

# Units are built apart, with sanitizers, from exactly the sources each one names.
SAN = -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
define unit
$(BUILD)/unit/$(1): $$(patsubst %.c,$(BUILD)/san/%.o,$$(sort $$($(1)_SRC)))
	@mkdir -p $$(@D)
	$$(call say,LD,$$@)
	$$(Q)$$(CC) $$(ALL_CFLAGS) $$(SAN) $$(LDFLAGS) -o $$@ $$^ $$(shell $$(PKG_CONFIG) --libs cmocka $$($(1)_PKG)) $$($(1)_LIBS)
endef
$(foreach t,$(UNITS),$(eval $(call unit,$(t))))
$(BUILD)/san/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(ALL_CFLAGS) $(SAN) $(PKG_CFLAGS) -MMD -MP -c -o $@ $<

-include $(patsubst %.c,$(BUILD)/obj/%.d,$(foreach p,$(PROGRAMS) $(TEST_PROGRAMS),$($(p)_SRC)))
-include $(patsubst %.c,$(BUILD)/san/%.d,$(foreach t,$(UNITS),$($(t)_SRC)))

units: $(unit_programs)

deps:
	@scripts/deps.sh

check-layers:
	@scripts/check-layers.sh

# A second compiler sees other things; only where it is installed.
clang:
	@if command -v clang >/dev/null; then $(MAKE) --no-print-directory BUILD=$(BUILD)/clang CC=clang all; \
	else echo "clang is not installed: built with $(CC) only"; fi

check: all units check-layers clang
	@BUILD=$(abspath $(BUILD)) tests/run

demo: all
	@BUILD=$(abspath $(BUILD)) scripts/demo.sh

bench: all
	@BUILD=$(abspath $(BUILD)) ROWS='$(ROWS)' tests/bench/bench.py

# Daemons killed at random, and at every visible system call, for longer than `make check` has time for: CHAOS_SECONDS=600 make chaos
chaos: all
	@BUILD=$(abspath $(BUILD)) CHAOS_SECONDS=$(or $(CHAOS_SECONDS),300) tests/run -f chaos: steps:

# Whatever changes the store killed and made to fail at every system call, and a byte flipped anywhere, for longer than
# `make check` has time for: ROUNDS=1000 FLIPS=2000 SEED=1 make campaign
campaign: all
	@BUILD=$(abspath $(BUILD)) ROUNDS=$(or $(ROUNDS),1000) FLIPS=$(or $(FLIPS),2000) tests/run -f store_kills: flips:

install: all
	install -d $(DESTDIR)$(bindir) $(DESTDIR)$(libexecdir) $(DESTDIR)$(unitdir) $(DESTDIR)$(tmpfilesdir) \
	    $(DESTDIR)$(mandir)/man1 $(DESTDIR)$(mandir)/man5 $(DESTDIR)$(mandir)/man8 $(DESTDIR)$(docdir)/policies
	install -m 755 $(BUILD)/perdure $(DESTDIR)$(bindir)/perdure
	install -m 755 $(addprefix $(BUILD)/,$(filter-out perdure,$(PROGRAMS))) $(DESTDIR)$(libexecdir)/
	install -m 644 docs/*.1 $(DESTDIR)$(mandir)/man1/
	install -m 644 docs/*.5 $(DESTDIR)$(mandir)/man5/
	install -m 644 docs/*.8 $(DESTDIR)$(mandir)/man8/
	install -m 644 README.md LICENSE docs/*.md docs/*.svg $(DESTDIR)$(docdir)/
	install -m 644 policies/*.ini $(DESTDIR)$(docdir)/policies/
	install -D -m 644 completions/perdure.bash $(DESTDIR)$(bashdir)/perdure
	install -D -m 644 completions/_perdure $(DESTDIR)$(zshdir)/_perdure
	install -m 644 units/perdure-tmpfiles.conf $(DESTDIR)$(tmpfilesdir)/perdure.conf
	sed 's,@libexecdir@,$(libexecdir),g' units/perdure.service >$(DESTDIR)$(unitdir)/perdure.service
	chmod 644 $(DESTDIR)$(unitdir)/perdure.service

# Only what install put there; /etc/perdure and /var/lib/perdure are the administrator's.
uninstall:
	rm -f $(DESTDIR)$(bindir)/perdure $(DESTDIR)$(unitdir)/perdure.service $(DESTDIR)$(tmpfilesdir)/perdure.conf
	rm -f $(addprefix $(DESTDIR)$(mandir)/man1/,$(notdir $(wildcard docs/*.1)))
	rm -f $(addprefix $(DESTDIR)$(mandir)/man5/,$(notdir $(wildcard docs/*.5)))
	rm -f $(addprefix $(DESTDIR)$(mandir)/man8/,$(notdir $(wildcard docs/*.8)))
	rm -f $(DESTDIR)$(bashdir)/perdure $(DESTDIR)$(zshdir)/_perdure
	rm -rf $(DESTDIR)$(libexecdir) $(DESTDIR)$(docdir)

format:
	git ls-files '*.c' '*.h' | xargs clang-format -i

clean:
	rm -rf $(BUILD)
