// A program followed before it is run, so that it reads nothing before it is there or after it was overwritten.
#pragma once

#include <cstdint>

#include "program.h"

namespace gradtx {

// Streams and registers as bits of one number: first the inputs, then the outputs, then temporary memory.
using Set = uint64_t;
static_assert(kMostStreams + kMostRegisters < 64);

constexpr Set bit(int64_t k) { return Set{1} << k; }

// What is known of memory while a program is followed.
struct Memory {
  Set numbers;                 // streams that hold numbers
  Set computed;                // those of them whose elements are what the machine computes in
  Set covers[kMostStreams];    // by output: the inputs that lie where it lies
  Set readable, there;         // what can be read as it is; the inputs that were not overwritten
  Set written = 0;
  bool summed = false, coded = false;

  void write(const Program& program, int32_t to) {
    const bool temporary = to >= program.inputs + program.outputs;
    const Set lost = temporary ? 0 : covers[to - program.inputs];
    there &= ~lost;
    readable &= ~lost;
    written |= bit(to);
    if (temporary || (computed & bit(to))) readable |= bit(to);
  }
};

// Why an instruction cannot be run when those before it were, or null, and then `memory` is what it leaves.
const char* follow(const Program& program, const Instruction& in, Memory& memory);

}  // namespace gradtx
