/* SPDX-License-Identifier: Apache-2.0
 *
 * A library whose table is of a version that no server knows.
 */
#include "cira/kernel.h"

CIRA_KERNEL_EXPORT const cira_kernel_library_t cira_kernel_library;
const cira_kernel_library_t cira_kernel_library = {CIRA_KERNEL_ABI + 1, 0,
                                                   (void *)0};
