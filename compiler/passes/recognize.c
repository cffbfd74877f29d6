/* SPDX-License-Identifier: Apache-2.0 */
#include "passes/pass.h"
bool cira__run_CiraRecognize(MlirOperation op) {
  (void)op;
  return true;
}
