#include "call.h"

#include <algorithm>
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

bool is_code(int32_t type) { return type == ffi::kU8 || type == ffi::kS8; }

bool aligned(const void* data, int64_t width) { return reinterpret_cast<uintptr_t>(data) % width == 0; }

// The elements of an array of floating point, or of others of this width; -1 where there is no such array.
int64_t elements(const ffi::Buffer& buffer, int64_t other = 0) {
  const int64_t bytes = other ? other : width(buffer.type);
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

// Of instructions that read or write codes.
const char* follow_codes(const Program& program, const Instruction& in, Memory& memory) {
  const int32_t inputs = program.inputs, streams = inputs + program.outputs, places = streams + program.registers;
  const auto holds = [&](int32_t k, int32_t role) { return k >= 0 && k < streams && program.roles[k] == role; };
  if (in.op == kDecode) {
    if (memory.coded) return "an operation behind what is coded last";
    if (in.x < 0 || in.x >= streams || program.roles[in.x] % 2 == 0 || !(memory.there & bit(in.x)))
      return "codes that are not there";
    if (program.codec(in.x).block == 0 ? in.y != 0 : !holds(in.y, program.roles[in.x] + 1) || !(memory.there & bit(in.y)))
      return "scales that are not there";
    if (in.z != 0) return "an operand too many";
    if (in.to < inputs || in.to >= places) return "a result that has no place";
    if (in.to < streams && !(memory.computed & bit(in.to))) return "a result of another type than its place";
    memory.write(program, in.to);
    return nullptr;
  }
  memory.coded = true;
  if (in.to < inputs || in.to >= streams || program.roles[in.to] % 2 == 0) return "codes that have no place";
  const Codec& codec = program.codec(in.to);
  if (in.x < 0 || in.x >= places || !(memory.readable & bit(in.x))) return "an operand that is not there";
  if (codec.block == 0 ? in.y != 0 : in.y < inputs || !holds(in.y, program.roles[in.to] + 1))
    return "scales that have no place";
  if (codec.random ? in.z < 0 || in.z >= streams || program.roles[in.z] % 2 == 0 || !(memory.there & bit(in.z)) : in.z != 0)
    return "codes that are not there";
  memory.write(program, in.to);
  if (codec.block != 0) memory.write(program, in.y);
  return nullptr;
}

const char* follow(const Program& program, const Instruction& in, Memory& memory) {
  const int32_t inputs = program.inputs, streams = inputs + program.outputs, places = streams + program.registers;
  if (in.op < 0 || in.op >= kOps) return "an unknown operation";
  for (int32_t s : {in.s0, in.s1, in.s2, in.s3})
    if (s < 0 || s >= program.scalars) return "a scalar that is not there";
  if (in.op == kDecode || in.op == kEncode) return follow_codes(program, in, memory);
  if (memory.coded) return "an operation behind what is coded last";
  const Operands operands = kOperands[in.op];
  const int32_t fields[] = {in.x, in.y, in.z};
  int scalars = 0;
  for (int k = 0; k < 3; ++k) {
    const int32_t field = fields[k];
    if (k >= operands.reads) {
      if (field != 0) return "an operand too many";
    } else if (field < 0) {
      if (field < -program.scalars || ++scalars > operands.either) return "a scalar that is not there";
    } else if (field >= places || !((in.op == kLoad ? memory.there & memory.numbers : memory.readable) & bit(field))) {
      return "an operand that is not there";
    }
  }
  if (in.op == kSum) {
    memory.summed = true;
    return in.to != 0 || program.outputs != 0 ? "a sum beside results" : nullptr;
  }
  const bool stores = in.op == kStore || in.op == kStoreHeld;
  if (in.to < inputs || in.to >= (stores ? streams : places)) return "a result that has no place";
  if (in.to < streams && program.roles[in.to] != 0) return "numbers in the place of codes";
  if (!stores && in.to < streams && !(memory.computed & bit(in.to))) return "a result of another type than its place";
  memory.write(program, in.to);
  return nullptr;
}

// The elements of a stream of so many numbers: as many, or as many as there are blocks of them.
int64_t size(const Program& program, int32_t k, int64_t count, int64_t row) {
  if (program.roles[k] == 0 || program.roles[k] % 2 == 1) return count;
  const int64_t block = program.codec(k).block;
  return block < 0 ? count / row : count / row * ((row + block - 1) / block);
}

// Why these rows cannot be coded together, or null.
const char* inspect_rows(const Program& program, const Leaf& rows) {
  for (int32_t k = 0; k < program.inputs + program.outputs && rows.row > kShort && rows.span < rows.row; ++k)
    if (program.roles[k] != 0 && program.codec(k).block > 0 && rows.span % program.codec(k).block != 0)
      return "blocks that do not lie within each other";
  return rows.span <= kMostSpan ? nullptr : "too many numbers that are coded together";
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
      if (codes && (codes->rank != buffer.rank || memcmp(codes->dims, buffer.dims, buffer.rank * sizeof(int64_t)) != 0))
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

// Whether what a codec is told stays within the numbers of all tables, and its own.
bool is_right(const Codec& codec, int64_t tables) {
  const auto within = [](int64_t x, int64_t least, int64_t most) { return x >= least && x <= most; };
  for (int32_t flag : {codec.random, codec.mirrored})
    if (!within(flag, 0, 1)) return false;
  if (!within(codec.nan, 0, 255) || !within(codec.values, 0, tables - 256)) return false;
  if (codec.steps != 0)
    return codec.block == 0 && within(codec.steps, 1, 64) && (codec.steps & (codec.steps - 1)) == 0 && within(codec.low, -126, 126) && within(codec.last, 1, 255);
  return codec.block >= -1 && codec.block != 0 && within(codec.shift, 1, 23) && within(codec.buckets, 1, 1 << 20) &&
         within(codec.lowest, 0, 1 << 22) && int64_t{codec.lowest + codec.buckets} << codec.shift <= int64_t{1} << 31 &&
         within(codec.least, 0, 255) && within(codec.entries, 0, tables - int64_t{codec.buckets} * (1 + codec.mirrored));
}

// What the streams hold, and of which codecs.
const char* inspect_codecs(const ffi::Frame& frame, const ffi::Array& given, int64_t codecs, Program& program) {
  const int64_t streams = program.inputs + program.outputs;
  if (given.count != streams + codecs * sizeof(Codec) / sizeof(int32_t)) return "streams and codecs do not fit";
  program.roles = static_cast<const int32_t*>(given.data);
  for (int64_t k = 0; k < streams; ++k)
    if (program.roles[k] < 0 || program.roles[k] > 2 * codecs) return "a codec that is not there";
  if (codecs == 0) return nullptr;
  const ffi::Buffer& tables = frame.arguments[frame.arguments.count - 1];
  const int64_t numbers = tables.type == ffi::kS32 ? elements(tables, sizeof(int32_t)) : -1;
  program.codecs = reinterpret_cast<const Codec*>(program.roles + streams);
  program.tables = static_cast<const int32_t*>(tables.data);
  for (int64_t k = 0; k < codecs; ++k)
    if (!is_right(program.codecs[k], numbers)) return "a codec beyond the tables";
  for (int64_t k = 0; k < streams; ++k)
    if (program.roles[k] != 0 && program.roles[k] % 2 == 0 && program.codec(k).block == 0) return "scales of no codec";
  return nullptr;
}

}  // namespace

void set_rows(const ffi::Frame& frame, const Program& program, int64_t leaf, Leaf& rows) {
  for (int32_t k = 0; k < program.inputs + program.outputs && rows.row == 0; ++k) {
    if (program.roles[k] % 2 == 0) continue;
    const ffi::Buffer& codes = stream(frame, program, leaf, k);
    rows.dims = codes.dims;
    rows.rank = codes.rank;
    rows.row = codes.rank > 0 ? codes.dims[codes.rank - 1] : 1;
  }
  int64_t most = 1;
  for (int32_t k = 0; k < program.inputs + program.outputs; ++k) {
    const int64_t block = program.roles[k] != 0 ? program.codec(k).block : 0;
    if (block != 0) most = std::max(most, block < 0 ? rows.row : std::min(block, rows.row));
  }
  rows.span = most * std::max<int64_t>(1, kShort / most);
}

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
