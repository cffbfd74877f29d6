/* SPDX-License-Identifier: Apache-2.0
 *
 * How much of a large block of malloc lies in huge pages: prints KiB. Status 2
 * if there is no block or malloc has changed errno.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { bytes = 64 << 20 };

/* Of all mappings that the block reaches into. */
static long huge_kib(const char *p) {
  unsigned long first = (unsigned long)p;
  FILE *f = fopen("/proc/self/smaps", "r");
  char line[512];
  long sum = 0;
  int inside = 0;
  while (f && fgets(line, sizeof line, f)) {
    unsigned long lo, hi;
    long kib;
    if (sscanf(line, "%lx-%lx ", &lo, &hi) == 2) {
      inside = lo < first + bytes && hi > first;
    } else if (inside && sscanf(line, "AnonHugePages: %ld", &kib) == 1) {
      sum += kib;
    }
  }
  if (f) {
    fclose(f);
  }
  return sum;
}

int main(void) {
  errno = EXDEV; /* which malloc never sets */
  char *p = malloc(bytes);
  if (!p || errno != EXDEV) {
    return 2;
  }
  memset(p, 1, bytes);
  printf("%ld\n", huge_kib(p));
  free(p);
  return 0;
}
