// SPDX-License-Identifier: Apache-2.0
// The other side of include/cira-c/IR.h, and the registration of passes and
// pipelines by name.
#include "Bridge.h"
#include "Cira.h"
#include "cira-c/IR.h"

#include "mlir/CAPI/IR.h"
#include "mlir/CAPI/Pass.h"
#include "mlir/CAPI/Support.h"
#include "mlir/Dialect/LLVMIR/LLVMTypes.h"
#include "mlir/IR/AttrTypeSubElements.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"

using namespace mlir;
using namespace cira;

//===-- Effects -----------------------------------------------------------===//

static unsigned bitsOf(const MemoryEffects::EffectInstance &effect) {
  if (!isa<SideEffects::DefaultResource>(effect.getResource())) {
    return CIRA_EFFECT_OTHER;
  }
  if (isa<MemoryEffects::Read>(effect.getEffect())) {
    return CIRA_EFFECT_READ;
  }
  return isa<MemoryEffects::Write>(effect.getEffect()) ? CIRA_EFFECT_WRITE
                                                       : CIRA_EFFECT_OTHER;
}

unsigned ciraOperationGetEffects(MlirOperation wrapped) {
  unsigned bits = 0;
  Operation *root = unwrap(wrapped);
  root->walk([&](Operation *op) {
    if (auto interface = dyn_cast<MemoryEffectOpInterface>(op)) {
      SmallVector<MemoryEffects::EffectInstance> effects;
      interface.getEffects(effects);
      for (const auto &effect : effects) {
        bits |= bitsOf(effect);
      }
    } else if (!op->hasTrait<OpTrait::HasRecursiveMemoryEffects>() &&
               !op->hasTrait<OpTrait::IsTerminator>()) {
      bits |= CIRA_EFFECT_READ | CIRA_EFFECT_WRITE | CIRA_EFFECT_OTHER;
    }
  });
  return bits;
}

bool ciraOperationIsPure(MlirOperation op) {
  return isPure(unwrap(op));
}

bool ciraOperationPrecedes(MlirOperation wrappedFirst, MlirOperation second) {
  Operation *first = unwrap(wrappedFirst);
  Operation *here = first->getBlock()->findAncestorOpInBlock(*unwrap(second));
  return here && here != first && first->isBeforeInBlock(here);
}

MlirOperation ciraOperationGetPrevInBlock(MlirOperation op) {
  return wrap(unwrap(op)->getPrevNode());
}

void ciraBlockVisitPredecessors(MlirBlock block, CiraEdgeCallback each,
                                void *context) {
  SmallVector<BlockOperand *> edges; // the last one made comes first
  for (BlockOperand &edge : unwrap(block)->getUses()) {
    edges.push_back(&edge);
  }
  for (BlockOperand *edge : llvm::reverse(edges)) {
    if (!each(context, wrap(edge->getOwner()), edge->getOperandNumber())) {
      return;
    }
  }
}

bool ciraOperationIsAncestor(MlirOperation ancestor, MlirOperation op) {
  return unwrap(ancestor)->isAncestor(unwrap(op));
}

MlirAttribute ciraOperationGetMachine(MlirOperation op) {
  return wrap(getMachine(unwrap(op)));
}

void ciraEmitRemark(MlirLocation loc, MlirStringRef text) {
  emitRemark(unwrap(loc)) << unwrap(text);
}

bool ciraOperationHasName(MlirOperation op, const char *name) {
  return unwrap(op)->getName().getStringRef() == name;
}

bool ciraValueGetConstant(MlirValue value, int64_t *out_number) {
  Operation *op = unwrap(value).getDefiningOp();
  if (!op || !op->hasTrait<OpTrait::ConstantLike>()) {
    return false;
  }
  auto number = dyn_cast_or_null<IntegerAttr>(op->getAttr("value"));
  if (!number || number.getValue().getSignificantBits() > 64) {
    return false;
  }
  *out_number = number.getValue().getSExtValue();
  return true;
}

static void setColumn(Operation *op, unsigned column) {
  AttrTypeReplacer replacer;
  replacer.addReplacement([=](FileLineColLoc at) {
    return FileLineColLoc::get(at.getFilename(), at.getLine(), column);
  });
  op->setLoc(cast<LocationAttr>(replacer.replace(Attribute(op->getLoc()))));
}

void ciraOperationMarkCopy(MlirOperation op) {
  setColumn(unwrap(op), 2);
}

void ciraOperationMarkPlain(MlirOperation op) {
  setColumn(unwrap(op), 3);
}

bool ciraTypeIsALLVMArray(MlirType type, uint64_t *out_count,
                          MlirType *out_element) {
  auto array = dyn_cast<LLVM::LLVMArrayType>(unwrap(type));
  if (!array) {
    return false;
  }
  *out_count = array.getNumElements();
  *out_element = wrap(array.getElementType());
  return true;
}

bool ciraTypeIsALLVMPointer(MlirType type) {
  return isa<LLVM::LLVMPointerType>(unwrap(type));
}

//===-- Registration ------------------------------------------------------===//

void cira__pass_register(MlirPass (*create)(const void *),
                         const void *user_data) {
  mlir::registerPass([create, user_data] {
    return std::unique_ptr<Pass>(unwrap(create(user_data)));
  });
}

void cira__pipeline_register(const char *name, const char *description,
                             const char *stages) {
  PassPipelineRegistration<>(
      name, description, [stages](OpPassManager &manager) {
        if (failed(parsePassPipeline(stages, manager, llvm::errs()))) {
          llvm::report_fatal_error("a cira pipeline names an unknown pass");
        }
      });
}
