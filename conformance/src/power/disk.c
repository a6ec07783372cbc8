/*
 * A disk that keeps what was synced and nothing else. Loaded into a child process before the C library.
 *
 * At each sync of a file of the store, the file's bytes of that moment are copied to the disk's folder, under the
 * file's inode and time of birth, so that a file keeps its bytes when it is renamed. At a chosen acknowledgement
 * the process kills itself, and the suite puts the store's files back to what the disk kept.
 *
 * A sync takes 2 ms, as on a disk that turns: one that comes after the acknowledgement comes too late.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define MARK "portolan> "

static char folder[PATH_MAX], disk[PATH_MAX];
static long acknowledgements_left;
static pthread_mutex_t syncing = PTHREAD_MUTEX_INITIALIZER;

__attribute__((constructor)) static void begin(void) {
    const char *of_store = getenv("PORTOLAN_DISK_OF"), *kept = getenv("PORTOLAN_DISK"), *cut = getenv("PORTOLAN_DISK_CUT");
    if (of_store && kept) {
        snprintf(folder, sizeof folder, "%s/", of_store);
        snprintf(disk, sizeof disk, "%s", kept);
    }
    if (cut) acknowledgements_left = atol(cut);
}

static int is_of_store(int fd) {
    char link[64], path[PATH_MAX];
    struct stat file;
    if (!*folder) return 0;
    int before = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    int is = 0;
    if (length > 0) {
        path[length] = 0;
        is = !strncmp(path, folder, strlen(folder)) && !fstat(fd, &file) && S_ISREG(file.st_mode);
    }
    errno = before;
    return is;
}

static int in_disk(char *path, const char *name) {
    return snprintf(path, PATH_MAX, "%s/%s", disk, name) < PATH_MAX;
}

/* That the store's files are written by calls which are seen here. */
static void saw(void) {
    static int told;
    char path[PATH_MAX];
    if (told || !in_disk(path, "seen")) return;
    told = 1;
    int before = errno, fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    if (fd >= 0) close(fd);
    errno = before;
}

static int is_failing(void) {
    char path[PATH_MAX];
    int before = errno, failing = in_disk(path, "failing") && !access(path, F_OK);
    errno = before;
    return failing;
}

/* Copies what the file holds now beside the disk's copy, whose path it gives. */
static int copy_of(int fd, char *kept, char *copy) {
    struct statx file;
    char name[64];
    static char block[1 << 16];
    if (statx(fd, "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME, &file)) return -1;
    long long born = file.stx_mask & STATX_BTIME ? file.stx_btime.tv_sec * 1000000000LL + file.stx_btime.tv_nsec : 0;
    snprintf(name, sizeof name, "%llu-%lld", (unsigned long long)file.stx_ino, born);
    if (!in_disk(kept, name)) return -1;
    snprintf(name, sizeof name, "%llu-%lld.copy", (unsigned long long)file.stx_ino, born);
    if (!in_disk(copy, name)) return -1;
    /* By the file's own descriptor where it can be read: to close another one would drop the locks of SQLite. */
    int in = fd;
    if ((fcntl(fd, F_GETFL) & O_ACCMODE) == O_WRONLY) {
        char link[64];
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        in = open(link, O_RDONLY | O_CLOEXEC);
    }
    int out = open(copy, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
    off_t at = 0;
    ssize_t length = in < 0 || out < 0 ? -1 : 0;
    while (length >= 0 && (length = pread(in, block, sizeof block, at)) > 0) {
        if (syscall(SYS_write, out, block, (size_t)length) != length) length = -1;
        at += length;
    }
    if (out >= 0) close(out);
    if (in >= 0 && in != fd) close(in);
    return length < 0 ? -1 : 0;
}

static int keep(int fd, int (*sync)(int)) {
    char kept[PATH_MAX], copy[PATH_MAX];
    pthread_mutex_lock(&syncing);
    saw();
    int is_copied = !copy_of(fd, kept, copy);
    usleep(2000);
    int done = is_failing() ? (errno = EIO, -1) : sync ? sync(fd) : 0;
    if (!done && is_copied) rename(copy, kept);
    pthread_mutex_unlock(&syncing);
    return done;
}

int fsync(int fd) { return is_of_store(fd) ? keep(fd, REAL(fsync)) : REAL(fsync)(fd); }
int fdatasync(int fd) { return is_of_store(fd) ? keep(fd, REAL(fdatasync)) : REAL(fdatasync)(fd); }

static int keep_path(const char *path) {
    int fd = open(path, O_RDONLY | O_CLOEXEC), done = fd < 0 ? 0 : keep(fd, NULL);
    if (fd >= 0) close(fd);
    return done;
}

static int keep_each(const char *path, const struct stat *file, int kind, struct FTW *at) {
    (void)file, (void)at;
    if (kind == FTW_F) keep_path(path);
    return 0;
}

void sync(void) {
    REAL(sync)();
    if (*folder) nftw(folder, keep_each, 16, FTW_PHYS);
}

int syncfs(int fd) {
    int done = REAL(syncfs)(fd);
    if (!done && *folder) nftw(folder, keep_each, 16, FTW_PHYS);
    return done;
}

/* The file that is mapped at an address. */
static int mapped_at(const void *address, char *path) {
    char line[PATH_MAX + 128];
    FILE *maps = fopen("/proc/self/maps", "re");
    int found = 0;
    while (maps && !found && fgets(line, sizeof line, maps)) {
        unsigned long from, to;
        int name = 0;
        if (sscanf(line, "%lx-%lx %*s %*s %*s %*s %n", &from, &to, &name) >= 2 && name
            && (unsigned long)address >= from && (unsigned long)address < to) {
            line[strcspn(line, "\n")] = 0;
            found = snprintf(path, PATH_MAX, "%s", line + name) < PATH_MAX;
            break;
        }
    }
    if (maps) fclose(maps);
    return found && *folder && !strncmp(path, folder, strlen(folder));
}

int msync(void *address, size_t length, int flags) {
    char path[PATH_MAX];
    int is_ours = (flags & MS_SYNC) && mapped_at(address, path);
    if (is_ours && is_failing()) { errno = EIO; return -1; }
    int done = REAL(msync)(address, length, flags);
    if (!done && is_ours) keep_path(path);
    return done;
}

#ifdef __LP64__
void *mmap(void *address, size_t length, int protection, int flags, int fd, off_t at) {
    if ((flags & MAP_SHARED) && (protection & PROT_WRITE) && fd >= 0 && is_of_store(fd)) saw();
    return (void *)syscall(SYS_mmap, address, length, protection, flags, fd, at);
}
#ifndef mmap64
void *mmap64(void *address, size_t length, int protection, int flags, int fd, off64_t at) {
    return mmap(address, length, protection, flags, fd, at);
}
#endif
#endif

/* After a write: a file that was opened to be synced with each write is. */
static ssize_t wrote(int fd, ssize_t done, int flags) {
    if (done < 0 || fd <= 2 || !is_of_store(fd)) return done;
    saw();
    int is_synced = (flags & (RWF_SYNC | RWF_DSYNC)) || (fcntl(fd, F_GETFL) & (O_SYNC | O_DSYNC));
    return is_synced && keep(fd, NULL) ? -1 : done;
}

/* The power goes out at an acknowledgement that has just been told. */
static void told(int fd, const void *bytes, ssize_t done) {
    if (fd == 1 && done > 0 && acknowledgements_left > 0 && memmem(bytes, (size_t)done, MARK, strlen(MARK))
        && !__atomic_sub_fetch(&acknowledgements_left, 1, __ATOMIC_SEQ_CST)) kill(getpid(), SIGKILL);
}

ssize_t write(int fd, const void *bytes, size_t count) {
    ssize_t done = REAL(write)(fd, bytes, count);
    told(fd, bytes, done);
    return wrote(fd, done, 0);
}
ssize_t pwrite(int fd, const void *bytes, size_t count, off_t at) {
    return wrote(fd, REAL(pwrite)(fd, bytes, count, at), 0);
}
ssize_t writev(int fd, const struct iovec *parts, int count) {
    ssize_t done = REAL(writev)(fd, parts, count);
    for (int part = 0; part < count && fd == 1; part++) told(fd, parts[part].iov_base, done < 0 ? -1 : (ssize_t)parts[part].iov_len);
    return wrote(fd, done, 0);
}
ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at) {
    return wrote(fd, REAL(pwritev)(fd, parts, count, at), 0);
}
ssize_t pwritev2(int fd, const struct iovec *parts, int count, off_t at, int flags) {
    return wrote(fd, REAL(pwritev2)(fd, parts, count, at, flags), flags);
}
#ifndef pwrite64
ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t at) {
    return wrote(fd, REAL(pwrite64)(fd, bytes, count, at), 0);
}
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t at) {
    return wrote(fd, REAL(pwritev64)(fd, parts, count, at), 0);
}
ssize_t pwritev64v2(int fd, const struct iovec *parts, int count, off64_t at, int flags) {
    return wrote(fd, REAL(pwritev64v2)(fd, parts, count, at, flags), flags);
}
#endif
