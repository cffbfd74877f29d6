/* SPDX-License-Identifier: Apache-2.0
 * How cira-cc and cira-c++ drive clang: our few options are taken out of the
 * command line and become options of the plug-in, everything else goes to
 * clang as it is, and clang takes the place of the process. So exit codes,
 * diagnostics, dependency files and temporary files are clang's own.
 * Single-threaded; ends in exec. Reading order: this, args.h, driver.c. */
#ifndef CIRA_COMPILER_DRIVER_DRIVER_H
#define CIRA_COMPILER_DRIVER_DRIVER_H

/* Runs clang for this command line.
 *   name   how the program was called: a name that ends in "++" compiles C++.
 * Returns the exit code of the process if clang was not started (a message
 * has been printed) or only asked for its version; does not return otherwise.
 * Threads: caller-serialised. */
int cira__drive(const char *name, int argc, char **argv);

#endif /* CIRA_COMPILER_DRIVER_DRIVER_H */
