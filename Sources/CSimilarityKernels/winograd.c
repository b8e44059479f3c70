#include "winograd.h"
#include "instruction_set.h"
#include "targets.h"

#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

// a * b + c is fused where the instruction set has it, expression by expression: every copy of an inlined function
// rounds alike, so that results do not depend on whether a tile lies at an edge or a channel in a tail.
#pragma STDC FP_CONTRACT ON

#define INLINE static inline __attribute__((always_inline))

// The interpolation points of F(4x4, 3x3) are 0, +-A, +-B and infinity. With A = 2/3 and B = 3/2 the rounding error is
// less than half of that with the usual 1 and 2, near its minimum over all symmetric points, and A * B = 1 saves
// operations.
#define A ((float)(2.0 / 3))
#define A2 ((float)(4.0 / 9))
#define A3 ((float)(8.0 / 27))
#define B 1.5f
#define B2 (B * B)
#define B3 (B * B * B)
#define A2_PLUS_B2 ((float)(4.0 / 9 + 9.0 / 4))

// Hides where a pointer comes from: else the compiler keeps one pointer for every pixel and position of a tile, most of
// them in memory, instead of a few strides in registers.
#define HIDE(pointer) __asm__("" : "+r"(pointer))

INLINE float float_of_bf16(uint16_t bits) {
  const uint32_t wide = (uint32_t)bits << 16;
  float value;
  memcpy(&value, &wide, sizeof value);
  return value;
}

INLINE uint16_t bf16_of_float(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  if (value != value) return (uint16_t)(bits >> 16 | 0x40);
  return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

// What the transforms need of an instruction set: a vector of LANES floats, a mask of its first `count` lanes, and
// access to fp32 or bf16 elements. `whole` says that the mask is full; lanes that are not loaded are zero. `settle`
// makes the compiler compute a value where it stands in the source instead of near its use, where its operands would
// have to be kept instead.

#define VARIANT(name) name##_portable
#define LANES 1

typedef float vector_portable;
typedef int mask_portable;

INLINE mask_portable mask_of_portable(ptrdiff_t count) { return (int)count; }

INLINE float splat_portable(float x) { return x; }

INLINE void settle_portable(float *x) { (void)x; }

INLINE float load_portable(const void *from, int bf16, int whole, mask_portable mask) {
  (void)whole, (void)mask;
  return bf16 ? float_of_bf16(*(const uint16_t *)from) : *(const float *)from;
}

INLINE void store_portable(void *to, float x, int bf16, int whole, mask_portable mask) {
  (void)whole, (void)mask;
  if (bf16) *(uint16_t *)to = bf16_of_float(x);
  else *(float *)to = x;
}

INLINE float clamp_portable(float x, float low, float high) {
  x = low > x ? low : x;
  return high < x ? high : x;
}

#include "winograd_variant.inc"
#undef VARIANT
#undef LANES

#if defined(__x86_64__)
#pragma clang attribute push(__attribute__((target(IMSIM_TARGET_AVX2))), apply_to = function)
#define VARIANT(name) name##_avx2
#define LANES 8

typedef __m256 vector_avx2;
typedef __m256i mask_avx2;

INLINE mask_avx2 mask_of_avx2(ptrdiff_t count) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

INLINE __m256 splat_avx2(float x) { return _mm256_set1_ps(x); }

INLINE void settle_avx2(__m256 *x) { __asm__("" : "+x"(*x)); }

INLINE __m256 load_avx2(const void *from, int bf16, int whole, mask_avx2 mask) {
  if (!bf16) return whole ? _mm256_loadu_ps(from) : _mm256_maskload_ps(from, mask);
  __m128i halves;
  if (whole) {
    halves = _mm_loadu_si128(from);
  } else {
    uint16_t lanes[LANES] = {0};
    memcpy(lanes, from, (size_t)__builtin_popcount((unsigned)_mm256_movemask_ps((__m256)mask)) * sizeof lanes[0]);
    halves = _mm_loadu_si128((const __m128i *)lanes);
  }
  return (__m256)_mm256_slli_epi32(_mm256_cvtepu16_epi32(halves), 16);
}

INLINE void store_avx2(void *to, __m256 x, int bf16, int whole, mask_avx2 mask) {
  if (!bf16) {
    if (whole) _mm256_storeu_ps(to, x);
    else _mm256_maskstore_ps(to, mask, x);
    return;
  }
  const __m256i bits = (__m256i)x;
  const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
  const __m256i rounded = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
  const __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
  const __m256 isnan = _mm256_cmp_ps(x, x, _CMP_UNORD_Q);
  const __m256i wide = _mm256_srli_epi32((__m256i)_mm256_blendv_ps((__m256)rounded, (__m256)quiet, isnan), 16);
  const __m128i halves = _mm_packus_epi32(_mm256_castsi256_si128(wide), _mm256_extracti128_si256(wide, 1));
  if (whole) {
    _mm_storeu_si128(to, halves);
  } else {
    uint16_t lanes[LANES];
    _mm_storeu_si128((__m128i *)lanes, halves);
    memcpy(to, lanes, (size_t)__builtin_popcount((unsigned)_mm256_movemask_ps((__m256)mask)) * sizeof lanes[0]);
  }
}

// The second operand is the result where one is NaN.
INLINE __m256 clamp_avx2(__m256 x, __m256 low, __m256 high) { return _mm256_min_ps(high, _mm256_max_ps(low, x)); }

#include "winograd_variant.inc"
#undef VARIANT
#undef LANES
#pragma clang attribute pop

#pragma clang attribute push(__attribute__((target(IMSIM_TARGET_AVX512))), apply_to = function)
#define VARIANT(name) name##_avx512
#define LANES 16

typedef __m512 vector_avx512;
typedef __mmask16 mask_avx512;

INLINE mask_avx512 mask_of_avx512(ptrdiff_t count) { return (__mmask16)((1u << count) - 1); }

INLINE __m512 splat_avx512(float x) { return _mm512_set1_ps(x); }

INLINE void settle_avx512(__m512 *x) { __asm__("" : "+v"(*x)); }

INLINE __m512 load_avx512(const void *from, int bf16, int whole, mask_avx512 mask) {
  if (!bf16) return whole ? _mm512_loadu_ps(from) : _mm512_maskz_loadu_ps(mask, from);
  const __m256i halves = whole ? _mm256_loadu_si256(from) : _mm256_maskz_loadu_epi16(mask, from);
  return (__m512)_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16);
}

INLINE void store_halves_avx512(void *to, __m256i halves, int whole, mask_avx512 mask) {
  if (whole) _mm256_storeu_si256(to, halves);
  else _mm256_mask_storeu_epi16(to, mask, halves);
}

INLINE void store_avx512(void *to, __m512 x, int bf16, int whole, mask_avx512 mask) {
  if (bf16) {
    const __m512i bits = (__m512i)x;
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    const __m512i rounded = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
    const __mmask16 isnan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
    const __m512i wide = _mm512_mask_or_epi32(rounded, isnan, bits, _mm512_set1_epi32(0x400000));
    store_halves_avx512(to, _mm512_cvtepi32_epi16(_mm512_srli_epi32(wide, 16)), whole, mask);
  } else if (whole) {
    _mm512_storeu_ps(to, x);
  } else {
    _mm512_mask_storeu_ps(to, mask, x);
  }
}

// The second operand is the result where one is NaN.
INLINE __m512 clamp_avx512(__m512 x, __m512 low, __m512 high) { return _mm512_min_ps(high, _mm512_max_ps(low, x)); }

#include "winograd_variant.inc"
#undef VARIANT
#pragma clang attribute pop

#pragma clang attribute push(__attribute__((target(IMSIM_TARGET_AVX512BF16))), apply_to = function)
#define VARIANT(name) name##_avx512bf16
#define INHERITED_INPUT input_avx512

typedef __m512 vector_avx512bf16;
typedef __mmask16 mask_avx512bf16;
#define mask_of_avx512bf16 mask_of_avx512
#define splat_avx512bf16 splat_avx512
#define settle_avx512bf16 settle_avx512
#define load_avx512bf16 load_avx512
#define clamp_avx512bf16 clamp_avx512

// The instruction takes denormal numbers for zero.
INLINE void store_avx512bf16(void *to, __m512 x, int bf16, int whole, mask_avx512bf16 mask) {
  if (bf16) store_halves_avx512(to, (__m256i)_mm512_cvtneps_pbh(x), whole, mask);
  else store_avx512(to, x, bf16, whole, mask);
}

#include "winograd_variant.inc"
#undef VARIANT
#undef LANES
#undef INHERITED_INPUT
#pragma clang attribute pop
#endif

// The transform of a kernel's row or column of three to outputs + 2, in double, for a panel of filters.
INLINE void transform_weights(
    int outputs, const double *restrict g, ptrdiff_t stride, double *restrict u, ptrdiff_t to_stride) {
  const double a = 2.0 / 3, b = 3.0 / 2, a2 = a * a, b2 = b * b;
  // The inverse of each point's product of differences from the other finite points; (A * B)^2 = 1 at 0.
  const double at_a = 1 / (2 * a2 * (a2 - b2)), at_b = 1 / (2 * b2 * (b2 - a2));
  for (ptrdiff_t f = 0; f < IMSIM_WINOGRAD_PANEL; f++) {
    const double g0 = g[f], g1 = g[stride + f], g2 = g[2 * stride + f];
    if (outputs == 4) {
      const double even_a = (g0 + g2 * a2) * at_a, odd_a = g1 * (a * at_a);
      const double even_b = (g0 + g2 * b2) * at_b, odd_b = g1 * (b * at_b);
      u[f] = g0;
      u[to_stride + f] = even_a + odd_a;
      u[2 * to_stride + f] = even_a - odd_a;
      u[3 * to_stride + f] = even_b + odd_b;
      u[4 * to_stride + f] = even_b - odd_b;
      u[5 * to_stride + f] = g2;
    } else {
      u[f] = g0;
      u[to_stride + f] = (g0 + g2 + g1) / 2;
      u[2 * to_stride + f] = (g0 + g2 - g1) / 2;
      u[3 * to_stride + f] = g2;
    }
  }
}

INLINE void transform_panel(
    int outputs, const float *weights, ptrdiff_t count, ptrdiff_t channels, const double *factors, ptrdiff_t width,
    float *panel, ptrdiff_t position_stride) {
  enum { F = IMSIM_WINOGRAD_PANEL };
  const int n = outputs + 2;
  double kernel[3 * 3][F] = {{0}}, columns[6][3][F], row[6][F];
  for (ptrdiff_t c = 0; c < channels; c++) {
    for (ptrdiff_t f = 0; f < count; f++) {
      const float *from = weights + (f * channels + c) * 9;
      for (int tap = 0; tap < 9; tap++) kernel[tap][f] = (double)from[tap] * factors[f];
    }
    for (int x = 0; x < 3; x++) transform_weights(outputs, kernel[x], 3 * F, columns[0][x], 3 * F);
    for (int i = 0; i < n; i++) {
      transform_weights(outputs, columns[i][0], F, row[0], F);
      for (int j = 0; j < n; j++) {
        float *restrict to = panel + (i * n + j) * position_stride + c * width;
        for (ptrdiff_t f = 0; f < width; f++) to[f] = (float)row[j][f];
      }
    }
  }
}

void imsim_winograd_weights(
    int outputs, const float *weights, ptrdiff_t filters, ptrdiff_t channels, const double *factors,
    ptrdiff_t filter_begin, ptrdiff_t width, float *panel, ptrdiff_t position_stride) {
  const ptrdiff_t left = filters - filter_begin, count = left < width ? left : width;
  weights += filter_begin * channels * 9;
  factors += filter_begin;
  if (outputs == 4) transform_panel(4, weights, count, channels, factors, width, panel, position_stride);
  else transform_panel(2, weights, count, channels, factors, width, panel, position_stride);
}

ptrdiff_t imsim_winograd_position_stride(ptrdiff_t floats) { return ((floats + 15) / 16 | 1) * 16; }

static const imsim_winograd_kernels *const winograd_levels[IMSIM_LEVEL_COUNT] = {
    [IMSIM_LEVEL_PORTABLE] = &winograd_kernels_portable,
#if defined(__x86_64__)
    [IMSIM_LEVEL_AVX2] = &winograd_kernels_avx2,
    [IMSIM_LEVEL_AVX512] = &winograd_kernels_avx512,
    [IMSIM_LEVEL_AVX512VNNI] = &winograd_kernels_avx512,
    [IMSIM_LEVEL_AVX512BF16] = &winograd_kernels_avx512bf16,
#endif
};

const imsim_winograd_kernels *imsim_winograd_kernels_for(int level) {
  return imsim_level_is_supported(level) ? winograd_levels[level] : NULL;
}

const imsim_winograd_kernels *imsim_winograd_kernels_current(void) { return winograd_levels[imsim_level_current()]; }
