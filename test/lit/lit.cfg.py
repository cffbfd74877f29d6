# SPDX-License-Identifier: Apache-2.0
# How lit runs the files below this folder: .mlir files and the C API
# programs' .test files, by the RUN lines on top of each.
import os
import sys

import lit.formats

config.name = "cira"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir", ".test"]
config.test_source_root = config.cira_source
config.test_exec_root = os.path.join(config.cira_exec, "out")
config.excludes = ["Inputs"]

# A stock mlir-opt cannot load a plug-in that is built with a sanitizer: its
# run lines go to cira-opt then, which has the same passes.
if config.cira_sanitizers:
    config.substitutions.append(("mlir-opt %cira_plugin", "cira-opt"))

plugin = os.path.join(config.cira_lib, "cira-dialect.so")
config.substitutions += [
    ("%cira_plugin", f"--load-dialect-plugin={plugin} --load-pass-plugin={plugin}"),
    ("%cira_root", config.cira_root),
    ("%python", sys.executable),
    ("%mlir_include", os.path.join(config.llvm_tools, "..", "include")),
]
# Tests that run programs need the runtime as well.
if os.path.exists(os.path.join(config.cira_bin, "cira-jit")):
    config.available_features.add("jit")
config.substitutions.append(
    ("%everywhere", f"{sys.executable} " +
     os.path.join(config.test_source_root, "run", "everywhere.py")))
config.environment["PATH"] = os.pathsep.join(
    [config.cira_bin, config.llvm_tools, os.environ.get("PATH", "")])
