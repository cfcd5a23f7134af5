// A program is what one step does to one element of every array of a leaf; the machine runs it block by block.
#pragma once

#include <cstdint>

namespace gradtx {

// In the order of gradtx/native/program.py. x, y and z are registers; where z is not read, s0 to s3 are scalars.
enum Op : int32_t {
  kLoad,  // register <- stream, converted
  kStore,  // stream <- register, rounded
  kStoreHeld,  // the same, and held within -s0 and s0 where it is finite
  kAdd, kSub, kMul, kDiv, kMax, kMin, kPow, kAtan2, kAnd, kOr,
  kEq, kNe, kLt, kLe, kGt, kGe,
  kNeg, kAbs, kSign, kSqrt, kRsqrt, kCbrt, kExp, kExpm1, kLog, kLog1p, kTanh, kAtan, kFinite, kNot, kCopy,
  kRoundF16, kRoundBF16, kRoundF32,
  kSelect,      // x is not 0 ? z : y
  kSaturate,    // x, held within -s0 and s0 where it is finite
  kMulAdd,      // s0 x + y
  kBlend,       // s0 x + s1 y
  kBlendSquare, // s0 x + s1 y^2
  kRatioRoot,   // (x / s0) / (sqrt(y / s1 + s2) + s3)
  kSum,         // adds x to the sum of the run
  kOps,         // how many there are; call.cc says what each reads
};

// A register is a block of temporary memory, or a stream in memory whose elements are what the machine computes in.
// Of add ... ge, one of x and y may be a scalar: -1 - its number.
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

constexpr int kMostStreams = 32, kMostRegisters = 24, kMostScalars = 64;
constexpr int kBlock = 128;         // elements, of all of which each instruction is done before the next
constexpr int kAhead = 6 * kBlock;  // how far ahead memory is asked for

struct Machines {
  Machine single, wide;  // computing in float32, and in float64
};

namespace baseline { extern const Machines machines; }
namespace avx2 { extern const Machines machines; }
namespace avx512 { extern const Machines machines; }

}  // namespace gradtx
