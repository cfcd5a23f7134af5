#include "call.h"

#include <cstring>
#include <initializer_list>

namespace gradtx {
namespace {

constexpr int64_t kMostRank = 255, kMostElements = int64_t{1} << 55;

int64_t width(int32_t type) {
  switch (type) {
    case ffi::kF64: return 8;
    case ffi::kF32: return 4;
    case ffi::kF16: case ffi::kBF16: return 2;
  }
  return 0;
}

bool aligned(const void* data, int64_t width) { return reinterpret_cast<uintptr_t>(data) % width == 0; }

// The elements of an array of floating point, or -1 where there is no such array.
int64_t elements(const ffi::Buffer& buffer) {
  const int64_t bytes = width(buffer.type);
  if (bytes == 0 || buffer.rank < 0 || buffer.rank > kMostRank || (buffer.rank > 0 && buffer.dims == nullptr)) return -1;
  int64_t count = 1;
  for (int64_t i = 0; i < buffer.rank; ++i)
    if (buffer.dims[i] < 0 || __builtin_mul_overflow(count, buffer.dims[i], &count)) return -1;
  const bool there = count == 0 || (buffer.data != nullptr && aligned(buffer.data, bytes));
  return there && count <= kMostElements ? count : -1;
}

bool are_arrays(const ffi::Buffers& buffers) {
  if (buffers.count < 0 || (buffers.count > 0 && (buffers.types == nullptr || buffers.items == nullptr))) return false;
  for (int64_t i = 0; i < buffers.count; ++i)
    if (buffers.types[i] != ffi::kBuffer || buffers.items[i] == nullptr) return false;
  return true;
}

// The attribute of a name, where it is a vector of int32.
const ffi::Array* numbers(const ffi::Attributes& attributes, const char* name) {
  for (int64_t i = 0; i < attributes.count; ++i) {
    const ffi::Name* given = attributes.names[i];
    if (given == nullptr || given->data == nullptr || given->size != strlen(name) ||
        memcmp(given->data, name, given->size) != 0)
      continue;
    const ffi::Array* array = static_cast<const ffi::Array*>(attributes.items[i]);
    const bool right = attributes.types[i] == ffi::kArray && array != nullptr && array->type == ffi::kS32 &&
                       array->count > 0 && array->data != nullptr && aligned(array->data, sizeof(int32_t));
    return right ? array : nullptr;
  }
  return nullptr;
}

// Streams and registers as bits of one number: first the inputs, then the outputs, then temporary memory.
using Set = uint64_t;
static_assert(kMostStreams + kMostRegisters < 64);

constexpr Set bit(int64_t k) { return Set{1} << k; }

// What is known of memory while a program is followed.
struct Memory {
  Set computed;                // streams whose elements are what the machine computes in
  Set covers[kMostStreams];    // by output: the inputs that lie where it lies
  Set readable, there;         // what can be read as it is; the inputs that were not overwritten
  Set written = 0;
  bool summed = false;

  void write(const Program& program, int32_t to) {
    const bool temporary = to >= program.inputs + program.outputs;
    const Set lost = temporary ? 0 : covers[to - program.inputs];
    there &= ~lost;
    readable &= ~lost;
    written |= bit(to);
    if (temporary || (computed & bit(to))) readable |= bit(to);
  }
};

const char* follow(const Program& program, const Instruction& in, Memory& memory) {
  const int32_t inputs = program.inputs, streams = inputs + program.outputs, places = streams + program.registers;
  if (in.op < 0 || in.op >= kOps) return "an unknown operation";
  for (int32_t s : {in.s0, in.s1, in.s2, in.s3})
    if (s < 0 || s >= program.scalars) return "a scalar that is not there";
  const Operands operands = kOperands[in.op];
  const int32_t fields[] = {in.x, in.y, in.z};
  int scalars = 0;
  for (int k = 0; k < 3; ++k) {
    const int32_t field = fields[k];
    if (k >= operands.reads) {
      if (field != 0) return "an operand too many";
    } else if (field < 0) {
      if (field < -program.scalars || ++scalars > operands.either) return "a scalar that is not there";
    } else if (field >= places || !((in.op == kLoad ? memory.there : memory.readable) & bit(field))) {
      return "an operand that is not there";
    }
  }
  if (in.op == kSum) {
    memory.summed = true;
    return in.to != 0 || program.outputs != 0 ? "a sum beside results" : nullptr;
  }
  const bool stores = in.op == kStore || in.op == kStoreHeld;
  if (in.to < inputs || in.to >= (stores ? streams : places)) return "a result that has no place";
  if (!stores && in.to < streams && !(memory.computed & bit(in.to))) return "a result of another type than its place";
  memory.write(program, in.to);
  return nullptr;
}

// The arrays of a leaf, which are of one size; what lies where another does. Adds to the number of elements.
const char* inspect(const ffi::Frame& frame, const Call& call, int64_t leaf, Memory& memory, int64_t& total) {
  const int32_t inputs = call.program.inputs, streams = inputs + call.program.outputs;
  const int64_t count = elements(stream(frame, call.program, leaf, 0));
  for (int32_t k = 0; k < streams; ++k) {
    const ffi::Buffer& buffer = stream(frame, call.program, leaf, k);
    if (elements(buffer) != count || count < 0) return "arrays that are not of one size, or not of floating point";
    if (buffer.type != stream(frame, call.program, 0, k).type) return "leaves of different types";
    if (buffer.type == ffi::kF64 && !call.wide) return "float64 computed in float32";
  }
  if (__builtin_add_overflow(total, count, &total) || total > kMostElements) return "too many elements";
  for (int32_t k = inputs; k < streams && count > 0; ++k) {
    const ffi::Buffer& to = stream(frame, call.program, leaf, k);
    const char *begin = static_cast<const char*>(to.data), *end = begin + count * width(to.type);
    for (int32_t j = 0; j < k; ++j) {
      const ffi::Buffer& other = stream(frame, call.program, leaf, j);
      const char* data = static_cast<const char*>(other.data);
      if (data >= end || data + count * width(other.type) <= begin) continue;
      if (j >= inputs || data != begin || other.type != to.type) return "results that overlap with other arrays";
      memory.covers[k - inputs] |= bit(j);
    }
  }
  return nullptr;
}

}  // namespace

const char* fault(const ffi::Frame& frame, Call& call) {
  const ffi::Attributes& attributes = frame.attributes;
  if (attributes.count != 3 || !attributes.types || !attributes.names || !attributes.items) return "wrong attributes";
  const ffi::Array *code = numbers(attributes, "code"), *reads = numbers(attributes, "reads"),
                   *sizes = numbers(attributes, "sizes");
  constexpr size_t fields = sizeof(Instruction) / sizeof(int32_t);
  if (!code || !reads || !sizes) return "code, reads and sizes must be vectors of int32, none of them empty";
  if (code->count % fields != 0 || code->count / fields > INT32_MAX) return "code must be whole instructions";
  if (sizes->count != 4) return "sizes must be the numbers of inputs, outputs, registers and leaves";

  Program& program = call.program;
  const int32_t* given = static_cast<const int32_t*>(sizes->data);
  program = {static_cast<const Instruction*>(code->data), static_cast<int32_t>(code->count / fields), given[0], given[1], 0,
             given[2]};
  call.reads = static_cast<const int32_t*>(reads->data);
  call.leaves = given[3];
  const int64_t streams = int64_t{program.inputs} + program.outputs;
  if (program.inputs < 0 || program.outputs < 0 || streams < 1 || streams > kMostStreams || program.registers < 0 ||
      program.registers > kMostRegisters || call.leaves < 1)
    return "sizes beyond what there is";
  if (reads->count % call.leaves != 0 || reads->count / call.leaves > kMostScalars) return "reads do not fit the leaves";
  program.scalars = static_cast<int32_t>(reads->count / call.leaves);

  const bool total = program.outputs == 0;
  if (frame.arguments.count != 1 + call.leaves * program.inputs ||
      frame.results.count != (total ? 1 : call.leaves * program.outputs) || !are_arrays(frame.arguments) ||
      !are_arrays(frame.results))
    return "arguments or results do not fit the leaves";
  const ffi::Buffer& scalars = frame.arguments[0];
  call.wide = scalars.type == ffi::kF64;
  const int32_t type = call.wide ? ffi::kF64 : ffi::kF32;
  const int64_t there = elements(scalars);
  if (scalars.type != type || there < 0) return "scalars must be float32 or float64";
  for (size_t i = 0; i < reads->count; ++i)
    if (call.reads[i] < 0 || call.reads[i] >= there) return "reads beyond the scalars";
  if (total && (frame.results[0].type != type || elements(frame.results[0]) != 1)) return "a sum of another type";

  Memory memory{};
  int64_t sum = 0;
  for (int64_t leaf = 0; leaf < call.leaves; ++leaf)
    if (const char* wrong = inspect(frame, call, leaf, memory, sum)) return wrong;
  for (int64_t k = 0; k < streams; ++k)
    if (stream(frame, program, 0, k).type == type) memory.computed |= bit(k);
  memory.there = bit(program.inputs) - 1;
  memory.readable = memory.there & memory.computed;
  for (int32_t i = 0; i < program.length; ++i)
    if (const char* wrong = follow(program, program.instructions[i], memory)) return wrong;
  const Set outputs = (bit(streams) - 1) & ~(bit(program.inputs) - 1);
  if (total ? !memory.summed : (memory.written & outputs) != outputs) return "a result that is not computed";
  return nullptr;
}

}  // namespace gradtx
