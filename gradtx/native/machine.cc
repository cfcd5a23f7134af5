// The vector machine, compiled once for each width of vectors; GRADTX_WIDTH names the namespace. Only builtins and
// code of this file's own are called in loops, so that nothing compiled for wide vectors can be linked into the others.
#include <cstdint>

#include "codes.h"
#include "convert.h"
#include "ffi.h"
#include "number.h"
#include "program.h"

namespace gradtx::GRADTX_WIDTH {
namespace {

// Dividing by s is multiplying by 1 / s where neither is near the ends of the range.
template <class T>
bool invertible(T s) {
  return fabs(s) > T(1e-30) && fabs(s) < T(1e30);
}

template <class T>
class Block {
 public:
  using N = Number<T>;

  Block(const Program& program, const Leaf& leaf, float (*stage)[kMostSpan])
      : program_(program), leaf_(leaf), stage_(stage) {
    scalars_ = static_cast<const T*>(leaf.scalars);
    int64_t block = 0;
    for (int32_t s = 0; s < program.inputs; ++s) block += kBlock * step_of(s) / 64;
    lines_ = (block + program.length - 1) / program.length;
    for (int32_t r = 0; r < program.registers; ++r) registers_[program.inputs + program.outputs + r] = memory_[r];
  }

  // An instruction reads one or two streams, and the others would wait in memory meanwhile. So before each some lines of
  // the block that begins at `ahead` are asked for, where that is not 0: few at a time, or they wait for each other.
  void run(int64_t at, int64_t n, int64_t ahead) {
    for (int32_t s = 0; s < program_.inputs + program_.outputs; ++s)
      if (program_.roles[s] == 0) registers_[s] = static_cast<T*>(leaf_.streams[s]) + at;
    int32_t stream = ahead > 0 ? 0 : program_.inputs;
    int64_t offset = 0;
    for (int32_t k = 0; k < program_.length; ++k) {
      for (int64_t lines = lines_; lines > 0 && stream < program_.inputs; --lines, offset += 64) {
        const int64_t width = step_of(stream);
        __builtin_prefetch(static_cast<const char*>(leaf_.streams[stream]) + ahead * width + offset);
        if (offset + 64 >= kBlock * width) ++stream, offset = -64;
      }
      step(program_.instructions[k], at, n);
    }
  }

  // Run it on numbers that are coded together, and then code them.
  void run_span(int64_t begin, int64_t end, int64_t last, Place place) {
    for (int64_t at = begin; at < end; at += kBlock) {
      staged_ = at - begin;
      place_ = place.after(staged_, leaf_.row);
      run(at, end - at < kBlock ? end - at : kBlock, at + kAhead + kBlock <= last ? at + kAhead : 0);
    }
    for (int32_t k = 0; k < program_.codings; ++k) {
      const Instruction& in = program_.instructions[program_.length - program_.codings + k];
      const Codec& codec = program_.codec(in.to);
      const Coding coding(program_, codec, leaf_);
      float* scales = codec.block == 0 ? nullptr : static_cast<float*>(leaf_.streams[in.y]);
      const Noise noise{codec.random ? codes(in.z) + begin : nullptr, leaf_.types[in.z] == ffi::kS8, seed(in)};
      coding.encode(stage_[k], codes(in.to) + begin, scales, noise, place, end - begin);
    }
  }

  double sum() const {
    double sum = 0;
    for (T x : lanes_) sum += x;
    return sum;
  }

 private:
  template <class F>
  void unary(const Instruction& in, int64_t n, F f) {
    T* to = registers_[in.to];
    const T* x = registers_[in.x];
    GRADTX_LOOP to[i] = static_cast<T>(f(x[i]));
  }

  template <class F>
  void binary(const Instruction& in, int64_t n, F f) {
    T* to = registers_[in.to];
    if (in.x < 0) {
      const T x = scalars_[-1 - in.x], *y = registers_[in.y];
      GRADTX_LOOP to[i] = static_cast<T>(f(x, y[i]));
    } else if (in.y < 0) {
      const T y = scalars_[-1 - in.y], *x = registers_[in.x];
      GRADTX_LOOP to[i] = static_cast<T>(f(x[i], y));
    } else {
      const T *x = registers_[in.x], *y = registers_[in.y];
      GRADTX_LOOP to[i] = static_cast<T>(f(x[i], y[i]));
    }
  }

  // Whether an operand is a scalar that counts as no zero.
  bool plain(const Instruction& in) const {
    const T s = in.x < 0 ? scalars_[-1 - in.x] : in.y < 0 ? scalars_[-1 - in.y] : T(0);
    return !(fabs(s) < least(s));
  }

  void ratio_root(const Instruction& in, int64_t n) {
    const N s0 = scalars_[in.s0], s1 = scalars_[in.s1], s2 = scalars_[in.s2], s3 = scalars_[in.s3];
    T* to = registers_[in.to];
    const T *x = registers_[in.x], *y = registers_[in.y];
    if (invertible(scalars_[in.s0]) && invertible(scalars_[in.s1])) {
      const N r0 = 1 / s0, r1 = 1 / s1;
      GRADTX_LOOP to[i] = static_cast<T>(N(x[i]) * r0 / (sqrt(N(y[i]) * r1 + s2) + s3));
    } else {
      GRADTX_LOOP to[i] = static_cast<T>(N(x[i]) / s0 / (sqrt(N(y[i]) / s1 + s2) + s3));
    }
  }

  void divide(const Instruction& in, int64_t n) {
    if (in.y >= 0 || !invertible(scalars_[-1 - in.y])) return binary(in, n, [](N x, N y) { return x / y; });
    const N r = 1 / scalars_[-1 - in.y];
    unary(in, n, [=](N x) { return x * r; });
  }

  const T* block(int32_t operand, int64_t n, T* memory) {  // a scalar is spread over a block of its own
    if (operand >= 0) return registers_[operand];
    const T s = scalars_[-1 - operand];
    GRADTX_LOOP memory[i] = s;
    return memory;
  }

  void select(const Instruction& in, int64_t n) {
    T *to = registers_[in.to], memory[3][kBlock];
    const T *x = block(in.x, n, memory[0]), *y = block(in.y, n, memory[1]), *z = block(in.z, n, memory[2]);
    GRADTX_LOOP to[i] = x[i] != 0 ? z[i] : y[i];
  }

  template <class S>
  void round(const Instruction& in, int64_t n) {
    unary(in, n, [](T x) { return static_cast<T>(narrow<S, T>(x)); });
  }

  // In many sums at once, which are as many steps of the vectors that no addition waits for another.
  void add_up(const Instruction& in, int64_t n) {
    const T* x = registers_[in.x];
    int64_t at = 0;
    for (; at + kLanes <= n; at += kLanes)
      for (int64_t k = 0; k < kLanes; ++k) lanes_[k] = static_cast<T>(N(lanes_[k]) + N(x[at + k]));
    for (; at < n; ++at) lanes_[at % kLanes] = static_cast<T>(N(lanes_[at % kLanes]) + N(x[at]));
  }

  uint8_t* codes(int32_t stream) const { return static_cast<uint8_t*>(leaf_.streams[stream]); }

  // What the block of a stream takes of what is asked for ahead: of scales, which are few, nothing.
  int64_t step_of(int32_t stream) const {
    return program_.roles[stream] != 0 && program_.roles[stream] % 2 == 0 ? 0 : bytes(leaf_.types[stream]);
  }

  uint32_t seed(const Instruction& in) const {
    const auto half = [](T x) { return x >= 0 && x < 65536 ? static_cast<uint32_t>(x) : 0; };
    return half(scalars_[in.s0]) << 16 | half(scalars_[in.s1]);
  }

  void decode(const Instruction& in, int64_t at, int64_t n) {
    const Codec& codec = program_.codec(in.x);
    const float* scales = codec.block == 0 ? nullptr : static_cast<const float*>(leaf_.streams[in.y]);
    Coding(program_, codec, leaf_).decode(registers_[in.to], codes(in.x) + at, scales, place_, n);
  }

  // The numbers to be coded wait until all that are coded together are there.
  void keep(const Instruction& in, int64_t n) {
    float* to = stage_[&in - (program_.instructions + program_.length - program_.codings)] + staged_;
    const T* x = registers_[in.x];
    GRADTX_LOOP to[i] = static_cast<float>(x[i]);
  }

  void step(const Instruction& in, int64_t at, int64_t n) {
    const T s0 = scalars_[in.s0], s1 = scalars_[in.s1];
    T* to = registers_[in.to];
    const T *x = in.x < 0 ? nullptr : registers_[in.x], *y = in.y < 0 ? nullptr : registers_[in.y];
    switch (in.op) {
      case kLoad:
        return with_type(leaf_.types[in.x], leaf_.streams[in.x], at,
                         [=](const auto* from) { widen(to, from, n); });
      case kStore:
        return with_type(leaf_.types[in.to], leaf_.streams[in.to], at, [=](auto* stream) { narrow(stream, x, n); });
      case kStoreHeld:
        return with_type(leaf_.types[in.to], leaf_.streams[in.to], at,
                         [=](auto* stream) { narrow_held(stream, x, s0, n); });
      case kAdd: return binary(in, n, [](N x, N y) { return x + y; });
      case kSub: return binary(in, n, [](N x, N y) { return x - y; });
      case kMul: return binary(in, n, [](N x, N y) { return x * y; });
      case kDiv: return divide(in, n);
      case kMax:
        if (plain(in)) return binary(in, n, [](T x, T y) { return plain_greater(x, y); });
        return binary(in, n, [](N x, N y) { return greater<T>(x, y); });
      case kMin:
        if (plain(in)) return binary(in, n, [](T x, T y) { return plain_lesser(x, y); });
        return binary(in, n, [](N x, N y) { return lesser<T>(x, y); });
      case kPow: return binary(in, n, [](T x, T y) { return pow(x, y); });
      case kAtan2: return binary(in, n, [](T x, T y) { return atan2(x, y); });
      case kAnd: return binary(in, n, [](T x, T y) { return x * y; });
      case kOr: return binary(in, n, [](T x, T y) { return x > y ? x : y; });
      case kEq: return binary(in, n, [](N x, N y) { return T(x == y); });
      case kNe: return binary(in, n, [](N x, N y) { return T(x != y); });
      case kLt: return binary(in, n, [](N x, N y) { return T(x < y); });
      case kLe: return binary(in, n, [](N x, N y) { return T(x <= y); });
      case kGt: return binary(in, n, [](N x, N y) { return T(x > y); });
      case kGe: return binary(in, n, [](N x, N y) { return T(x >= y); });
      case kNeg: return unary(in, n, [](T x) { return -x; });
      case kAbs: return unary(in, n, [](T x) { return fabs(x); });
      case kSign: return unary(in, n, [](N x) { return x > 0 ? N(1) : x < 0 ? N(-1) : x * 0; });
      case kSqrt: return unary(in, n, [](N x) { return sqrt(x); });
      case kRsqrt: return unary(in, n, [](N x) { return 1 / sqrt(x); });
      case kCbrt: return unary(in, n, [](T x) { return cbrt(x); });
      case kExp: return unary(in, n, [](T x) { return exp(x); });
      case kExpm1: return unary(in, n, [](T x) { return expm1(x); });
      case kLog: return unary(in, n, [](T x) { return log(x); });
      case kLog1p: return unary(in, n, [](T x) { return log1p(x); });
      case kTanh: return unary(in, n, [](T x) { return tanh(x); });
      case kAtan: return unary(in, n, [](T x) { return atan(x); });
      case kIsFinite: return unary(in, n, [](T x) { return T(finite(x)); });
      case kNot: return unary(in, n, [](T x) { return 1 - x; });
      case kCopy: return unary(in, n, [](T x) { return x; });
      case kRoundFloat16: return round<Half>(in, n);
      case kRoundBfloat16: return round<BFloat>(in, n);
      case kRoundFloat32: return round<float>(in, n);
      case kSelect: return select(in, n);
      case kSaturate: return unary(in, n, [=](T x) { return hold(x, s0); });
      case kMulAdd:
        GRADTX_LOOP to[i] = static_cast<T>(N(s0) * N(x[i]) + N(y[i]));
        return;
      case kBlend:
        GRADTX_LOOP to[i] = static_cast<T>(N(s0) * N(x[i]) + N(s1) * N(y[i]));
        return;
      case kBlendSquare:
        GRADTX_LOOP to[i] = static_cast<T>(N(s0) * N(x[i]) + N(s1) * (N(y[i]) * N(y[i])));
        return;
      case kRatioRoot: return ratio_root(in, n);
      case kSum: return add_up(in, n);
      case kDecode: return decode(in, at, n);
      case kEncode: return keep(in, n);
    }
  }

  const Program& program_;
  int64_t lines_;  // to ask for before each instruction
  const Leaf& leaf_;
  const T* scalars_;
  static constexpr int64_t kLanes = 256 / sizeof(T);
  T lanes_[kLanes] = {};
  float (*const stage_)[kMostSpan];  // of each array that is coded
  int64_t staged_ = 0;
  Place place_{};
  T* registers_[kMostStreams + kMostRegisters];
  alignas(64) T memory_[kMostRegisters][kBlock];
};

template <class T>
[[gnu::noinline]] double run_flushed(const Program& program, const Leaf& leaf, int64_t begin, int64_t end) {
  Block<T> block(program, leaf, nullptr);
  for (int64_t at = begin; at < end; at += kBlock) {
    block.run(at, end - at < kBlock ? end - at : kBlock, at + kAhead + kBlock <= end ? at + kAhead : 0);
  }
  return block.sum();
}

template <class T>
[[gnu::noinline]] double run_coded(const Program& program, const Leaf& leaf, int64_t begin, int64_t end) {
  alignas(64) float stage[kMostCoded][kMostSpan];
  Block<T> block(program, leaf, stage);
  Place place{begin / leaf.row, begin % leaf.row};
  for (int64_t at = begin, next; at < end; at = next) {
    next = at + span_at(leaf, place.within, end - at);
    block.run_span(at, next, end, place);
    place = place.after(next - at, leaf.row);
  }
  return block.sum();
}

template <class T>
double run(const Program& program, const Leaf& leaf, int64_t begin, int64_t end) {
  Flag flag;
  if (program.codecs != nullptr) return run_coded<T>(program, leaf, begin, end);
  return run_flushed<T>(program, leaf, begin, end);
}

}  // namespace

const Machines machines = {run<float>, run<double>};

}  // namespace gradtx::GRADTX_WIDTH
