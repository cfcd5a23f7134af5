// Numbers to codes and back. Part of the machine, compiled once for each width of vectors.
#pragma once

#include <cstdint>

#if defined(__AVX512F__)
#include <immintrin.h>
#endif

#include "bits.h"
#include "convert.h"
#include "number.h"
#include "program.h"

namespace gradtx::GRADTX_WIDTH {
namespace {

using Value = float __attribute__((may_alias));

constexpr uint32_t kGolden = 0x9e3779b1;

inline uint32_t mixed(uint32_t x) {
  x = (x ^ x >> 16) * 0x7feb352d;
  x = (x ^ x >> 15) * 0x846ca68b;
  return x ^ x >> 16;
}

// A number of a leaf by its row and its place there.
struct Place {
  int64_t row, within;

  Place after(int64_t n, int64_t length) const {
    const int64_t at = within + n;
    return at < length ? Place{row, at} : Place{row + at / length, at % length};
  }
};

// What numbers are rounded at random by: codes, which may lie where the new ones do.
struct Noise {
  const uint8_t* salt;
  bool has_sign;
  uint32_t seed;
};

// What a codec makes of a leaf's numbers.
class Coding {
 public:
  Coding(const Program& program, const Codec& codec, const Leaf& leaf)
      : codec_(codec), values_(reinterpret_cast<const Value*>(program.tables + codec.values)),
        entries_(program.tables + codec.entries), leaf_(leaf),
        block_(codec.block <= 0 || codec.block > leaf.row ? leaf.row : codec.block) {}

  // The numbers of `n` codes; there may be no scales.
  template <class T>
  void decode(T* to, const uint8_t* codes, const float* scales, Place place, int64_t n) const {
    if (scales == nullptr) return decode_octaves(to, codes, n);
    in_blocks(place, n, [&](int64_t at, int64_t some, Place, int64_t block) {
      decode_block(to + at, codes + at, scales[block], some);
    });
  }

  // The codes of `n` numbers, whole blocks of them, and their scales.
  void encode(const float* x, uint8_t* codes, float* scales, const Noise& noise, Place place, int64_t n) const {
    alignas(64) int32_t uniform[kBlock];
    if (!codec_.random)
      for (int32_t& u : uniform) u = 1 << 23;  // to the nearest
    if (scales != nullptr)  // of all blocks first: each waits for its last number
      in_blocks(place, n, [&](int64_t at, int64_t some, Place, int64_t block) { scales[block] = largest(x + at, some); });
    in_blocks(place, n, [&](int64_t at, int64_t some, Place start, int64_t block) {
      const float scale = scales == nullptr ? 1 : scales[block];
      const uint32_t first = codec_.random ? index_of(start) : 0;
      for (int64_t done = 0; done < some; done += kBlock) {
        const int64_t i = at + done, m = some - done < kBlock ? some - done : kBlock;
        if (codec_.random) make_noise(uniform, noise, i, first + static_cast<uint32_t>(done), m);
        if (codec_.steps != 0)
          by_octaves(x + i, uniform, codes + i, m);
        else
          by_lookup(x + i, scale, uniform, codes + i, m);
      }
    });
  }

 private:
  // f(from the how-many-eth on, how many, where, which block) for each block.
  template <class F>
  void in_blocks(Place place, int64_t n, F f) const {
    const int64_t a_row = block_ == leaf_.row ? 1 : (leaf_.row + block_ - 1) / block_;
    for (int64_t at = 0, some; at < n; at += some, place = place.after(some, leaf_.row)) {
      const int64_t block = static_cast<uint32_t>(place.within) / static_cast<uint32_t>(block_);
      some = (block + 1) * block_ < leaf_.row ? (block + 1) * block_ - place.within : leaf_.row - place.within;
      some = some < n - at ? some : n - at;
      f(at, some, place, place.row * a_row + block);
    }
  }

  // The numbers of codes without a scale.
  template <class T>
  void decode_octaves(T* to, const uint8_t* codes, int64_t n) const {
    const int32_t kept = 23 - __builtin_ctz(codec_.steps);
    const uint32_t first = ((codec_.low + 127) << 23) - (1 << kept);  // codes that nothing is coded as go round
    const int32_t nan = codec_.mirrored ? static_cast<int8_t>(codec_.nan) : codec_.nan;
    alignas(64) int32_t code[kBlock];
    if (codec_.mirrored)
      spread(code, reinterpret_cast<const int8_t*>(codes), n);
    else
      spread(code, codes, n);
    GRADTX_LOOP {
      const uint32_t size = code[i] < 0 ? -code[i] : code[i], bits = size == 0 ? 0 : (size << kept) + first;
      const int32_t with_sign = static_cast<int32_t>(bits) | (code[i] & INT32_MIN);
      to[i] = static_cast<T>(float_of(code[i] == nan ? kInfinity | 0x400000 : with_sign));
    }
  }

  template <class T>
  void decode_block(T* to, const uint8_t* codes, float scale, int64_t n) const {
    int64_t i = 0;
#if defined(__AVX512F__)
    for (; i + 16 <= n; i += 16) {
      const __m512i code = _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(codes + i)));
      store(to + i, _mm512_mul_ps(_mm512_i32gather_ps(code, values_, 4), _mm512_set1_ps(scale)));
    }
#endif
    for (; i < n; ++i) to[i] = static_cast<T>(values_[codes[i]] * scale);
  }

#if defined(__AVX512F__)
  static void store(float* to, __m512 x) { _mm512_storeu_ps(to, x); }
  static void store(double* to, __m512 x) {
    _mm512_storeu_pd(to, _mm512_cvtps_pd(_mm512_castps512_ps256(x)));
    _mm512_storeu_pd(to + 8, _mm512_cvtps_pd(_mm512_extractf32x8_ps(x, 1)));
  }
#endif

  // The largest magnitude; NaN, whose bits are the largest, where there is one.
  static float largest(const float* x, int64_t n) {
    int32_t most = 0;
    for (int64_t i = 0; i < n; ++i) {
      const int32_t bits = bits_of(x[i]) & kMagnitude;
      most = bits > most ? bits : most;
    }
    return most < kLeastNormal ? 0 : most > kInfinity ? __builtin_nanf("") : float_of(most);
  }

  // What the place of a number adds to the bits that its noise is made of: all its indices count.
  uint32_t index_of(Place place) const {
    uint32_t index = static_cast<uint32_t>(place.within), weight = 1;
    for (int64_t axis = leaf_.rank - 2, rows = place.row; axis >= 0; --axis) {
      weight *= kGolden;
      index += weight * static_cast<uint32_t>(axis == 0 ? rows : rows % leaf_.dims[axis]);
      rows /= leaf_.dims[axis];
    }
    return index;
  }

  // Numbers of 24 bits for those from `at` on; see gradtx/core/codecs/grid.py.
  void make_noise(int32_t* to, const Noise& noise, int64_t at, uint32_t index, int64_t n) const {
    uint32_t weight = 1;
    for (int64_t axis = 0; axis < leaf_.rank; ++axis) weight *= kGolden;
    const uint32_t first = mixed(noise.seed) * weight + index;
    if (noise.has_sign)
      spread(to, reinterpret_cast<const int8_t*>(noise.salt) + at, n);
    else
      spread(to, noise.salt + at, n);
    GRADTX_LOOP {
      const uint32_t bits = static_cast<uint32_t>(to[i]) * weight + first + static_cast<uint32_t>(i);
      to[i] = static_cast<int32_t>(mixed(bits) >> 8);
    }
  }

  // A code is a float's exponent and the first bits of its mantissa. The next is taken where, as a float, what follows
  // them and the noise sum up to it: to half of the float's last bit.
  void by_octaves(const float* x, const int32_t* noise, uint8_t* codes, int64_t n) const {
    const int32_t low = codec_.low, last = codec_.last, nan = codec_.nan, kept = __builtin_ctz(codec_.steps);
    const int32_t half = codec_.steps, first = ((low + 127) << kept) - 1;
    const bool mirrored = codec_.mirrored;
    const float lowest = power_of_two(low), scale = power_of_two(-low);
    alignas(64) int32_t found[kBlock];
    GRADTX_LOOP {
      const float size = by_hand(fabs(x[i]));
      const int32_t bits = bits_of(size);
      const uint32_t next = static_cast<uint32_t>(bits) + ((noise[i] + half) >> (kept + 1));  // of NaN, beyond int32_t
      const int32_t code = static_cast<int32_t>(next >> (23 - kept)) - first, held = code < last ? code : last;
      const bool one = mirrored ? size * scale + static_cast<float>(noise[i]) * 0x1p-24f >= 1 : size > 0;
      const int32_t part = size < lowest ? one : held, with_sign = mirrored && x[i] < 0 ? -part : part;
      found[i] = bits < kInfinity ? with_sign : nan;
    }
    pack(codes, found, n);
  }

  // The numbers over their scale, rounded as a division rounds.
  void divide(const float* x, float scale, float* y, int64_t n) const {
    const float least = codec_.mirrored ? -1.0f : 0.0f;
    const auto held = [=](float part) {
      const float low = part < least ? least : part;
      return by_hand(low > 1 ? 1 : low);
    };
    if (!(scale > 0)) {
      GRADTX_LOOP y[i] = 0;
      return;
    }
#if defined(__FMA__)
    if (scale < kMostFloat) {  // twice mended by what is left, it is the quotient to the bit; a power of two is exact
      const int32_t exponent = (bits_of(scale) >> 23) - 127;
      const float power = power_of_two(exponent < 126 ? -exponent : -126), size = scale * power, inverse = 1 / size;
      GRADTX_LOOP {
        const float part = x[i] * power, about = part * inverse;
        const float near = __builtin_fmaf(__builtin_fmaf(-about, size, part), inverse, about);
        y[i] = held(__builtin_fmaf(__builtin_fmaf(-near, size, part), inverse, near));
      }
      return;
    }
#endif
    GRADTX_LOOP y[i] = held(x[i] / scale);
  }

  void by_lookup(const float* x, float scale, const int32_t* noise, uint8_t* codes, int64_t n) const {
    alignas(64) float y[kBlock];
    divide(x, scale, y, n);
    look_up(y, codes, n);
    if (codec_.random) {
      alignas(64) float lower[kBlock], upper[kBlock];
      alignas(64) int32_t code[kBlock];
      uint8_t next[kBlock];
      spread(code, codes, n);
      GRADTX_LOOP code[i] += 1;
      pack(next, code, n);
      decode_block(lower, codes, 1, n);
      decode_block(upper, next, 1, n);
      GRADTX_LOOP {
        const float uniform = static_cast<float>(noise[i]) * 0x1p-24f;
        code[i] -= !(uniform * (upper[i] - lower[i]) < y[i] - lower[i]);
      }
      pack(codes, code, n);
    }
    if (codec_.least != 0) {
      const uint8_t some = static_cast<uint8_t>(codec_.least);
      GRADTX_LOOP codes[i] = x[i] > 0 && codes[i] < some ? some : codes[i];
    }
  }

  void look_up(const float* y, uint8_t* codes, int64_t n) const {
    const Codec codec = codec_;  // which codes, as bytes, could lie on for all that compilers know
    const int32_t *entries = entries_, shift = codec.shift, lowest = codec.lowest << shift, later = (1 << shift) - 1;
    const int32_t highest = static_cast<int32_t>((int64_t{codec.lowest + codec.buckets} << shift) - 1);
    int64_t i = 0;
#if defined(__AVX512F__)  // compilers look up one at a time
    const auto all = [](int32_t x) { return _mm512_set1_epi32(x); };
    const __mmask16 mirrored = codec.mirrored ? 0xffff : 0;
    for (; i + 16 <= n; i += 16) {
      const __m512i bits = _mm512_castps_si512(_mm512_loadu_ps(y + i)), size = _mm512_and_si512(bits, all(kMagnitude));
      const __m512i held = _mm512_min_epi32(_mm512_max_epi32(size, all(lowest)), all(highest));
      const __mmask16 negative = _mm512_cmp_ps_mask(_mm512_loadu_ps(y + i), _mm512_setzero_ps(), _CMP_LT_OQ) & mirrored;
      const __m512i bucket = _mm512_sub_epi32(_mm512_srli_epi32(held, shift), all(codec.lowest));
      const __m512i at = _mm512_mask_add_epi32(bucket, negative, bucket, all(codec.buckets));
      const __m512i entry = _mm512_i32gather_epi32(at, entries, 4);
      const __m512i step = _mm512_mask_blend_epi32(negative, all(1), all(-1));
      const __m512i from = _mm512_and_si512(entry, all(0xffffff));
      const __mmask16 next = _mm512_cmpge_epi32_mask(_mm512_and_si512(held, all(later)), from);
      const __m512i code = _mm512_srli_epi32(entry, 24), found = _mm512_mask_add_epi32(code, next, code, step);
      const __m512i told = _mm512_mask_mov_epi32(found, _mm512_cmpgt_epi32_mask(size, all(kInfinity)), all(codec.nan));
      _mm_storeu_si128(reinterpret_cast<__m128i*>(codes + i), _mm512_cvtepi32_epi8(told));
    }
#endif
    for (; i < n; ++i) {
      const int32_t bits = bits_of(y[i]), size = bits & kMagnitude, low = size < lowest ? lowest : size;
      const int32_t held = low > highest ? highest : low;
      const bool negative = codec.mirrored && y[i] < 0;
      const int32_t entry = entries[(held >> shift) - codec.lowest + (negative ? codec.buckets : 0)];
      const int32_t step = (held & later) >= (entry & 0xffffff) ? (negative ? -1 : 1) : 0;
      codes[i] = static_cast<uint8_t>(size > kInfinity ? codec.nan : (entry >> 24) + step);
    }
  }

  const Codec& codec_;
  const Value* values_;
  const int32_t* entries_;
  const Leaf& leaf_;
  const int64_t block_;
};

}  // namespace
}  // namespace gradtx::GRADTX_WIDTH
