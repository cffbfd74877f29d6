// SPDX-License-Identifier: Apache-2.0
// The whole dialect: the file that mlir-tblgen is given.
include "CiraMemoryOps.td"
include "CiraStreamOps.td"
include "CiraOffloadOps.td"
include "CiraSyncOps.td"
