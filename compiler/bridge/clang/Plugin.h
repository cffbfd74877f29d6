// SPDX-License-Identifier: Apache-2.0
// The plug-in that clang loads for cira-cc (C++: LLVM offers pass plug-ins,
// its analyses and MLIR's import in C++ alone). It runs at the OptimizerEarly
// extension point: everything scalar is done, nothing is vectorised yet.
//
//   Clang.cpp    entry point, options, the module pass, remarks
//   Finite.cpp   which functions have no endless loops
//   Bounds.cpp   the bounds of loops of OpenMP
//   Facts.cpp    what LLVM knows about the loops of a function
//   Takeout.cpp  a function -> a module of its own that MLIR can import
//   Huge.cpp     huge pages for large blocks, without MLIR
//   Giveback.cpp a function as exported by MLIR -> into its old place
//   Choice.cpp   what chooses between two versions of a loop at run time
//   Outline.cpp  functions of their own for loops that are not plain
//
// The invariant: an instruction that a pass has not made is never the one that
// MLIR gives back but a copy of the original, only wired as MLIR wired it. So
// flags, metadata, attributes of calls, debug info, inline assembly and
// intrinsics that MLIR does not know cannot be lost. What ties them together
// is a tag: the line number of an instruction in the module taken out.
// A function for which anything fails stays as it is. Policy is in the passes
// (C, compiler/passes/llvm_*.c), not here.
// Threading: one module at a time, in clang's thread.
#ifndef CIRA_COMPILER_PLUGIN_PLUGIN_H
#define CIRA_COMPILER_PLUGIN_PLUGIN_H

#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/SmallPtrSet.h"
#include "llvm/IR/Function.h"
#include "llvm/IR/Module.h"
#include "llvm/IR/PassManager.h"
#include "llvm/Transforms/Utils/ValueMapper.h"
#include <memory>
#include <string>
#include <vector>

namespace cira {

/// What is known about one instruction, block terminator or function, as
/// entries of the dictionary attribute `cira.facts`.
struct Fact {
  const char *name;
  int64_t number = 0;
  bool unit = false;     // a name without a value
  std::string text = {}; // a string, if not empty
  std::vector<int64_t> list = {};
  bool isList = false;
};
using FactList = std::vector<Fact>;

/// The facts of one function.
struct Facts {
  std::vector<FactList> loops;           // by number
  llvm::DenseMap<unsigned, FactList> at; // by tag
  /// Loads whose address in the last iteration is wanted as a value, with the
  /// number of the marker that holds it.
  struct Last {
    const llvm::Instruction *load;
    unsigned number;
  };
  std::vector<Last> lasts;
  /// Loops whose number of iterations is wanted as a value in front of them.
  struct Count {
    const llvm::BasicBlock *header;
    unsigned number; // of the loop
  };
  std::vector<Count> counts;
  /// Accesses whose address in the first iteration is wanted as a value.
  struct First {
    const llvm::Instruction *access;
    unsigned number;
  };
  std::vector<First> firsts;
  bool closed = false; // what loops compute is to leave them through PHIs only
  bool worthwhile = false; // some access may be worth a pass
  bool alone = false;      // one pass only changes the loops
  bool watched = false;    // by a sanitizer that knows what may be read
  bool walks = false;      // some loop follows a list
};

/// A function on its way through MLIR.
struct Route {
  llvm::Function &F;
  std::vector<llvm::Instruction *> byTag; // tag - 1 -> the original
  llvm::DenseMap<const llvm::Instruction *, unsigned> tagOf;
  std::unique_ptr<llvm::Module> M; // the module taken out
  llvm::Function *copy = nullptr;  // in M
  llvm::ValueToValueMapTy toCopy;  // original -> copy
  /// Originals whose promises (no overflow and the like) may not be relied on
  /// any more: what was computed in front of a loop uses them too.
  llvm::SmallPtrSet<const llvm::Instruction *, 8> weakened;
  /// Names of the stand-ins in M -> what they stand for.
  llvm::StringMap<llvm::Value *> standIns;

  /// Headers of loops whose iterations OpenMP shares out: they are independent.
  llvm::SmallPtrSet<const llvm::BasicBlock *, 4> sharedOut;

  explicit Route(llvm::Function &F);
};

/// The column of the location of an original; a pass gives its new ops the
/// location of the op they belong to, with another column.
constexpr unsigned TagColumn = 1;
/// The column of one more copy of the original, made by a pass
/// (ciraOperationMarkCopy): done under the same conditions on other values.
constexpr unsigned CopyColumn = 2;
/// The same of a whole loop that nothing has changed (ciraOperationMarkPlain).
constexpr unsigned PlainColumn = 3;

/// Why this function cannot be taken out; empty: it can.
std::string whyNot(const llvm::Function &F);

/// Fills M, copy, toCopy and standIns.
void takeOut(Route &R);

/// Puts what is known when a loop begins in front of it, in the copy, as calls:
/// cira.last(number, address in the last iteration, iterations after the first)
/// for loads, cira.first(number, address in the first iteration) for accesses,
/// cira.count(loop, iterations after the first) for loops.
void markAhead(Route &R, Facts &facts);

/// Replaces the body of F by that of `from`, in a module that MLIR exported.
/// False: F is as before, `why` says what is wrong.
bool giveBack(Route &R, llvm::Function &from, std::string &why);

/// What chooses between versions of loops (runtime/cc/choice.h): is this one of
/// its names; puts its functions into M, false if that fails; a new site; its
/// short functions become part of F.
bool isChoice(llvm::StringRef name);
bool addChoice(llvm::Module &M);
llvm::GlobalVariable *makeSite(llvm::Module &M);
void inlineChoice(llvm::Function &F);
/// Makes functions of what a choice only enters where the plain loop may not
/// run (cira_choice1_plain): so it takes no register from that loop, and the
/// function's frame stays as it was. Returns them.
llvm::SmallVector<llvm::Function *> outlineChoices(llvm::Function &F);
/// For tests: the choice that is fixed, for a call of cira_jump_step too.
void fixJump(llvm::CallInst &step);

/// Notes the functions of which it is known, before anything is optimised, that
/// none of their loops and of those they may inline runs forever without doing
/// anything: C lets `for (;;)` do so. Later, loops lose what says it.
void markFinite(llvm::Module &M);
bool isFinite(const llvm::Function &F);

/// Bounds of loops of OpenMP are values that do not change, while this lasts.
class Bounds {
public:
  explicit Bounds(llvm::Function &F);
  bool changed() const;
  /// Headers of loops that `#pragma omp for` shares out among threads in pieces
  /// that the program does not choose: no iteration may need another.
  const llvm::SmallPtrSetImpl<const llvm::BasicBlock *> &sharedOut() const {
    return headers;
  }
  /// Leaves F as it was.
  void undo();

private:
  std::vector<std::pair<llvm::Use *, llvm::Value *>> replaced;
  llvm::SmallPtrSet<const llvm::BasicBlock *, 4> headers;
};

/// What LLVM knows about the loops of F. far: also what cira-llvm-far needs,
/// for which any loop is worth a look.
Facts gather(Route &R, llvm::FunctionAnalysisManager &FAM, bool far);

/// Has what allocates large blocks ask for huge pages; true: M changed.
bool adviseHugePages(llvm::Module &M, llvm::FunctionAnalysisManager &FAM);

} // namespace cira

#endif // CIRA_COMPILER_PLUGIN_PLUGIN_H
