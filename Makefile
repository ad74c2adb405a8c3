# tlc: `make demo` and `make test` need nothing installed beforehand but make and a shell with apt.
#
#   all       tlc and libtlcrt.a            demo     train a real classifier in a few minutes
#   test      every test without Python     parity   compare with Keras, live
#   check-asan  the tests under sanitizers  fuzz     each fuzzer for FUZZ_SECONDS (60)
#   bench     timings beside its peers      golden   record the goldens from Keras anew
#   nightly   a thousand kills of a training
#   install   PREFIX=/usr/local DESTDIR=    uninstall

PREFIX ?= /usr/local
VERSION := 0.1.0
BUILD ?= build
JOBS ?= $(shell nproc)
CC ?= cc
CFLAGS ?= -O2 -g
WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Werror
H5_CFLAGS := $(shell pkg-config --cflags hdf5 2>/dev/null || echo -I/usr/include/hdf5/serial)
H5_LIBS := $(shell pkg-config --libs hdf5 2>/dev/null || echo -lhdf5_serial)
RT_LIBS := $(H5_LIBS) -lcjson -ljpeg -lpng -lzip -lmd -lxxhash -lpthread -lm
TLC_LIBS := -lcjson -lmd -lm
COMPILE = $(CC) -std=gnu11 $(CFLAGS) $(WARNINGS) -MMD -MP

OPS := $(sort $(wildcard compiler/ops/*.c))
BASES := $(sort $(wildcard compiler/bases/*.c))
TEMPLATES := $(sort $(wildcard templates/*.c))
TLC_OBJECTS := $(patsubst %.c,$(BUILD)/%.o,$(sort $(wildcard compiler/*.c)) $(OPS) $(BASES)) \
               $(BUILD)/compiler/lists.o $(BUILD)/runtime/summary.o $(BUILD)/runtime/cpu.o
RT_OBJECTS := $(patsubst %.c,$(BUILD)/%.o,$(sort $(wildcard runtime/*.c)))

all: $(BUILD)/tlc $(BUILD)/libtlcrt.a $(BUILD)/tlcrt.pc

$(BUILD)/tlc: $(TLC_OBJECTS)
	$(CC) $(CFLAGS) $(LDFLAGS) $^ $(TLC_LIBS) -o $@

$(BUILD)/libtlcrt.a: $(RT_OBJECTS)
	rm -f $@
	ar rcs $@ $^

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(COMPILE) $(H5_CFLAGS) -Icompiler -Iruntime -I$(BUILD) -c $< -o $@

# The lists of ops and bases come from the files: adding one edits nothing else.
$(BUILD)/compiler/lists.c: $(OPS) $(BASES) Makefile
	@mkdir -p $(@D)
	@{ echo '#include "tlc.h"'; \
	   sed -n 's/^const Op \(op_[a-z0-9_]*\) = {.*/extern const Op \1;/p' $(OPS); \
	   sed -n 's/^const BaseKind \(base_[a-z0-9_]*\) = {.*/extern const BaseKind \1;/p' $(BASES); \
	   echo 'const Op *const op_list[] = {'; \
	   sed -n 's/^const Op \(op_[a-z0-9_]*\) = {.*/    \&\1,/p' $(OPS); \
	   echo '    0};'; echo 'const BaseKind *const base_list[] = {'; \
	   sed -n 's/^const BaseKind \(base_[a-z0-9_]*\) = {.*/    \&\1,/p' $(BASES); \
	   echo '    0};'; } > $@

$(BUILD)/compiler/lists.o: $(BUILD)/compiler/lists.c
	$(COMPILE) -Icompiler -c $< -o $@

# The templates as C strings.
$(BUILD)/templates.inc: $(TEMPLATES)
	@mkdir -p $(@D)
	@for f in $(TEMPLATES); do sed 's/\\/\\\\/g; s/"/\\"/g; s/^/"/; s/$$/\\n"/' $$f; echo ,; done > $@

$(BUILD)/compiler/template.o: $(BUILD)/templates.inc

$(BUILD)/tlcrt.pc: Makefile
	@mkdir -p $(@D)
	@printf 'prefix=%s\nlibdir=$${prefix}/lib\nincludedir=$${prefix}/include/tlc\n\n' '$(PREFIX)' > $@
	@printf 'Name: tlcrt\nDescription: runtime of programs that tlc generates\n' >> $@
	@printf 'Version: $(VERSION)\nCflags: -I$${includedir}\nLibs: -L$${libdir} -ltlcrt $(RT_LIBS)\n' >> $@

# ---- Tests ---------------------------------------------------------------------------------------

UNIT_HELPERS := $(wildcard tests/unit/*.h)
UNIT_TESTS := $(patsubst %.c,$(BUILD)/%,$(sort $(wildcard tests/unit/*.c) $(wildcard tests/compiler/*.c)))
export BUILD CC RT_LIBS JOBS

$(BUILD)/tests/unit/%: tests/unit/%.c $(UNIT_HELPERS) $(BUILD)/libtlcrt.a
	@mkdir -p $(@D)
	$(COMPILE) $(H5_CFLAGS) -Iruntime $< $(BUILD)/libtlcrt.a $(LDFLAGS) -lcmocka $(RT_LIBS) -o $@

$(BUILD)/tests/compiler/%: tests/compiler/%.c $(TLC_OBJECTS)
	@mkdir -p $(@D)
	$(COMPILE) -Icompiler -Iruntime $< $(filter-out %/compiler/main.o,$(TLC_OBJECTS)) $(LDFLAGS) -lcmocka $(TLC_LIBS) -o $@

# The same library with double for real, for finite differences.
$(BUILD)/double/libtlcrt.a: $(wildcard runtime/*.[ch])
	$(MAKE) BUILD=$(BUILD)/double CFLAGS="$(CFLAGS) -DRT_DOUBLE -Wno-psabi" $@

# The same library with plain C in the place of AMX's tiles; see rt.h.
$(BUILD)/standin/libtlcrt.a: $(wildcard runtime/*.[ch])
	$(MAKE) BUILD=$(BUILD)/standin CFLAGS="$(CFLAGS) -DRT_AMX_STANDIN=$(STANDIN)" $@

# 1: with AVX512_BF16's instructions, which AMX's level has too.
STANDIN := $(shell grep -qw avx512_bf16 /proc/cpuinfo && echo 1 || echo 0)
export STANDIN

SUITES = $(UNIT_TESTS) tests/structure.sh tests/templates.sh tests/schema.sh tests/help.sh tests/bad/run \
         tests/ops/run tests/accuracy/run tests/precision/run tests/emitted.sh tests/tuned.sh \
         tests/recipe.sh tests/golden/epochs/run \
         "tests/golden/run $(GOLDEN)" tests/programs.sh tests/resume/run \
         tests/callbacks/run tests/cache.sh tests/report.sh tests/check/run tests/dryrun.sh \
         tests/photos.sh

packages-%:
	@tools/packages.sh $*

test: packages-test
	$(MAKE) -j$(JOBS) all $(UNIT_TESTS) $(BUILD)/double/libtlcrt.a \
	    $(BUILD)/standin/libtlcrt.a
	tests/run.sh $(SUITES)

# The whole suite again under both sanitizers; the large pictures, and most of the many kills and
# failing calls, are left to the plain one. Programs have the generic level alone, which compiles in a
# third of the time; the suites that test levels choose theirs.
check-asan: packages-test
	KILLS=30 FAULT_STEP=5 $(MAKE) test BUILD=$(BUILD)/asan GOLDEN=--small \
	    CFLAGS="-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined" \
	    TEST_CFLAGS="-O0 -fsanitize=address,undefined -fno-sanitize-recover=undefined \
	        -DRT_FILE_LEVELS=0"

# What takes too long for every change.
nightly: packages-test
	$(MAKE) -j$(JOBS) all
	KILLS=1000 SEED=$$(date +%s) tests/run.sh tests/resume/run

clean:
	rm -rf $(BUILD)

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
.PHONY: all test check-asan nightly clean
.SECONDARY:

# ---- Demo, Keras, fuzzers, installation ----------------------------------------------------------

# DATA= and WEIGHTS= name a folder of pictures and a weight file of one's own.
demo: packages-demo
	$(MAKE) -j$(JOBS) all $(BUILD)/tools/digits
	BUILD=$(BUILD) tools/demo.sh

$(BUILD)/tools/%: tools/%.c
	@mkdir -p $(@D)
	$(COMPILE) $< $(LDFLAGS) -ljpeg -o $@

# Keras beside tlc; tests/parity/README.md lists the settings. DATA= and WEIGHTS= as above.
parity: packages-parity
	$(MAKE) all
	tests/parity/run

golden: packages-parity
	$(MAKE) all
	tests/parity/install.sh $(BUILD)/parity-venv
	$(BUILD)/parity-venv/bin/python tests/parity/record.py

FUZZ_SECONDS ?= 60
FUZZERS := $(patsubst %,$(BUILD)/tests/fuzz/%,image facts weights model)

fuzz: packages-test
	$(MAKE) -j$(JOBS) BUILD=$(BUILD)/fuzz CC=clang-14 fuzzers \
	    CFLAGS="-O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined"
	BUILD=$(BUILD)/fuzz tests/run.sh "tests/fuzz/run $(FUZZ_SECONDS)"

fuzzers: $(FUZZERS)

$(BUILD)/tests/fuzz/%: tests/fuzz/%.c tests/fuzz/die.c $(BUILD)/libtlcrt.a
	@mkdir -p $(@D)
	$(COMPILE) $(H5_CFLAGS) -Iruntime -fsanitize=fuzzer $(filter %.c %.a,$^) $(LDFLAGS) -lcmocka $(RT_LIBS) -o $@

$(BUILD)/tests/fuzz/model: tests/fuzz/model.c $(TLC_OBJECTS)
	@mkdir -p $(@D)
	$(COMPILE) -Icompiler -Iruntime -fsanitize=fuzzer $(filter-out %.h %/main.o,$^) $(LDFLAGS) $(TLC_LIBS) \
	    -o $@

# The pkg-config file names the place where things are installed, not where they were built for.
install: all
	install -d $(addprefix $(DESTDIR)$(PREFIX)/,bin lib/pkgconfig include/tlc share/tlc share/man/man1)
	install $(BUILD)/tlc $(DESTDIR)$(PREFIX)/bin/tlc
	install -m 644 $(BUILD)/libtlcrt.a $(DESTDIR)$(PREFIX)/lib/libtlcrt.a
	install -m 644 runtime/rt.h $(DESTDIR)$(PREFIX)/include/tlc/rt.h
	install -m 644 docs/model.schema.json $(DESTDIR)$(PREFIX)/share/tlc/model.schema.json
	install -m 644 docs/tlc.1 $(DESTDIR)$(PREFIX)/share/man/man1/tlc.1
	sed 's|^prefix=.*|prefix=$(PREFIX)|' $(BUILD)/tlcrt.pc >$(DESTDIR)$(PREFIX)/lib/pkgconfig/tlcrt.pc

uninstall:
	rm -f $(addprefix $(DESTDIR)$(PREFIX)/,bin/tlc lib/libtlcrt.a lib/pkgconfig/tlcrt.pc \
	    share/tlc/model.schema.json share/man/man1/tlc.1 include/tlc/rt.h)
	rmdir $(addprefix $(DESTDIR)$(PREFIX)/,include/tlc share/tlc) 2>/dev/null || true

.PHONY: demo parity golden fuzz fuzzers install uninstall

# ---- Measurements --------------------------------------------------------------------------------

# BENCH_FLAGS: options of bench/run.py, such as --quick. WEIGHTS= and DATA= as in demo.
bench: packages-parity
	$(MAKE) all
	bench/run $(BENCH_FLAGS)

.PHONY: bench
