/* file.c: output that is whole or absent, and input as mapped memory.
 *
 * A new file is written beside its final name, flushed to the disk and renamed. The rename is
 * atomic, so a reader sees the old file or the new one; the fsync before it matters, for a rename
 * may reach the disk before the data that it names. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal.h"

enum { MAX_OUT = 16 };

struct RtOut {
    atomic_bool taken;
    atomic_int owner; /* the process that must remove the file; 0: there is none to remove */
    FILE *stream;
    char *path, *unfinished;
};

/* A fixed table, for a signal handler must be able to walk it. */
static RtOut outs[MAX_OUT];

static _Noreturn void die_writing(const char *path, const char *what)
{
    int reason = errno;
    rt_die(RT_NO_ROOM,
           reason == ENOSPC || reason == EDQUOT
               ? "make room, or name another folder; a file of that name is still as it was"
               : NULL,
           "%s: cannot %s: %s", path, what, strerror(reason));
}

static char *parent_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash) return rt_format(".");
    return slash == path ? rt_format("/") : rt_format("%.*s", (int)(slash - path), path);
}

static void make_folder(const char *path)
{
    struct stat info;
    if (mkdir(path, 0777) == 0) return;
    if (errno == EEXIST && stat(path, &info) == 0) {
        if (S_ISDIR(info.st_mode)) return;
        errno = ENOTDIR;
    }
    die_writing(path, "make this folder");
}

void rt_make_folders(const char *path)
{
    char *copy = rt_format("%s", path);
    for (char *at = copy + 1; *copy && *at; at++) {
        if (*at != '/') continue;
        *at = 0;
        make_folder(copy);
        *at = '/';
    }
    if (*copy) make_folder(copy);
    free(copy);
}

static RtOut *take_slot(void)
{
    for (int i = 0; i < MAX_OUT; i++)
        if (!atomic_exchange(&outs[i].taken, true)) return &outs[i];
    rt_die(RT_FAILED, NULL, "more than %d files are being written at once", MAX_OUT);
}

/* A link keeps its place and its target is replaced; a device or pipe must not be renamed over. */
static char *final_path(const char *path)
{
    struct stat info;
    char *target = realpath(path, NULL);
    if (!target) return rt_format("%s", path);
    if (stat(target, &info) == 0 && !S_ISREG(info.st_mode))
        rt_die(RT_NO_ROOM, "name a file that can be replaced", "%s: is not a regular file", path);
    return target;
}

RtOut *rt_out_open(const char *path)
{
    char *folder = parent_of(path);
    rt_make_folders(folder);
    free(folder);
    RtOut *out = take_slot();
    out->path = final_path(path);
    out->unfinished = rt_format("%s.tmp.%d", out->path, (int)getpid());
    unlink(out->unfinished); /* of a killed process that had our number */
    int fd = open(out->unfinished, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0) die_writing(out->unfinished, "create");
    atomic_store(&out->owner, getpid());
    out->stream = fdopen(fd, "wb");
    if (!out->stream) die_writing(out->unfinished, "create");
    return out;
}

void rt_out_write(RtOut *out, const void *data, size_t bytes)
{
    if (bytes && fwrite(data, 1, bytes, out->stream) != bytes) die_writing(out->path, "write");
}

FILE *rt_out_file(RtOut *out) { return out->stream; }

/* Makes the new name itself durable. Some file systems refuse fsync on folders: no more can be
 * done there. */
static void sync_folder_of(const char *path)
{
    char *folder = parent_of(path);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0 && fsync(fd) < 0 && errno != EINVAL && errno != ENOTSUP) die_writing(path, "sync");
    if (fd >= 0) close(fd);
    free(folder);
}

void rt_out_commit(RtOut *out)
{
    if (ferror(out->stream) | fflush(out->stream)) die_writing(out->path, "write");
    if (fsync(fileno(out->stream)) < 0) die_writing(out->path, "sync");
    if (fclose(out->stream) != 0) die_writing(out->path, "close");
    if (rename(out->unfinished, out->path) < 0) die_writing(out->path, "rename to this name");
    atomic_store(&out->owner, 0);
    sync_folder_of(out->path);
    free(out->path);
    free(out->unfinished);
    atomic_store(&out->taken, false);
}

/* Children of fork share the table, not the files. */
void rt_out_remove_unfinished(void)
{
    for (int i = 0; i < MAX_OUT; i++)
        if (atomic_load(&outs[i].owner) == getpid()) unlink(outs[i].unfinished);
}

const unsigned char *rt_map(const char *path, size_t limit, int code, size_t *bytes)
{
    /* O_NONBLOCK: opening a pipe must not wait for its writer. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat info;
    if (fd < 0 || fstat(fd, &info) < 0)
        rt_die(code, NULL, "%s: cannot open: %s", path, strerror(errno));
    if (!S_ISREG(info.st_mode)) rt_die(code, NULL, "%s: is not a regular file", path);
    if ((uint64_t)info.st_size > limit)
        rt_die(code, NULL, "%s: has %lld bytes; at most %zu are taken", path,
               (long long)info.st_size, limit);
    *bytes = (size_t)info.st_size;
    void *data = "";
    if (*bytes) data = mmap(NULL, *bytes, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED) rt_die(code, NULL, "%s: cannot map: %s", path, strerror(errno));
    close(fd);
    return data;
}

void rt_map_forget(const void *mapped, size_t bytes)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t from = ((uintptr_t)mapped + page - 1) / page * page;
    uintptr_t to = ((uintptr_t)mapped + bytes) / page * page;
    if (from < to) madvise((void *)from, to - from, MADV_DONTNEED);
}

void rt_unmap(const unsigned char *data, size_t bytes)
{
    if (bytes) munmap((void *)data, bytes);
}
