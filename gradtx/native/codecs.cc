#include "codecs.h"

#include <algorithm>

#include "arrays.h"
#include "call.h"

namespace gradtx {
namespace {

// Whether what a codec is told stays within the numbers of all tables, and its own.
bool is_right(const Codec& codec, int64_t tables) {
  const auto within = [](int64_t x, int64_t least, int64_t most) { return x >= least && x <= most; };
  for (int32_t flag : {codec.random, codec.mirrored})
    if (!within(flag, 0, 1)) return false;
  if (!within(codec.nan, 0, 255) || !within(codec.values, 0, tables - 256)) return false;
  if (codec.steps != 0)
    return codec.block == 0 && within(codec.steps, 1, 64) && (codec.steps & (codec.steps - 1)) == 0 &&
           within(codec.low, -126, 126) && within(codec.last, 1, 255);
  return codec.block >= -1 && codec.block != 0 && within(codec.shift, 1, 23) && within(codec.buckets, 1, 1 << 20) &&
         within(codec.lowest, 0, 1 << 22) && int64_t{codec.lowest + codec.buckets} << codec.shift <= int64_t{1} << 31 &&
         within(codec.least, 0, 255) && within(codec.entries, 0, tables - int64_t{codec.buckets} * (1 + codec.mirrored));
}

}  // namespace

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

const char* inspect_rows(const Program& program, const Leaf& rows) {
  if (rows.row > UINT32_MAX) return "rows that are too long";
  for (int32_t k = 0; k < program.inputs + program.outputs && rows.row > kShort && rows.span < rows.row; ++k)
    if (program.roles[k] != 0 && program.codec(k).block > 0 && rows.span % program.codec(k).block != 0)
      return "blocks that do not lie within each other";
  return rows.span <= kMostSpan ? nullptr : "too many numbers that are coded together";
}

int64_t size(const Program& program, int32_t k, int64_t count, int64_t row) {
  if (program.roles[k] == 0 || program.roles[k] % 2 == 1) return count;
  const int64_t block = program.codec(k).block;
  return block < 0 ? count / row : count / row * ((row + block - 1) / block);
}

}  // namespace gradtx
