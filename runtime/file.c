/* file.c: output that is whole or absent, and input as mapped memory.
 *
 * A new file is written beside its final name, flushed to the disk and renamed. The rename is
 * atomic, so a reader sees the old file or the new one; the fsync before it matters, for a rename
 * may reach the disk before the data that it names. */
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files.h"
#include "ground.h"

enum { MAX_OUT = 16 };

struct RtOut {
    atomic_bool taken;
    atomic_int owner; /* the process that must remove the file; 0: there is none to remove */
    FILE *stream;
    char *path, *unfinished;
    bool may_fail;
    int reason; /* errno of the first failure; 0: none */
    const char *what;
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

static bool make_folder(const char *path)
{
    struct stat info;
    if (mkdir(path, 0777) == 0) return true;
    if (errno != EEXIST || stat(path, &info) != 0) return false;
    if (S_ISDIR(info.st_mode)) return true;
    errno = ENOTDIR;
    return false;
}

/* NULL, or the folder that cannot be made, with the reason in errno. */
static char *make_folders(const char *path)
{
    char *copy = rt_format("%s", path);
    for (char *at = copy + 1; *copy && *at; at++) {
        if (*at != '/') continue;
        *at = 0;
        if (!make_folder(copy)) return copy;
        *at = '/';
    }
    if (*copy && !make_folder(copy)) return copy;
    free(copy);
    return NULL;
}

/* "x.tmp.123" */
static bool is_unfinished(const char *name)
{
    const char *end = strstr(name, ".tmp.");
    if (!end || !isdigit((unsigned char)end[5])) return false;
    return strspn(end + 5, "0123456789") == strlen(end + 5);
}

void rt_out_remove_abandoned(const char *folder)
{
    DIR *entries = opendir(folder);
    if (!entries) return;
    for (struct dirent *entry; (entry = readdir(entries));) {
        if (!is_unfinished(entry->d_name)) continue;
        char *path = rt_format("%s/%s", folder, entry->d_name);
        unlink(path);
        free(path);
    }
    closedir(entries);
}

void rt_make_folders(const char *path)
{
    char *refused = make_folders(path);
    if (refused) die_writing(refused, "make this folder");
}

bool rt_try_folders(const char *path)
{
    char *refused = make_folders(path);
    if (refused) rt_warn("%s: cannot make this folder: %s", refused, strerror(errno));
    free(refused);
    return !refused;
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

/* Ends the program, or remembers the first failure until the commit. */
static void fail(RtOut *out, const char *path, const char *what)
{
    if (!out->may_fail) die_writing(path, what);
    if (out->reason) return;
    out->reason = errno;
    out->what = what;
}

static void open_unfinished(RtOut *out)
{
    int fd = open(out->unfinished, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd >= 0) {
        atomic_store(&out->owner, getpid());
        out->stream = fdopen(fd, "wb");
        if (out->stream) return;
        close(fd);
    }
    fail(out, out->unfinished, "create");
    out->stream = fopen("/dev/null", "wb"); /* for those who print to it */
    if (!out->stream) die_writing(out->unfinished, "create");
}

static RtOut *open_out(const char *path, bool may_fail)
{
    RtOut *out = take_slot();
    out->may_fail = may_fail;
    out->reason = 0;
    out->path = rt_format("%s", path);
    char *folder = parent_of(path), *refused = make_folders(folder);
    if (refused) fail(out, refused, "make this folder");
    free(refused);
    free(folder);
    free(out->path);
    out->path = final_path(path);
    out->unfinished = rt_format("%s.tmp.%d", out->path, (int)getpid());
    unlink(out->unfinished); /* of a killed process that had our number */
    open_unfinished(out);
    return out;
}

RtOut *rt_out_open(const char *path) { return open_out(path, false); }

RtOut *rt_out_try(const char *path) { return open_out(path, true); }

void rt_out_write(RtOut *out, const void *data, size_t bytes)
{
    if (out->reason || !bytes) return;
    if (fwrite(data, 1, bytes, out->stream) != bytes) fail(out, out->path, "write");
}

FILE *rt_out_file(RtOut *out) { return out->stream; }

/* Makes the new name itself durable. Some file systems refuse fsync on folders: no more can be
 * done there. */
static void sync_folder_of(RtOut *out)
{
    char *folder = parent_of(out->path);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0 && fsync(fd) < 0 && errno != EINVAL && errno != ENOTSUP)
        fail(out, out->path, "sync");
    if (fd >= 0) close(fd);
    free(folder);
}

/* Once something has failed, the steps that are left only give back what is held. */
bool rt_out_commit(RtOut *out)
{
    bool written = !(ferror(out->stream) | fflush(out->stream));
    if (!out->reason && !written) fail(out, out->path, "write");
    if (!out->reason && fsync(fileno(out->stream)) < 0) fail(out, out->path, "sync");
    bool closed = fclose(out->stream) == 0;
    if (!out->reason && !closed) fail(out, out->path, "close");
    if (!out->reason && rename(out->unfinished, out->path) < 0)
        fail(out, out->path, "rename to this name");
    bool named = !out->reason;
    if (!named) unlink(out->unfinished);
    atomic_store(&out->owner, 0);
    if (named) sync_folder_of(out);
    const bool good = !out->reason;
    if (!good) rt_warn("%s: cannot %s: %s", out->path, out->what, strerror(out->reason));
    free(out->path);
    free(out->unfinished);
    atomic_store(&out->taken, false);
    return good;
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
