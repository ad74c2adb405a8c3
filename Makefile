# Interim
CFLAGS ?= -O2 -g
build/libtlcrt.a: $(patsubst runtime/%.c,build/runtime/%.o,$(wildcard runtime/*.c))
	ar rcs $@ $^
build/runtime/%.o: runtime/%.c runtime/rt.h runtime/internal.h
	@mkdir -p build/runtime
	$(CC) -std=gnu11 $(CFLAGS) -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -I/usr/include/hdf5/serial -c $< -o $@
