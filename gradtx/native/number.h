// What a number is to the machine. Subnormal numbers, those too small for their type's full precision, count as zero of
// their sign wherever they are computed with, as results too: XLA's own code does so, and some processors are a hundred
// times slower with them. What only moves a number or changes its sign may keep it. Part of the machine, compiled once
// for each width of vectors.
#pragma once

#include <cstdint>

#if !defined(__SSE2__) && !defined(__aarch64__)
#define GRADTX_FLUSH_BY_HAND  // there is no flag that is known here; on others this may be defined for a test
#endif
#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

namespace gradtx::GRADTX_WIDTH {
namespace {

// While this lives, the processor takes them for zero in its thread, or leaves them to what follows.
class Flag {
 public:
  Flag() : before_(get()) { set(kByHand ? before_ & ~kBits : before_ | kBits); }
  ~Flag() { set(before_); }

 private:
#if defined(GRADTX_FLUSH_BY_HAND)
  static constexpr bool kByHand = true;
#else
  static constexpr bool kByHand = false;
#endif
#if defined(__SSE2__)
  static constexpr uint64_t kBits = 0x8040;
  static uint64_t get() { return _mm_getcsr(); }
  static void set(uint64_t x) { _mm_setcsr(static_cast<unsigned>(x)); }
#elif defined(__aarch64__)
  static constexpr uint64_t kBits = 1 << 24;
  static uint64_t get() {
    uint64_t x;
    asm volatile("mrs %0, fpcr" : "=r"(x));
    return x;
  }
  static void set(uint64_t x) { asm volatile("msr fpcr, %0" : : "r"(x) : "memory"); }
#else
  static constexpr uint64_t kBits = 0;
  static uint64_t get() { return 0; }
  static void set(uint64_t) {}
#endif
  const uint64_t before_;
};

constexpr float least(float) { return __FLT_MIN__; }
constexpr double least(double) { return __DBL_MIN__; }
inline float fabs(float x) { return __builtin_fabsf(x); }
inline double fabs(double x) { return __builtin_fabs(x); }
inline float sqrt(float x) { return __builtin_sqrtf(x); }
inline double sqrt(double x) { return __builtin_sqrt(x); }

template <class T> T flush(T x) { return fabs(x) < least(x) ? x * 0 : x; }

#if defined(GRADTX_FLUSH_BY_HAND)
template <class T> T by_hand(T x) { return flush(x); }

// A number whose arithmetic does by hand what the processor's flag does elsewhere.
template <class T>
class Number {
 public:
  Number(T x) : x_(flush(x)) {}
  explicit operator T() const { return x_; }
  friend Number operator+(Number x, Number y) { return x.x_ + y.x_; }
  friend Number operator-(Number x, Number y) { return x.x_ - y.x_; }
  friend Number operator*(Number x, Number y) { return x.x_ * y.x_; }
  friend Number operator/(Number x, Number y) { return x.x_ / y.x_; }
  friend bool operator==(Number x, Number y) { return x.x_ == y.x_; }
  friend bool operator!=(Number x, Number y) { return x.x_ != y.x_; }
  friend bool operator<(Number x, Number y) { return x.x_ < y.x_; }
  friend bool operator<=(Number x, Number y) { return x.x_ <= y.x_; }
  friend bool operator>(Number x, Number y) { return x.x_ > y.x_; }
  friend bool operator>=(Number x, Number y) { return x.x_ >= y.x_; }
  friend Number sqrt(Number x) { return sqrt(x.x_); }

 private:
  T x_;
};
#else
template <class T> T by_hand(T x) { return x; }
template <class T> using Number = T;
#endif

// Functions of the C library look at a number's bits, where no flag helps.
#define GRADTX_MATHS(name)                                                        \
  float name(float x) { return flush(__builtin_##name##f(flush(x))); }            \
  double name(double x) { return flush(__builtin_##name(flush(x))); }
#define GRADTX_MATHS2(name)                                                                            \
  float name(float x, float y) { return flush(__builtin_##name##f(flush(x), flush(y))); }              \
  double name(double x, double y) { return flush(__builtin_##name(flush(x), flush(y))); }
GRADTX_MATHS(cbrt) GRADTX_MATHS(exp) GRADTX_MATHS(expm1) GRADTX_MATHS(log) GRADTX_MATHS(log1p) GRADTX_MATHS(tanh)
GRADTX_MATHS(atan) GRADTX_MATHS2(pow) GRADTX_MATHS2(atan2)

// The greater and the lesser: NaN wins, and 0 is greater than -0, as in XLA. Where one is a scalar that is not 0,
// the plain ones say the same.
template <class T>
T greater(Number<T> a, Number<T> b) {
  const T x = static_cast<T>(a), y = static_cast<T>(b), plain = x > y || x != x ? x : y;
  return x == y && x == 0 ? x + y : plain;  // the sum of zeros is -0 only if both are
}
template <class T>
T lesser(Number<T> a, Number<T> b) {
  return -greater<T>(-static_cast<T>(a), -static_cast<T>(b));
}
template <class T> T plain_greater(T x, T y) { return x >= y || x != x ? x : y; }
template <class T> T plain_lesser(T x, T y) { return x <= y || x != x ? x : y; }

}  // namespace
}  // namespace gradtx::GRADTX_WIDTH
