// Numbers of 16 bits, and blocks of one type as another. Part of the machine, compiled once for each width of vectors.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__F16C__)
#include <immintrin.h>
#endif

#include "ffi.h"
#include "number.h"
#include "program.h"

#if defined(__clang__)
#define GRADTX_LOOP _Pragma("clang loop vectorize(assume_safety)") for (int64_t i = 0; i < n; ++i)
#else
#define GRADTX_LOOP _Pragma("GCC ivdep") for (int64_t i = 0; i < n; ++i)
#endif

namespace gradtx::GRADTX_WIDTH {
namespace {

using Half = _Float16;
struct BFloat {
  uint16_t bits;
  explicit operator float() const {
    uint32_t wide = static_cast<uint32_t>(bits) << 16;
    float x;
    memcpy(&x, &wide, 4);
    return x;
  }
  explicit operator double() const { return by_hand(static_cast<float>(*this)); }
};

// The width of an element; and f(a stream as what it holds, from `at` on), where that is of floating point.
int64_t bytes(int32_t type) {
  return type == ffi::kF64 ? 8 : type == ffi::kF32 ? 4 : type == ffi::kF16 || type == ffi::kBF16 ? 2 : 1;
}

template <class F>
void with_type(int32_t type, void* stream, int64_t at, F f) {
  switch (type) {
    case ffi::kF32: return f(static_cast<float*>(stream) + at);
    case ffi::kF64: return f(static_cast<double*>(stream) + at);
    case ffi::kF16: return f(static_cast<Half*>(stream) + at);
    case ffi::kBF16: return f(static_cast<BFloat*>(stream) + at);
  }
}

template <class To, class T>
To narrow(T x) {
  return static_cast<To>(x);
}

template <>
float narrow<float, double>(double x) {
  return by_hand(static_cast<float>(x));
}

template <>
BFloat narrow<BFloat, float>(float x) {  // to nearest, ties to even
  uint32_t bits;
  memcpy(&bits, &x, 4);
  uint32_t nearest = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16, quiet = (bits >> 16) | 0x40;
  return BFloat{static_cast<uint16_t>(x == x ? nearest : quiet)};
}

template <>
BFloat narrow<BFloat, double>(double x) {  // through float, whose last bit is made odd where it is not exact
  float y = static_cast<float>(x);
  uint32_t bits;
  memcpy(&bits, &y, 4);
  double back = y, size = x < 0 ? -x : x, rounded = back < 0 ? -back : back;
  bits = rounded > size ? (bits - 1) | 1 : rounded < size ? bits | 1 : bits;
  memcpy(&y, &bits, 4);
  return narrow<BFloat, float>(y);
}

template <class T> bool finite(T x) { return x - x == 0; }

// x held within -most and most where it is finite.
template <class T>
T hold(T x, T most) {
  const T low = x < -most ? -most : x, held = low > most ? most : low;
  return finite(x) ? held : x;
}

// A block of one type as another. Compilers leave the conversions to and from half a number at a time.
template <class T, class S>
void widen(T* to, const S* from, int64_t n) {
  GRADTX_LOOP to[i] = static_cast<T>(from[i]);
}

template <>
void widen(double* to, const float* from, int64_t n) {
  GRADTX_LOOP to[i] = by_hand(from[i]);
}

template <class S, class T>
void narrow(S* to, const T* x, int64_t n) {
  GRADTX_LOOP to[i] = narrow<S, T>(x[i]);
}

template <class S, class T>
void narrow_held(S* to, const T* x, T most, int64_t n) {
  GRADTX_LOOP to[i] = narrow<S, T>(hold(x[i], most));
}

#if defined(__F16C__)
template <>
void widen(float* to, const Half* from, int64_t n) {
  int64_t i = 0;
  for (; i + 8 <= n; i += 8)
    _mm256_storeu_ps(to + i, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i))));
  for (; i < n; ++i) to[i] = static_cast<float>(from[i]);
}

template <>
void narrow(Half* to, const float* x, int64_t n) {
  int64_t i = 0;
  for (; i + 8 <= n; i += 8)
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to + i), _mm256_cvtps_ph(_mm256_loadu_ps(x + i), 0));
  for (; i < n; ++i) to[i] = static_cast<Half>(x[i]);
}

template <>
void narrow_held(Half* to, const float* x, float most, int64_t n) {
  float held[kBlock];
  GRADTX_LOOP held[i] = hold(x[i], most);
  narrow(to, static_cast<const float*>(held), n);
}
#endif

}  // namespace
}  // namespace gradtx::GRADTX_WIDTH
