// Arrays that XLA hands over: whether one is there, and how large it is.
#pragma once

#include <cstdint>

#include "ffi.h"

namespace gradtx {

constexpr int64_t kMostRank = 255, kMostElements = int64_t{1} << 55;

inline int64_t width(int32_t type) {
  switch (type) {
    case ffi::kF64: return 8;
    case ffi::kF32: return 4;
    case ffi::kF16: case ffi::kBF16: return 2;
  }
  return 0;
}

inline bool is_code(int32_t type) { return type == ffi::kU8 || type == ffi::kS8; }

inline bool aligned(const void* data, int64_t width) { return reinterpret_cast<uintptr_t>(data) % width == 0; }

// The elements of an array of floating point, or of others of this width; -1 where there is no such array.
inline int64_t elements(const ffi::Buffer& buffer, int64_t other = 0) {
  const int64_t bytes = other ? other : width(buffer.type);
  if (bytes == 0 || buffer.rank < 0 || buffer.rank > kMostRank || (buffer.rank > 0 && buffer.dims == nullptr)) return -1;
  int64_t count = 1;
  for (int64_t i = 0; i < buffer.rank; ++i)
    if (buffer.dims[i] < 0 || __builtin_mul_overflow(count, buffer.dims[i], &count)) return -1;
  const bool there = count == 0 || (buffer.data != nullptr && aligned(buffer.data, bytes));
  return there && count <= kMostElements ? count : -1;
}

inline bool are_arrays(const ffi::Buffers& buffers) {
  if (buffers.count < 0 || (buffers.count > 0 && (buffers.types == nullptr || buffers.items == nullptr))) return false;
  for (int64_t i = 0; i < buffers.count; ++i)
    if (buffers.types[i] != ffi::kBuffer || buffers.items[i] == nullptr) return false;
  return true;
}

}  // namespace gradtx
