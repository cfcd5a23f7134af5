// Floats as their bits, and bytes as numbers of 32 bits. Part of the machine, compiled once for each width of vectors.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__AVX512F__)
#include <immintrin.h>
#endif

namespace gradtx::GRADTX_WIDTH {
namespace {

constexpr int32_t kMagnitude = 0x7fffffff, kInfinity = 0x7f800000, kLeastNormal = 0x00800000;
constexpr float kMostFloat = __FLT_MAX__;

inline int32_t bits_of(float x) {
  int32_t bits;
  memcpy(&bits, &x, 4);
  return bits;
}

inline float float_of(int32_t bits) {
  float x;
  memcpy(&x, &bits, 4);
  return x;
}

inline float power_of_two(int32_t exponent) { return float_of((exponent + 127) << 23); }

// Bytes as numbers of 32 bits and back. Compilers do well with one width at a time.
template <class S>
void spread(int32_t* to, const S* from, int64_t n) {
  int64_t i = 0;
#if defined(__AVX512F__)
  for (; i + 16 <= n; i += 16) {
    const __m128i some = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i));
    _mm512_storeu_si512(to + i, S(-1) < 0 ? _mm512_cvtepi8_epi32(some) : _mm512_cvtepu8_epi32(some));
  }
#endif
  for (; i < n; ++i) to[i] = from[i];
}

inline void pack(uint8_t* to, const int32_t* from, int64_t n) {
  int64_t i = 0;
#if defined(__AVX512F__)
  for (; i + 16 <= n; i += 16)
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to + i), _mm512_cvtepi32_epi8(_mm512_loadu_si512(from + i)));
#endif
  for (; i < n; ++i) to[i] = static_cast<uint8_t>(from[i]);
}

}  // namespace
}  // namespace gradtx::GRADTX_WIDTH
