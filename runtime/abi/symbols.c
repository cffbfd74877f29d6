/* SPDX-License-Identifier: Apache-2.0
 *
 * Names of the functions of cira/abi.def, for a linker that works at run time.
 */
#include <stddef.h>

#include "abi/runtime.h"

static const cira_abi_symbol_t symbols[] = {
#define CIRA_ABI(result, name, arguments, effects, meaning)                    \
  {#name, (void *)name},
#include "cira/abi.def"
#undef CIRA_ABI
    {"cira_abi_range", &cira_abi_range},
    {NULL, NULL},
};

const cira_abi_symbol_t *cira_abi_symbols(void) {
  return symbols;
}
