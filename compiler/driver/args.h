/* SPDX-License-Identifier: Apache-2.0
 * A growing list of command line arguments, and response files: @FILE is read
 * as clang reads it on Unix (white space separates, quotes and backslashes
 * protect, a file may name another).
 * The strings in a list are borrowed or live until the process ends: the
 * driver ends in exec. */
#ifndef CIRA_COMPILER_DRIVER_ARGS_H
#define CIRA_COMPILER_DRIVER_ARGS_H

#include <stdbool.h>
#include <stddef.h>

typedef struct cira_args {
  const char **items; /* items[count] is NULL once something was added */
  size_t count;
  size_t room;
} cira_args_t;

/* Adds one argument. Ends the process with a message if memory is out. */
void cira__args_add(cira_args_t *args, const char *item);

/* Adds `item`, or what the response file has if it is a readable @FILE.
 * `depth` is 0 from outside. A file that names itself is cut off as an
 * argument of its own, and clang then reports it. */
void cira__args_add_expanded(cira_args_t *args, const char *item, int depth);

/* Puts the arguments from `first` on into a response file without a name and
 * returns its "@/proc/self/fd/N", or NULL with errno set. */
const char *cira__args_to_response(const cira_args_t *args, size_t first);

/* printf into a string that is never freed. */
const char *cira__args_format(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

#endif /* CIRA_COMPILER_DRIVER_ARGS_H */
