/* SPDX-License-Identifier: Apache-2.0
 * cira-cc and cira-c++: one program, two names; see compiler/driver. */
#include "driver/driver.h"

#include <string.h>

int main(int argc, char **argv) {
  const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
  const char *name = argc > 0 ? argv[0] : "cira-cc";
  return cira__drive(slash ? slash + 1 : name, argc, argv);
}
