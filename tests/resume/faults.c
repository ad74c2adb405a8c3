/* faults.c: makes the n-th call by which a program writes fail. Linked with it, and with each of
 * the functions below as -Wl,--wrap=FUNCTION. In the environment: FAULT_AT=N: the N-th call fails;
 * FAULT_FROM=N: it and all after it; FAULT_COUNT=FILE: the number of calls is written there. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>

static atomic_int calls;
static FILE *broken; /* a stream that could not be written to */

int __real_open(const char *path, int flags, ...);
size_t __real_fwrite(const void *data, size_t size, size_t count, FILE *file);
int __real_ferror(FILE *file);
int __real_fflush(FILE *file);
int __real_fsync(int fd);
int __real_fclose(FILE *file);
int __real_rename(const char *from, const char *to);
int __real_mkdir(const char *path, mode_t mode);
int __real_unlink(const char *path);

int __wrap_open(const char *path, int flags, ...);
size_t __wrap_fwrite(const void *data, size_t size, size_t count, FILE *file);
int __wrap_ferror(FILE *file);
int __wrap_fflush(FILE *file);
int __wrap_fsync(int fd);
int __wrap_fclose(FILE *file);
int __wrap_rename(const char *from, const char *to);
int __wrap_mkdir(const char *path, mode_t mode);
int __wrap_unlink(const char *path);

static int number(const char *name)
{
    const char *text = getenv(name);
    return text ? atoi(text) : 0;
}

static void write_count(void)
{
    FILE *file = fopen(getenv("FAULT_COUNT"), "w");
    if (!file) return;
    fprintf(file, "%d\n", atomic_load(&calls));
    __real_fclose(file);
}

static bool fails(int reason)
{
    int call = atomic_fetch_add(&calls, 1) + 1, from = number("FAULT_FROM");
    if (call == 1 && getenv("FAULT_COUNT")) atexit(write_count);
    if (call != number("FAULT_AT") && !(from && call >= from)) return false;
    errno = reason;
    return true;
}

/* Of opening, only what creates. */
int __wrap_open(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = flags & O_CREAT ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    return flags & O_CREAT && fails(ENOSPC) ? -1 : __real_open(path, flags, mode);
}

/* Not the terminal, nor a stream into memory. */
static bool is_file(FILE *file)
{
    return file && file != stdout && file != stderr && fileno(file) >= 0;
}

/* Whether bytes reach the file: what stays in the stream's buffer cannot fail. */
static bool is_written(FILE *file, size_t bytes)
{
    enum { BUFFER = 4096 };
    off_t at = ftello(file);
    return at < 0 || at / BUFFER != (at + (off_t)bytes) / BUFFER;
}

/* A disk that is full takes a part. */
size_t __wrap_fwrite(const void *data, size_t size, size_t count, FILE *file)
{
    if (!is_file(file) || !is_written(file, size * count) || !fails(ENOSPC))
        return __real_fwrite(data, size, count, file);
    size_t part = count ? __real_fwrite(data, size, count / 2, file) : 0;
    broken = file;
    errno = ENOSPC;
    return part;
}

int __wrap_ferror(FILE *file) { return file == broken || __real_ferror(file); }

int __wrap_fflush(FILE *file) { return is_file(file) && fails(ENOSPC) ? EOF : __real_fflush(file); }

int __wrap_fsync(int fd) { return fails(EIO) ? -1 : __real_fsync(fd); }

int __wrap_fclose(FILE *file)
{
    bool failed = is_file(file) && fails(EIO);
    int result = __real_fclose(file);
    if (broken == file) broken = NULL;
    if (failed) errno = EIO;
    return failed ? EOF : result;
}

int __wrap_rename(const char *from, const char *to)
{
    return fails(EIO) ? -1 : __real_rename(from, to);
}

int __wrap_mkdir(const char *path, mode_t mode)
{
    return fails(EROFS) ? -1 : __real_mkdir(path, mode);
}

int __wrap_unlink(const char *path) { return fails(EIO) ? -1 : __real_unlink(path); }
