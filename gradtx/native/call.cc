#include "call.h"

#include <algorithm>
#include <cstring>

#include "arrays.h"
#include "codecs.h"
#include "follow.h"

namespace gradtx {
namespace {

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

// The arrays of a leaf, which are of one size; what lies where another does. Adds to the number of elements.
const char* inspect(const ffi::Frame& frame, const Call& call, int64_t leaf, Memory& memory, int64_t& total) {
  const Program& program = call.program;
  const int32_t inputs = program.inputs, streams = inputs + program.outputs;
  int64_t count = -1;
  const ffi::Buffer* codes = nullptr;
  for (int32_t k = 0; k < streams; ++k) {
    const ffi::Buffer& buffer = stream(frame, program, leaf, k);
    if (buffer.type != stream(frame, program, 0, k).type) return "leaves of different types";
    if (program.roles[k] == 0) {
      const int64_t found = elements(buffer);
      if (found < 0 || (count >= 0 && found != count)) return "arrays that are not of one size, or not of floating point";
      if (buffer.type == ffi::kF64 && !call.wide) return "float64 computed in float32";
      count = found;
    } else if (program.roles[k] % 2 == 1) {
      const int64_t found = is_code(buffer.type) ? elements(buffer, 1) : -1;
      if (found < 0 || (count >= 0 && found != count)) return "codes that are not of one size, or not of 8 bits";
      if (codes && !std::equal(codes->dims, codes->dims + codes->rank, buffer.dims, buffer.dims + buffer.rank))
        return "codes of different shapes";
      codes = &buffer;
      count = found;
    }
  }
  Leaf rows{};
  if (program.codecs != nullptr) {
    if (codes == nullptr) return "scales without codes";
    if (count == 0) return "codes of nothing";
    set_rows(frame, program, leaf, rows);
    if (const char* wrong = inspect_rows(program, rows)) return wrong;
  }
  const auto bytes = [&](int32_t k) {
    const ffi::Buffer& buffer = stream(frame, program, leaf, k);
    return size(program, k, count, rows.row) * (is_code(buffer.type) ? 1 : width(buffer.type));
  };
  for (int32_t k = 0; k < streams; ++k) {
    const ffi::Buffer& buffer = stream(frame, program, leaf, k);
    if (program.roles[k] != 0 && program.roles[k] % 2 == 0 &&
        (buffer.type != ffi::kF32 || elements(buffer) != size(program, k, count, rows.row)))
      return "scales that do not fit the codes";
  }
  if (__builtin_add_overflow(total, count, &total) || total > kMostElements) return "too many elements";
  for (int32_t k = inputs; k < streams && count > 0; ++k) {
    const ffi::Buffer& to = stream(frame, program, leaf, k);
    const char *begin = static_cast<const char*>(to.data), *end = begin + bytes(k);
    for (int32_t j = 0; j < k; ++j) {
      const ffi::Buffer& other = stream(frame, program, leaf, j);
      const char* data = static_cast<const char*>(other.data);
      if (data >= end || data + bytes(j) <= begin) continue;
      const bool same = data == begin && bytes(j) == bytes(k) && other.type == to.type;
      if (j >= inputs || !same) return "results that overlap with other arrays";
      memory.covers[k - inputs] |= bit(j);
    }
  }
  return nullptr;
}

}  // namespace

const char* fault(const ffi::Frame& frame, Call& call) {
  const ffi::Attributes& attributes = frame.attributes;
  if (attributes.count != 4 || !attributes.types || !attributes.names || !attributes.items) return "wrong attributes";
  const ffi::Array *code = numbers(attributes, "code"), *reads = numbers(attributes, "reads"),
                   *sizes = numbers(attributes, "sizes"), *held = numbers(attributes, "streams");
  constexpr size_t fields = sizeof(Instruction) / sizeof(int32_t);
  if (!code || !reads || !sizes || !held) return "code, reads, sizes and streams must be vectors of int32, none empty";
  if (code->count % fields != 0 || code->count / fields > INT32_MAX) return "code must be whole instructions";
  if (sizes->count != 5) return "sizes must be the numbers of inputs, outputs, registers, leaves and codecs";

  Program& program = call.program;
  const int32_t* given = static_cast<const int32_t*>(sizes->data);
  program = Program{};
  program.instructions = static_cast<const Instruction*>(code->data);
  program.length = static_cast<int32_t>(code->count / fields);
  program.inputs = given[0], program.outputs = given[1], program.registers = given[2];
  call.reads = static_cast<const int32_t*>(reads->data);
  call.leaves = given[3];
  const int64_t streams = int64_t{program.inputs} + program.outputs, codecs = given[4];
  if (program.inputs < 0 || program.outputs < 0 || streams < 1 || streams > kMostStreams || program.registers < 0 ||
      program.registers > kMostRegisters || call.leaves < 1 || codecs < 0 || codecs > streams)
    return "sizes beyond what there is";
  if (reads->count % call.leaves != 0 || reads->count / call.leaves > kMostScalars) return "reads do not fit the leaves";
  program.scalars = static_cast<int32_t>(reads->count / call.leaves);

  const bool total = program.outputs == 0;
  if (frame.arguments.count != 1 + call.leaves * program.inputs + (codecs > 0) ||
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

  if (const char* wrong = inspect_codecs(frame, *held, codecs, program)) return wrong;
  Memory memory{};
  int64_t sum = 0;
  for (int64_t leaf = 0; leaf < call.leaves; ++leaf)
    if (const char* wrong = inspect(frame, call, leaf, memory, sum)) return wrong;
  for (int64_t k = 0; k < streams; ++k) {
    if (program.roles[k] == 0) memory.numbers |= bit(k);
    if (program.roles[k] == 0 && stream(frame, program, 0, k).type == type) memory.computed |= bit(k);
  }
  memory.there = bit(program.inputs) - 1;
  memory.readable = memory.there & memory.computed;
  for (int32_t i = 0; i < program.length; ++i)
    if (const char* wrong = follow(program, program.instructions[i], memory)) return wrong;
  for (int32_t i = 0; i < program.length; ++i) program.codings += program.instructions[i].op == kEncode;
  if (program.codings > kMostCoded) return "too many arrays that are coded";
  const Set outputs = (bit(streams) - 1) & ~(bit(program.inputs) - 1);
  if (total ? !memory.summed : (memory.written & outputs) != outputs) return "a result that is not computed";
  return nullptr;
}

}  // namespace gradtx
