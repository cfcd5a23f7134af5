// A program is what one step does to one element of every array of a leaf; the machine runs it block by block.
#pragma once

#include <cstdint>

#include "operations.h"

namespace gradtx {

// A register is a block of temporary memory, or a stream in memory whose elements are what the machine computes in.
// Where an operand is a scalar instead, it is -1 - its number.
struct Instruction {
  int32_t op, to, x, y, z, s0, s1, s2, s3;
};

struct Program {
  const Instruction* instructions;
  int32_t length, inputs, outputs, scalars, registers;
};

// One leaf: its inputs, then its outputs; types as in ffi::Type.
struct Leaf {
  void* const* streams;
  const int32_t* types;
  const void* scalars;
};

// Run a program on elements `begin` to `end` of a leaf; the sum of what it adds up.
using Machine = double (*)(const Program&, const Leaf&, int64_t begin, int64_t end);

constexpr int kBlock = 128;         // elements, of all of which each instruction is done before the next
constexpr int kAhead = 6 * kBlock;  // how far ahead memory is asked for

struct Machines {
  Machine single, wide;  // computing in float32, and in float64
};

namespace baseline { extern const Machines machines; }
namespace avx2 { extern const Machines machines; }
namespace avx512 { extern const Machines machines; }

}  // namespace gradtx
