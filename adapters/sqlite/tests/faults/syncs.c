/* Loaded before the C library: writes down each sync of a file, and fails syncs or writes on demand. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int of_store(int fd, char *path, size_t size) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, size - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return strstr(path, "log.db") != NULL && strstr(path, "-shm") == NULL;
}

static int is_told_to_fail(const char *what) {
    const char *folder = getenv("PORTOLAN_TEST_SYNCS");
    char path[4096];
    snprintf(path, sizeof path, "%s/fail-%s", folder ? folder : "", what);
    return folder && access(path, F_OK) == 0;
}

static void note(const char *path) {
    const char *folder = getenv("PORTOLAN_TEST_SYNCS");
    char line[4096], file[4096];
    if (!folder) return;
    snprintf(file, sizeof file, "%s/diary", folder);
    int length = snprintf(line, sizeof line, "sync %s\n", path);
    int fd = open(file, O_WRONLY | O_APPEND | O_CREAT, 0644);
    if (fd >= 0) {
        if (syscall(SYS_write, fd, line, (size_t)length) < 0) abort();
        close(fd);
    }
}

static int sync_one(int fd, long number) {
    char path[4096];
    if (of_store(fd, path, sizeof path)) {
        if (is_told_to_fail("sync")) { errno = EIO; return -1; }
        int done = (int)syscall(number, fd);
        if (done == 0) note(path);
        return done;
    }
    return (int)syscall(number, fd);
}

int fsync(int fd) { return sync_one(fd, SYS_fsync); }
int fdatasync(int fd) { return sync_one(fd, SYS_fdatasync); }

static int refuse_write(int fd) {
    char path[4096];
    if (of_store(fd, path, sizeof path) && is_told_to_fail("write")) { errno = ENOSPC; return 1; }
    return 0;
}

ssize_t write(int fd, const void *bytes, size_t count) {
    return refuse_write(fd) ? -1 : syscall(SYS_write, fd, bytes, count);
}
ssize_t pwrite(int fd, const void *bytes, size_t count, off_t at) {
    return refuse_write(fd) ? -1 : syscall(SYS_pwrite64, fd, bytes, count, at);
}
ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t at) {
    return refuse_write(fd) ? -1 : syscall(SYS_pwrite64, fd, bytes, count, at);
}
