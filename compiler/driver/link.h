/* SPDX-License-Identifier: Apache-2.0
 * What a command line says about the link: whether there is one, whether
 * libcira-cc.a (runtime/cc) may be part of it, and whether compiled code may
 * expect it at all. Functions of the arguments and of which files exist. */
#ifndef CIRA_COMPILER_DRIVER_LINK_H
#define CIRA_COMPILER_DRIVER_LINK_H

#include "driver/args.h"

typedef struct cira_link {
  bool links;    /* makes a program or shared object, of inputs that exist */
  bool stands;   /* without a C library, or for another machine: no archive */
  bool whole;    /* -flto or another linker: cannot tell if it is needed */
  bool dashes;   /* has "--": only inputs behind it */
  bool language; /* has -x, which holds for all inputs behind it */
} cira_link_t;

/* `args` without response files and without the compiler's name. */
cira_link_t cira__link_of(const cira_args_t *args);

/* Does clang take the next argument as the value of this one? */
bool cira__link_takes_next(const char *arg);

#endif /* CIRA_COMPILER_DRIVER_LINK_H */
