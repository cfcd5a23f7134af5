#include "follow.h"

#include <initializer_list>

namespace gradtx {
namespace {

// Of instructions that read or write codes.
const char* follow_codes(const Program& program, const Instruction& in, Memory& memory) {
  const int32_t inputs = program.inputs, streams = inputs + program.outputs, places = streams + program.registers;
  const auto holds = [&](int32_t k, int32_t role) { return k >= 0 && k < streams && program.roles[k] == role; };
  const auto there = [&](int32_t k) { return memory.there & bit(k); };
  const auto has_codes = [&](int32_t k) { return k >= 0 && k < streams && program.roles[k] % 2 == 1 && there(k); };
  if (in.op == kDecode) {
    if (memory.coded) return "an operation behind what is coded last";
    if (!has_codes(in.x)) return "codes that are not there";
    if (program.codec(in.x).block == 0 ? in.y != 0 : !holds(in.y, program.roles[in.x] + 1) || !there(in.y))
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
  if (codec.random ? !has_codes(in.z) : in.z != 0) return "codes that are not there";
  memory.write(program, in.to);
  if (codec.block != 0) memory.write(program, in.y);
  return nullptr;
}

}  // namespace

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

}  // namespace gradtx
