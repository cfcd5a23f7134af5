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

// A stream's role is 0 where it holds numbers, 2 k + 1 for codes of the k-th codec, and 2 k + 2 for scales of it.
struct Program {
  const Instruction* instructions;
  int32_t length, inputs, outputs, scalars, registers, codings;  // the last so many instructions are `encode`
  const int32_t* roles;
  const Codec* codecs;
  const int32_t* tables;

  const Codec& codec(int32_t stream) const { return codecs[(roles[stream] - 1) / 2]; }
};

// One leaf: its inputs, then its outputs; types as in ffi::Type.
struct Leaf {
  void* const* streams;
  const int32_t* types;
  const void* scalars;
  // Where something is in codes, else 0: the length of a row, and how many of its numbers are coded together.
  int64_t row, span;
  const int64_t* dims;
  int64_t rank;
};

// How many of `left` numbers, the first of which has its place `within` a row, are coded together: whole rows that are
// short, or whole blocks of one row.
inline int64_t span_at(const Leaf& leaf, int64_t within, int64_t left) {
  const int64_t rest = leaf.row - within;
  const int64_t size = leaf.row <= kShort ? kShort / leaf.row * leaf.row : leaf.span < rest ? leaf.span : rest;
  return left < size ? left : size;
}

// Run a program on elements `begin` to `end` of a leaf; the sum of what it adds up. Both are ends of spans, if any.
using Machine = double (*)(const Program&, const Leaf&, int64_t begin, int64_t end);

constexpr int kBlock = 128;         // elements, of all of which each instruction is done before the next

static_assert(kMostSpan >= kShort);
constexpr int kAhead = 6 * kBlock;  // how far ahead memory is asked for

struct Machines {
  Machine single, wide;  // computing in float32, and in float64
};

namespace baseline { extern const Machines machines; }
namespace avx2 { extern const Machines machines; }
namespace avx512 { extern const Machines machines; }

}  // namespace gradtx
