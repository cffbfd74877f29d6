/* SPDX-License-Identifier: Apache-2.0
 * File calls with every pointer in far memory and not in the cache. */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "common.h"

#define BIG ((size_t)700 << 10) /* more than the cache */

static void read_and_write(const char *path) {
  unsigned char *big = fresh(BIG);
  uint64_t sum = checksum(big, BIG);
  int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
  say("open", fd >= 0);
  say("write", write(fd, big, BIG));
  memset(big, 0, BIG);
  push_out();
  lseek(fd, 0, SEEK_SET);
  say("read", read(fd, big, BIG));
  say("same", checksum(big, BIG) == sum);
  memset(big, 0, BIG);
  push_out();
  say("pread", pread(fd, big + 5, BIG - 5, 5));
  memset(big, 0, 5);
  say("pread at end", pread(fd, big, BIG, (off_t)BIG - 100));
  say("pread past end", pread(fd, big, BIG, (off_t)BIG + 100));
  say("pwrite", pwrite(fd, big + 1000, 300000, 123));
  say("sum", (long)(checksum(big, BIG) >> 8));

  struct iovec *v = fresh(40 * sizeof(*v));
  for (int i = 0; i < 40; i++) {
    v[i].iov_base = fresh(10000 + (size_t)i);
    v[i].iov_len = 10000 + (size_t)i;
  }
  lseek(fd, 0, SEEK_SET);
  push_out();
  say("writev", writev(fd, v, 40));
  for (int i = 0; i < 40; i++) {
    memset(v[i].iov_base, 0, v[i].iov_len);
  }
  push_out();
  say("preadv", preadv(fd, v, 40, 0));
  uint64_t all = 0;
  for (int i = 0; i < 40; i++) {
    all ^= checksum(v[i].iov_base, v[i].iov_len);
  }
  say("preadv sum", (long)(all >> 8));
  say("readv at 0", (lseek(fd, 7, SEEK_SET), readv(fd, v, 40)));
  say("pwritev", pwritev(fd, v, 3, 11));
  say("preadv2", preadv2(fd, v, 3, 5, 0));
  say("readv bad count", readv(fd, v, -1));
  say("read bad fd", read(-1, big, BIG));
  say("write to read-only", write(open("/dev/null", O_RDONLY), big, BIG));

  off_t *at = fresh(sizeof(*at));
  *at = 100;
  push_out();
  int copy = open(far_string("copy"), O_RDWR | O_CREAT | O_TRUNC, 0600);
  say("sendfile", sendfile(copy, fd, at, 50000));
  say("offset", (long)*at);
  loff_t *from = fresh(sizeof(*from));
  *from = 7;
  push_out();
  say("copy_file_range", copy_file_range(fd, from, copy, NULL, 1000, 0));
  say("unlink copy", unlink(far_string("copy")));
  close(copy);
  close(fd);
  int zero = open("/dev/zero", O_RDONLY);
  say("read /dev/zero", read(zero, big, BIG));
  close(zero);
}

static void names(void) {
  struct stat *st = fresh(sizeof(*st));
  struct stat64 *st64 = fresh(sizeof(*st64));
  struct statx *sx = fresh(sizeof(*sx));
  struct statvfs *sv = fresh(sizeof(*sv));
  struct statfs *sf = fresh(sizeof(*sf));
  push_out();
  say("mkdir", mkdir(far_string("d"), 0700));
  say("mkdir again", mkdir(far_string("d"), 0700));
  int fd = open(far_string("d/a"), O_RDWR | O_CREAT, 0640);
  say("ftruncate", ftruncate(fd, 4242));
  push_out();
  say("fstat", fstat(fd, st));
  say("size", (long)st->st_size);
  push_out();
  say("stat", stat(far_string("d/a"), st));
  say("size", (long)st->st_size);
  push_out();
  say("lstat64", lstat64(far_string("d/a"), st64));
  say("fstatat", fstatat(AT_FDCWD, far_string("d/a"), st, 0));
  say("statx", statx(AT_FDCWD, far_string("d/a"), 0, STATX_SIZE, sx));
  say("statx size", (long)sx->stx_size);
  say("statvfs", statvfs(far_string("."), sv));
  say("statfs", statfs(far_string("."), sf));
  say("stat missing", stat(far_string("d/none"), st));
  say("access", access(far_string("d/a"), R_OK));
  say("chmod", chmod(far_string("d/a"), 0600));
  say("truncate", truncate(far_string("d/a"), 17));
  say("symlink", symlink(far_string("a"), far_string("d/l")));
  char *buf = fresh(PATH_MAX);
  ssize_t n = readlink(far_string("d/l"), buf, PATH_MAX);
  say("readlink", n);
  printf("link to %.*s\n", (int)n, buf);
  say("link", link(far_string("d/a"), far_string("d/b")));
  say("rename", rename(far_string("d/b"), far_string("d/c")));
  push_out();
  say("realpath", realpath(far_string("d/../d/c"), buf) == buf);
  printf("%s\n", strrchr(buf, '/'));
  char *own = realpath(far_string("d/c"), NULL);
  printf("%s\n", strrchr(own, '/'));
  free(own);
  push_out();
  say("getcwd", getcwd(buf, PATH_MAX) == buf);
  struct timespec *t = fresh(2 * sizeof(*t));
  t[0] = t[1] = (struct timespec){1000000, 0};
  push_out();
  say("utimensat", utimensat(AT_FDCWD, far_string("d/a"), t, 0));
  say("mtime", (stat("d/a", st), (long)st->st_mtime));
  say("setxattr", setxattr(far_string("d/a"), far_string("user.x"),
                           far_string("value"), 5, 0) == 0 ||
                      errno == ENOTSUP);
  char *tmp = far_string("d/tmpXXXXXX");
  int made = mkstemp(tmp);
  say("mkstemp", made >= 0);
  say("unlink", unlink(tmp));
  close(made);

  DIR *dir = opendir(far_string("d"));
  int entries = 0;
  while (readdir(dir) != NULL) {
    entries++;
  }
  closedir(dir);
  say("entries", entries);
  char *raw = fresh(4096);
  int dfd = open("d", O_RDONLY | O_DIRECTORY);
  say("getdents64", getdents64(dfd, raw, 4096) > 0);
  push_out();
  lseek(dfd, 0, SEEK_SET);
  say("SYS_getdents64", syscall(SYS_getdents64, dfd, raw, 4096) > 0);
  close(dfd);
  struct flock *lock = fresh(sizeof(*lock));
  *lock = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET};
  push_out();
  say("fcntl lock", fcntl(fd, F_SETLK, lock));
  say("flock", flock(fd, LOCK_EX));
  close(fd);
  say("unlink a", unlink(far_string("d/a")));
  say("unlink c", unlink(far_string("d/c")));
  say("unlink l", unlink(far_string("d/l")));
  say("chdir", chdir(far_string("d")));
  say("chdir back", chdir(far_string("..")));
  say("rmdir", rmdir(far_string("d")));
  char *endless = malloc(9000);
  memset(endless, 'x', 8999);
  endless[8999] = 0;
  push_out();
  say("too long", open(endless, O_RDONLY));
}

static void streams(const char *path) {
  char *big = malloc(BIG);
  for (size_t i = 0; i < BIG; i++) {
    big[i] = (char)('a' + i % 26);
  }
  big[BIG - 1] = 0;
  push_out();
  FILE *f = fopen(far_string(path), far_string("w+"));
  say("fwrite", (long)fwrite(big, 7, BIG / 7, f));
  say("fputs", fputs(big, f) >= 0);
  say("fprintf", fprintf(f, "<%s|%d|%.10s>\n", big, 42, big));
  say("fflush", fflush(f));
  say("position", ftell(f));
  rewind(f);
  memset(big, 0, BIG);
  push_out();
  say("fread", (long)fread(big, 1, BIG - 3, f));
  say("sum", (long)(checksum(big, BIG) >> 8));
  say("rest", (long)fread(big, 1000, 100000, f));
  say("eof", feof(f) != 0);
  fclose(f);
  printf("%.3s...\n", big);

  f = fopen(path, "w");
  char *own = fresh(20000);
  say("setvbuf", setvbuf(f, own, _IOFBF, 20000));
  for (int i = 0; i < 30000; i++) {
    fprintf(f, "line %d %s\n", i, "and some text");
  }
  push_out();
  say("fclose", fclose(f));
  f = fopen(path, "r");
  setvbuf(f, own, _IOFBF, 20000);
  char *line = NULL;
  size_t room = 0;
  long lines = 0;
  uint64_t sum = 0;
  while (getline(&line, &room, f) > 0) {
    lines++;
    sum = sum * 31 + checksum(line, strlen(line));
    if (lines % 5000 == 0) {
      push_out();
    }
  }
  fclose(f);
  free(line);
  say("lines", lines);
  say("lines sum", (long)(sum >> 8));
  char *memory = fresh(5000);
  f = fmemopen(memory, 5000, "w+");
  say("fmemopen", fprintf(f, "%s", "hello memory"));
  fclose(f);
  puts(memory);
  char *grown = NULL;
  size_t grown_bytes = 0;
  f = open_memstream(&grown, &grown_bytes);
  for (int i = 0; i < 20000; i++) {
    fprintf(f, "%d ", i);
  }
  fclose(f);
  say("memstream", (long)grown_bytes);
  say("dprintf", dprintf(1, "") == 0);
  unlink(path);
  fwrite(big, 1, 100, stdout);
  putchar('\n');
}

int main(void) {
  char dir[] = "/tmp/cira-files-XXXXXX";
  if (mkdtemp(dir) == NULL || chdir(dir) != 0) {
    return 1;
  }
  setvbuf(stdout, NULL, _IOFBF, 1 << 16);
  read_and_write("data");
  names();
  streams("text");
  unlink("data");
  chdir("/");
  say("rmdir all", rmdir(dir));
  return 0;
}
