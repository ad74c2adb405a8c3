/* evict.c: keeps the folder that holds stores (store.c) within bounds. What is in them can be
 * computed again, so the least recently used go first; never one that a process has open, and never
 * a file that is none of a store's. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "cache.h"
#include "ground.h"

typedef struct {
    char *folder;
    uint64_t bytes;
    struct timespec used; /* when it was opened last */
    bool held;            /* some process has it open */
} Entry;

/* ---- Looking --------------------------------------------------------------------------------- */

/* "0123456789abcdef0123456789abcdef": stores are named by their keys. */
static bool is_key(const char *name)
{
    return strspn(name, "0123456789abcdef") == 32 && name[32] == '\0';
}

static bool ends_in(const char *name, const char *end)
{
    size_t length = strlen(name), tail = strlen(end);
    return length > tail && strcmp(name + length - tail, end) == 0;
}

static bool is_of_store(const char *name)
{
    return ends_in(name, ".features") || strstr(name, ".tmp.") || strcmp(name, "about.txt") == 0 ||
           strcmp(name, "lock") == 0;
}

static uint64_t bytes_of(const char *folder)
{
    uint64_t bytes = 0;
    DIR *entries = opendir(folder);
    if (!entries) return 0;
    for (struct dirent *entry; (entry = readdir(entries));) {
        struct stat status;
        if (fstatat(dirfd(entries), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(status.st_mode))
            bytes += (uint64_t)status.st_blocks * 512;
    }
    closedir(entries);
    return bytes;
}

/* Locks the file `used` of a folder for this process alone; -1: another has it open. A store that
 * was written before there was such a file has one now. */
static int hold_alone(const char *folder)
{
    struct stat held, named;
    char *path = rt_format("%s/used", folder);
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    bool alone = file >= 0 && flock(file, LOCK_EX | LOCK_NB) == 0 && fstat(file, &held) == 0 &&
                 stat(path, &named) == 0 && held.st_ino == named.st_ino;
    free(path);
    if (!alone && file >= 0) close(file);
    return alone ? file : -1;
}

static Entry describe(char *folder)
{
    struct stat status = {0};
    char *path = rt_format("%s/used", folder);
    if (stat(path, &status) != 0) stat(folder, &status);
    free(path);
    return (Entry){.folder = folder, .bytes = bytes_of(folder), .used = status.st_mtim};
}

static Entry *list_stores(const char *root, size_t *count)
{
    Entry *list = NULL;
    *count = 0;
    DIR *entries = opendir(root);
    if (!entries) return NULL;
    for (struct dirent *entry; (entry = readdir(entries));) {
        if (!is_key(entry->d_name)) continue;
        list = rt_grow(list, *count + 1, sizeof *list);
        list[(*count)++] = describe(rt_format("%s/%s", root, entry->d_name));
    }
    closedir(entries);
    return list;
}

static void free_list(Entry *list, size_t count)
{
    for (size_t i = 0; i < count; i++) free(list[i].folder);
    free(list);
}

uint64_t rt_stores_bytes(const char *root)
{
    uint64_t bytes = 0;
    size_t count;
    Entry *list = list_stores(root, &count);
    for (size_t i = 0; i < count; i++) bytes += list[i].bytes;
    free_list(list, count);
    return bytes;
}

/* Of the first folder above that is there. */
uint64_t rt_disk_room(const char *root)
{
    struct statvfs info;
    char *folder = rt_format("%s", root);
    bool known = statvfs(folder, &info) == 0;
    while (!known && *folder) {
        char *slash = strrchr(folder, '/');
        *(slash ? slash : folder) = '\0';
        known = statvfs(*folder ? folder : slash ? "/" : ".", &info) == 0;
    }
    free(folder);
    return known ? (uint64_t)info.f_bavail * info.f_frsize : 0;
}

/* ---- Removing -------------------------------------------------------------------------------- */

static void remove_files(const char *folder)
{
    DIR *entries = opendir(folder);
    if (!entries) return;
    for (struct dirent *entry; (entry = readdir(entries));)
        if (is_of_store(entry->d_name)) unlinkat(dirfd(entries), entry->d_name, 0);
    unlinkat(dirfd(entries), "used", 0); /* last: who waits for it makes the folder anew */
    closedir(entries);
    rmdir(folder); /* fails if there is more in it */
}

static bool evict(const Entry *entry)
{
    char day[32] = "";
    struct tm date;
    int file = hold_alone(entry->folder);
    if (file < 0) return false;
    if (localtime_r(&entry->used.tv_sec, &date)) strftime(day, sizeof day, "%Y-%m-%d", &date);
    rt_note("removed from the cache: %s, %.1f MiB, last used on %s", entry->folder,
            (double)entry->bytes / 1048576, day);
    remove_files(entry->folder);
    close(file);
    return true;
}

static int compare_use(const void *first, const void *second)
{
    const struct timespec *a = &((const Entry *)first)->used, *b = &((const Entry *)second)->used;
    if (a->tv_sec != b->tv_sec) return a->tv_sec < b->tv_sec ? -1 : 1;
    return (a->tv_nsec > b->tv_nsec) - (a->tv_nsec < b->tv_nsec);
}

static bool is_held(const char *folder)
{
    int file = hold_alone(folder);
    if (file >= 0) close(file);
    return file < 0;
}

void rt_stores_evict(const char *root, uint64_t limit, uint64_t planned)
{
    size_t count;
    uint64_t held = 0, rest = 0;
    Entry *list = list_stores(root, &count);
    for (size_t i = 0; i < count; i++) {
        list[i].held = is_held(list[i].folder);
        *(list[i].held ? &held : &rest) += list[i].bytes;
    }
    if (held < planned) held = planned;
    if (count) qsort(list, count, sizeof *list, compare_use);
    for (size_t i = 0; i < count && rest && held + rest > limit; i++)
        if (!list[i].held && evict(&list[i])) rest -= list[i].bytes;
    free_list(list, count);
}
