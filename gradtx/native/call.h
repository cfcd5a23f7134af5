// What XLA hands over in one call, read by name and type, and checked before anything of it is used.
#pragma once

#include <cstdint>

#include "ffi.h"
#include "program.h"

namespace gradtx {

struct Call {
  Program program;
  const int32_t* reads;  // for every leaf, which of the given numbers its scalars are
  int64_t leaves;
  bool wide;  // whether it computes in float64
};

// A stream of a leaf: its inputs, then its outputs.
inline ffi::Buffer& stream(const ffi::Frame& frame, const Program& program, int64_t leaf, int64_t k) {
  return k < program.inputs ? frame.arguments[1 + leaf * program.inputs + k]
                            : frame.results[leaf * program.outputs + k - program.inputs];
}

// Why a call cannot be run, or null where it can, and then `call` is filled in. What passes reads and writes nothing
// but its own arrays, reads nothing before it is there or after it was overwritten, and writes every element of its
// results. That arrays are as large as they say, and those of different leaves apart, is XLA's word.
const char* fault(const ffi::Frame& frame, Call& call);

}  // namespace gradtx
