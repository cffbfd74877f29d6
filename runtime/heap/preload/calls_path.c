/* SPDX-License-Identifier: Apache-2.0
 *
 * calls_path: the calls that take names of files, as a table. A wrapper pins
 * the name (and what the call fills) when it is far; see WRAP in shim.h.
 * Threads: any; signal-safe where the C library is.
 */
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <glob.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/time.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <utime.h>

#include "heap/preload/shim.h"

/* ---- opening ------------------------------------------------------------ */

#define OPEN(name, params, fixed, last)                                        \
  SHIM_SLOT(name);                                                             \
  SHIM_EXPORT int name params {                                                \
    va_list ap;                                                                \
    va_start(ap, last);                                                        \
    mode_t mode = (last & (O_CREAT | O_TMPFILE)) ? va_arg(ap, mode_t) : 0;     \
    va_end(ap);                                                                \
    if (CIRA_LIKELY(!(shim_far(path) | SHIM_FAR_STACK()))) {                   \
      return REAL(name) fixed;                                                 \
    }                                                                          \
    shim_area_t areas[] = {STR(path)};                                         \
    SHIM_GUARD(areas);                                                         \
    int result = REAL(name) fixed;                                             \
    return result;                                                             \
  }

OPEN(open, (const char *path, int flags, ...), (path, flags, mode), flags)
OPEN(open64, (const char *path, int flags, ...), (path, flags, mode), flags)
OPEN(openat, (int dir, const char *path, int flags, ...),
     (dir, path, flags, mode), flags)
OPEN(openat64, (int dir, const char *path, int flags, ...),
     (dir, path, flags, mode), flags)
WRAP(int, creat, (const char *path, mode_t mode), (path, mode), STR(path))
WRAP(int, creat64, (const char *path, mode_t mode), (path, mode), STR(path))

int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __openat_2(int dir, const char *path, int flags);
int __openat64_2(int dir, const char *path, int flags);
WRAP(int, __open_2, (const char *path, int flags), (path, flags), STR(path))
WRAP(int, __open64_2, (const char *path, int flags), (path, flags), STR(path))
WRAP(int, __openat_2, (int dir, const char *path, int flags),
     (dir, path, flags), STR(path))
WRAP(int, __openat64_2, (int dir, const char *path, int flags),
     (dir, path, flags), STR(path))

WRAP(FILE *, fopen, (const char *restrict path, const char *restrict mode),
     (path, mode), STR(path))
WRAP(FILE *, fopen64, (const char *restrict path, const char *restrict mode),
     (path, mode), STR(path))
WRAP(FILE *, freopen,
     (const char *restrict path, const char *restrict mode, FILE *restrict f),
     (path, mode, f), STR(path))
WRAP(FILE *, freopen64,
     (const char *restrict path, const char *restrict mode, FILE *restrict f),
     (path, mode, f), STR(path))
WRAP(DIR *, opendir, (const char *path), (path), STR(path))
WRAP(int, memfd_create, (const char *name, unsigned flags), (name, flags),
     STR(name))

/* ---- looking ------------------------------------------------------------ */

WRAP(int, stat, (const char *restrict path, struct stat *restrict st),
     (path, st), STR(path), OUT(st, sizeof(*st)))
WRAP(int, stat64, (const char *restrict path, struct stat64 *restrict st),
     (path, st), STR(path), OUT(st, sizeof(*st)))
WRAP(int, lstat, (const char *restrict path, struct stat *restrict st),
     (path, st), STR(path), OUT(st, sizeof(*st)))
WRAP(int, lstat64, (const char *restrict path, struct stat64 *restrict st),
     (path, st), STR(path), OUT(st, sizeof(*st)))
WRAP(int, fstat, (int fd, struct stat *st), (fd, st), OUT(st, sizeof(*st)))
WRAP(int, fstat64, (int fd, struct stat64 *st), (fd, st), OUT(st, sizeof(*st)))
WRAP(int, fstatat,
     (int dir, const char *restrict path, struct stat *restrict st, int flags),
     (dir, path, st, flags), STR(path), OUT(st, sizeof(*st)))
WRAP(int, fstatat64,
     (int dir, const char *restrict path, struct stat64 *restrict st,
      int flags),
     (dir, path, st, flags), STR(path), OUT(st, sizeof(*st)))
WRAP(int, statx,
     (int dir, const char *restrict path, int flags, unsigned mask,
      struct statx *restrict st),
     (dir, path, flags, mask, st), STR(path), OUT(st, sizeof(*st)))
WRAP(int, statfs, (const char *path, struct statfs *st), (path, st), STR(path),
     OUT(st, sizeof(*st)))
WRAP(int, statfs64, (const char *path, struct statfs64 *st), (path, st),
     STR(path), OUT(st, sizeof(*st)))
WRAP(int, fstatfs, (int fd, struct statfs *st), (fd, st), OUT(st, sizeof(*st)))
WRAP(int, fstatfs64, (int fd, struct statfs64 *st), (fd, st),
     OUT(st, sizeof(*st)))
WRAP(int, statvfs, (const char *restrict path, struct statvfs *restrict st),
     (path, st), STR(path), OUT(st, sizeof(*st)))
WRAP(int, statvfs64, (const char *restrict path, struct statvfs64 *restrict st),
     (path, st), STR(path), OUT(st, sizeof(*st)))

/* The forms that programs linked before 2.33 call. The version is the only one
 * that 64-bit machines ever had. */
int __xstat(int v, const char *path, struct stat *st);
int __xstat64(int v, const char *path, struct stat64 *st);
int __lxstat(int v, const char *path, struct stat *st);
int __lxstat64(int v, const char *path, struct stat64 *st);
int __fxstat(int v, int fd, struct stat *st);
int __fxstat64(int v, int fd, struct stat64 *st);
int __fxstatat(int v, int dir, const char *path, struct stat *st, int flags);
int __fxstatat64(int v, int dir, const char *path, struct stat64 *st,
                 int flags);
int __xmknod(int v, const char *path, mode_t mode, dev_t *dev);
#define OLD(name, params, call)                                                \
  SHIM_EXPORT int name params {                                                \
    (void)v;                                                                   \
    return call;                                                               \
  }
OLD(__xstat, (int v, const char *path, struct stat *st), stat(path, st))
OLD(__xstat64, (int v, const char *path, struct stat64 *st), stat64(path, st))
OLD(__lxstat, (int v, const char *path, struct stat *st), lstat(path, st))
OLD(__lxstat64, (int v, const char *path, struct stat64 *st), lstat64(path, st))
OLD(__fxstat, (int v, int fd, struct stat *st), fstat(fd, st))
OLD(__fxstat64, (int v, int fd, struct stat64 *st), fstat64(fd, st))
OLD(__fxstatat, (int v, int dir, const char *path, struct stat *st, int flags),
    fstatat(dir, path, st, flags))
OLD(__fxstatat64,
    (int v, int dir, const char *path, struct stat64 *st, int flags),
    fstatat64(dir, path, st, flags))
OLD(__xmknod, (int v, const char *path, mode_t mode, dev_t *dev),
    mknod(path, mode, *dev))

WRAP(int, access, (const char *path, int mode), (path, mode), STR(path))
WRAP(int, eaccess, (const char *path, int mode), (path, mode), STR(path))
WRAP(int, euidaccess, (const char *path, int mode), (path, mode), STR(path))
WRAP(int, faccessat, (int dir, const char *path, int mode, int flags),
     (dir, path, mode, flags), STR(path))
WRAP(long, pathconf, (const char *path, int what), (path, what), STR(path))
WRAP(ssize_t, readlink,
     (const char *restrict path, char *restrict buf, size_t bytes),
     (path, buf, bytes), STR(path), OUT(buf, cira__min_u64(bytes, PATH_MAX)))
WRAP(ssize_t, readlinkat,
     (int dir, const char *restrict path, char *restrict buf, size_t bytes),
     (dir, path, buf, bytes), STR(path),
     OUT(buf, cira__min_u64(bytes, PATH_MAX)))
WRAP(char *, getcwd, (char *buf, size_t bytes), (buf, bytes),
     OUT(buf, cira__min_u64(bytes, PATH_MAX)))
WRAP(char *, realpath, (const char *restrict path, char *restrict out),
     (path, out), STR(path), OUT(out, out ? PATH_MAX : 0))
WRAP(char *, canonicalize_file_name, (const char *path), (path), STR(path))
WRAP(int, glob,
     (const char *restrict pattern, int flags, int (*error)(const char *, int),
      glob_t *restrict out),
     (pattern, flags, error, out), STR(pattern))
WRAP(int, glob64,
     (const char *restrict pattern, int flags, int (*error)(const char *, int),
      glob64_t *restrict out),
     (pattern, flags, error, out), STR(pattern))
WRAP(ssize_t, getdents64, (int fd, void *buf, size_t bytes), (fd, buf, bytes),
     OUT(buf, bytes))

char *__getcwd_chk(char *buf, size_t bytes, size_t room);
char *__realpath_chk(const char *path, char *out, size_t room);
ssize_t __readlink_chk(const char *path, char *buf, size_t bytes, size_t room);
ssize_t __readlinkat_chk(int dir, const char *path, char *buf, size_t bytes,
                         size_t room);
void __chk_fail(void) __attribute__((noreturn));
#define CHECKED(ret, name, params, bad, call)                                  \
  SHIM_EXPORT ret name params {                                                \
    if (bad) {                                                                 \
      __chk_fail();                                                            \
    }                                                                          \
    return call;                                                               \
  }
CHECKED(char *, __getcwd_chk, (char *buf, size_t bytes, size_t room),
        bytes > room, getcwd(buf, bytes))
CHECKED(char *, __realpath_chk, (const char *path, char *out, size_t room),
        room < PATH_MAX, realpath(path, out))
CHECKED(ssize_t, __readlink_chk,
        (const char *path, char *buf, size_t bytes, size_t room), bytes > room,
        readlink(path, buf, bytes))
CHECKED(ssize_t, __readlinkat_chk,
        (int dir, const char *path, char *buf, size_t bytes, size_t room),
        bytes > room, readlinkat(dir, path, buf, bytes))

/* ---- changing ----------------------------------------------------------- */

#define PATH_1(name) WRAP(int, name, (const char *path), (path), STR(path))
#define PATH_2(name)                                                           \
  WRAP(int, name, (const char *from, const char *to), (from, to), STR(from),   \
       STR(to))
PATH_1(unlink)
PATH_1(rmdir)
PATH_1(remove)
PATH_1(chdir)
PATH_1(chroot)
PATH_1(umount)
PATH_2(rename)
PATH_2(link)
PATH_2(symlink)
WRAP(int, unlinkat, (int dir, const char *path, int flags), (dir, path, flags),
     STR(path))
WRAP(int, renameat,
     (int from_dir, const char *from, int to_dir, const char *to),
     (from_dir, from, to_dir, to), STR(from), STR(to))
WRAP(int, renameat2,
     (int from_dir, const char *from, int to_dir, const char *to,
      unsigned flags),
     (from_dir, from, to_dir, to, flags), STR(from), STR(to))
WRAP(int, linkat,
     (int from_dir, const char *from, int to_dir, const char *to, int flags),
     (from_dir, from, to_dir, to, flags), STR(from), STR(to))
WRAP(int, symlinkat, (const char *from, int dir, const char *to),
     (from, dir, to), STR(from), STR(to))
WRAP(int, mkdir, (const char *path, mode_t mode), (path, mode), STR(path))
WRAP(int, mkdirat, (int dir, const char *path, mode_t mode), (dir, path, mode),
     STR(path))
WRAP(int, mkfifo, (const char *path, mode_t mode), (path, mode), STR(path))
WRAP(int, mkfifoat, (int dir, const char *path, mode_t mode), (dir, path, mode),
     STR(path))
WRAP(int, mknod, (const char *path, mode_t mode, dev_t dev), (path, mode, dev),
     STR(path))
WRAP(int, mknodat, (int dir, const char *path, mode_t mode, dev_t dev),
     (dir, path, mode, dev), STR(path))
WRAP(int, chmod, (const char *path, mode_t mode), (path, mode), STR(path))
WRAP(int, lchmod, (const char *path, mode_t mode), (path, mode), STR(path))
WRAP(int, fchmodat, (int dir, const char *path, mode_t mode, int flags),
     (dir, path, mode, flags), STR(path))
WRAP(int, chown, (const char *path, uid_t u, gid_t g), (path, u, g), STR(path))
WRAP(int, lchown, (const char *path, uid_t u, gid_t g), (path, u, g), STR(path))
WRAP(int, fchownat, (int dir, const char *path, uid_t u, gid_t g, int flags),
     (dir, path, u, g, flags), STR(path))
WRAP(int, truncate, (const char *path, off_t length), (path, length), STR(path))
WRAP(int, truncate64, (const char *path, off64_t length), (path, length),
     STR(path))
WRAP(int, utime, (const char *path, const struct utimbuf *t), (path, t),
     STR(path), IN(t, t ? sizeof(*t) : 0))
WRAP(int, utimes, (const char *path, const struct timeval *t), (path, t),
     STR(path), IN(t, t ? 2 * sizeof(*t) : 0))
WRAP(int, lutimes, (const char *path, const struct timeval *t), (path, t),
     STR(path), IN(t, t ? 2 * sizeof(*t) : 0))
WRAP(int, futimesat, (int dir, const char *path, const struct timeval *t),
     (dir, path, t), STR(path), IN(t, t ? 2 * sizeof(*t) : 0))
WRAP(int, futimes, (int fd, const struct timeval *t), (fd, t),
     IN(t, t ? 2 * sizeof(*t) : 0))
WRAP(int, futimens, (int fd, const struct timespec *t), (fd, t),
     IN(t, t ? 2 * sizeof(*t) : 0))
WRAP(int, utimensat,
     (int dir, const char *path, const struct timespec *t, int flags),
     (dir, path, t, flags), STR(path), IN(t, t ? 2 * sizeof(*t) : 0))
WRAP(int, inotify_add_watch, (int fd, const char *path, uint32_t mask),
     (fd, path, mask), STR(path))
WRAP(int, umount2, (const char *path, int flags), (path, flags), STR(path))
WRAP(int, mount,
     (const char *from, const char *to, const char *type, unsigned long flags,
      const void *data),
     (from, to, type, flags, data), STR(from), STR(to), STR(type), STR(data))

/* Names that are completed in place. */
WRAP(int, mkstemp, (char *name), (name), STR(name))
WRAP(int, mkstemp64, (char *name), (name), STR(name))
WRAP(int, mkostemp, (char *name, int flags), (name, flags), STR(name))
WRAP(int, mkostemp64, (char *name, int flags), (name, flags), STR(name))
WRAP(int, mkstemps, (char *name, int suffix), (name, suffix), STR(name))
WRAP(int, mkstemps64, (char *name, int suffix), (name, suffix), STR(name))
WRAP(int, mkostemps, (char *name, int suffix, int flags), (name, suffix, flags),
     STR(name))
WRAP(int, mkostemps64, (char *name, int suffix, int flags),
     (name, suffix, flags), STR(name))
WRAP(char *, mkdtemp, (char *name), (name), STR(name))
WRAP(char *, mktemp, (char *name), (name), STR(name))

/* ---- extended attributes ------------------------------------------------ */

#define XATTR(get, set, list, remove, type, place, place_area)                 \
  WRAP(ssize_t, get,                                                           \
       (type place, const char *name, void *value, size_t bytes),              \
       (place, name, value, bytes), STR(name), OUT(value, bytes) place_area)   \
  WRAP(int, set,                                                               \
       (type place, const char *name, const void *value, size_t bytes,         \
        int flags),                                                            \
       (place, name, value, bytes, flags), STR(name),                          \
       IN(value, bytes) place_area)                                            \
  WRAP(ssize_t, list, (type place, char *names, size_t bytes),                 \
       (place, names, bytes), OUT(names, bytes) place_area)                    \
  WRAP(int, remove, (type place, const char *name), (place, name),             \
       STR(name) place_area)
#define XATTR_PATH , STR(path)
XATTR(getxattr, setxattr, listxattr, removexattr, const char *, path,
      XATTR_PATH)
XATTR(lgetxattr, lsetxattr, llistxattr, lremovexattr, const char *, path,
      XATTR_PATH)
XATTR(fgetxattr, fsetxattr, flistxattr, fremovexattr, int, fd, )
