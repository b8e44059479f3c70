#include "convolution.h"
#include "instruction_set.h"
#include "targets.h"

#include <math.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

// Input that a block of lines reads; the rest of a 1 MiB L2 cache is the panel's and the output's.
enum { IMSIM_BLOCK_BYTES = 256 << 10 };
// How far ahead of the products weights are asked for: about what memory's latency takes.
enum { IMSIM_PREFETCH_BYTES = 4096 };

#define FOR_EACH_TILE_4(T) T(1) T(2) T(3) T(4)
#define FOR_EACH_TILE_6(T) FOR_EACH_TILE_4(T) T(5) T(6)
#define FOR_EACH_TILE_8(T) FOR_EACH_TILE_6(T) T(7) T(8)
#define FOR_EACH_TILE_14(T) FOR_EACH_TILE_8(T) T(9) T(10) T(11) T(12) T(13) T(14)

// MARK: 128-bit vectors, which every x86-64 and ARM64 has

#define LANES 4
#define MASK ptrdiff_t
#define MASK_OF(n) ((n) < LANES ? (n) : LANES)
#define MINIMUM(a, b) __builtin_elementwise_min(a, b)
#define MAXIMUM(a, b) __builtin_elementwise_max(a, b)
#if defined(__x86_64__)
#define U8_PAIRS(x, w) ((WORDS)_mm_madd_epi16((__m128i)(x), (__m128i)(w)))
#else
#define U8_PAIRS(x, w) (((x) << 16 >> 16) * ((w) << 16 >> 16) + ((x) >> 16) * ((w) >> 16))
#endif
#define TILE_COLUMNS 4
#define FOR_EACH_TILE FOR_EACH_TILE_4
#define VARIANT(name) name##_fp32_portable
#include "convolution_fp32.inc"
#undef VARIANT
#define VARIANT(name) name##_bf16_portable
#include "convolution_bf16.inc"
#undef VARIANT
#define VARIANT(name) name##_u8_portable
#include "convolution_u8.inc"
#undef VARIANT
#undef TILE_COLUMNS
#undef FOR_EACH_TILE
#undef LANES
#undef MASK
#undef MASK_OF
#undef MINIMUM
#undef MAXIMUM
#undef U8_PAIRS

#if defined(__x86_64__)
// MARK: AVX2

#pragma clang attribute push(__attribute__((target(IMSIM_TARGET_AVX2))), apply_to = function)
#define LANES 8
#define MASK ptrdiff_t
#define MASK_OF(n) ((n) < LANES ? (n) : LANES)
#define MINIMUM(a, b) ((VECTOR)_mm256_min_ps((__m256)(a), (__m256)(b)))
#define MAXIMUM(a, b) ((VECTOR)_mm256_max_ps((__m256)(a), (__m256)(b)))
#define U8_PAIRS(x, w) ((WORDS)_mm256_madd_epi16((__m256i)(x), (__m256i)(w)))
#define TILE_COLUMNS 6
#define FOR_EACH_TILE FOR_EACH_TILE_6
#define VARIANT(name) name##_fp32_avx2
#include "convolution_fp32.inc"
#undef VARIANT
#undef TILE_COLUMNS
#undef FOR_EACH_TILE
// Emulated products need registers of their own.
#define TILE_COLUMNS 4
#define FOR_EACH_TILE FOR_EACH_TILE_4
#define VARIANT(name) name##_bf16_avx2
#include "convolution_bf16.inc"
#undef VARIANT
#define VARIANT(name) name##_u8_avx2
#include "convolution_u8.inc"
#undef VARIANT
#undef TILE_COLUMNS
#undef FOR_EACH_TILE
#undef LANES
#undef MASK
#undef MASK_OF
#undef MINIMUM
#undef MAXIMUM
#undef U8_PAIRS
#pragma clang attribute pop

// MARK: AVX-512

#define LANES 16
#define MASK __mmask16
#define MASK_OF(n) ((__mmask16)((n) < LANES ? (1 << (n)) - 1 : 0xffff))
#define MINIMUM(a, b) ((VECTOR)_mm512_min_ps((__m512)(a), (__m512)(b)))
#define MAXIMUM(a, b) ((VECTOR)_mm512_max_ps((__m512)(a), (__m512)(b)))
#define U8_PAIRS(x, w) ((WORDS)_mm512_madd_epi16((__m512i)(x), (__m512i)(w)))
#pragma clang attribute push(__attribute__((target(IMSIM_TARGET_AVX512))), apply_to = function)
// Emulated products need registers of their own.
#define TILE_COLUMNS 8
#define FOR_EACH_TILE FOR_EACH_TILE_8
#define VARIANT(name) name##_bf16_avx512
#include "convolution_bf16.inc"
#undef VARIANT
#define VARIANT(name) name##_u8_avx512
#include "convolution_u8.inc"
#undef VARIANT
#undef TILE_COLUMNS
#undef FOR_EACH_TILE
#define TILE_COLUMNS 14
#define FOR_EACH_TILE FOR_EACH_TILE_14
#define VARIANT(name) name##_fp32_avx512
#include "convolution_fp32.inc"
#undef VARIANT
#pragma clang attribute pop

#pragma clang attribute push(__attribute__((target(IMSIM_TARGET_AVX512VNNI))), apply_to = function)
#define U8_DOT(sum, x, w) ((SUM)_mm512_dpbusd_epi32((__m512i)(sum), (__m512i)(x), (__m512i)(w)))
#define VARIANT(name) name##_u8_avx512vnni
#include "convolution_u8.inc"
#undef VARIANT
#undef U8_DOT
#pragma clang attribute pop

#pragma clang attribute push(__attribute__((target(IMSIM_TARGET_AVX512BF16))), apply_to = function)
#define BF16_DOT(sum, x, w) ((SUM)_mm512_dpbf16_ps((__m512)(sum), (__m512bh)(x), (__m512bh)(w)))
#define BF16_NARROW(v) _mm512_cvtneps_pbh((__m512)(v))
#define VARIANT(name) name##_bf16_avx512bf16
#include "convolution_bf16.inc"
#undef VARIANT
#undef BF16_DOT
#undef BF16_NARROW
#pragma clang attribute pop
#undef TILE_COLUMNS
#undef FOR_EACH_TILE
#undef LANES
#undef MASK
#undef MASK_OF
#undef MINIMUM
#undef MAXIMUM
#undef U8_PAIRS
#endif

// MARK: Choice

static const imsim_convolution_kernels convolution_levels[IMSIM_LEVEL_COUNT] = {
    [IMSIM_LEVEL_PORTABLE] = {4, 0, {convolve_fp32_portable, convolve_bf16_portable, convolve_u8_portable}},
#if defined(__x86_64__)
    [IMSIM_LEVEL_AVX2] = {8, 0, {convolve_fp32_avx2, convolve_bf16_avx2, convolve_u8_avx2}},
    [IMSIM_LEVEL_AVX512] = {16, 0, {convolve_fp32_avx512, convolve_bf16_avx512, convolve_u8_avx512}},
    [IMSIM_LEVEL_AVX512VNNI] = {16, 0, {convolve_fp32_avx512, convolve_bf16_avx512, convolve_u8_avx512vnni}},
    [IMSIM_LEVEL_AVX512BF16] = {16, 1, {convolve_fp32_avx512, convolve_bf16_avx512bf16, convolve_u8_avx512vnni}},
#endif
};

const imsim_convolution_kernels *imsim_convolution_kernels_for(int level) {
  return imsim_level_is_supported(level) ? &convolution_levels[level] : NULL;
}

const imsim_convolution_kernels *imsim_convolution_kernels_current(void) {
  return &convolution_levels[imsim_level_current()];
}

// MARK: Weights

static const ptrdiff_t units[IMSIM_ELEMENT_COUNT] = {1, 2, 4};

size_t imsim_convolution_packed_size(
    imsim_element element, int lanes, ptrdiff_t taps, ptrdiff_t channels, ptrdiff_t filters) {
  return (size_t)(taps * (channels / units[element]) * 4 * ((filters + lanes - 1) / lanes) * lanes);
}

static uint16_t to_bf16(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

void imsim_convolution_pack(
    imsim_element element, int lanes, const float *weights, ptrdiff_t taps, ptrdiff_t channels, ptrdiff_t stored_channels,
    ptrdiff_t filters, const float *quantum, void *packed) {
  const ptrdiff_t unit = units[element], run = stored_channels / unit;
  char *out = packed;
  memset(out, 0, imsim_convolution_packed_size(element, lanes, taps, stored_channels, filters));
  for (ptrdiff_t first = 0; first < filters;) {
    const ptrdiff_t width = filters - first > lanes ? 2 * lanes : lanes;
    const ptrdiff_t count = filters - first < width ? filters - first : width;
    for (ptrdiff_t t = 0; t < taps; t++) {
      for (ptrdiff_t c = 0; c < channels; c++) {
        const float *from = weights + (t * channels + c) * filters + first;
        // Element `c % unit` of a unit, unit after unit a filter.
        const ptrdiff_t start = ((t * run + c / unit) * width) * unit + c % unit;
        switch (element) {
          case IMSIM_ELEMENT_FP32: memcpy((float *)out + start, from, (size_t)count * sizeof *from); break;
          case IMSIM_ELEMENT_BF16:
            for (ptrdiff_t f = 0; f < count; f++) ((uint16_t *)out)[start + 2 * f] = to_bf16(from[f]);
            break;
          case IMSIM_ELEMENT_U8:
            for (ptrdiff_t f = 0; f < count; f++) {
              ((int8_t *)out)[start + 4 * f] = (int8_t)lrintf(from[f] / quantum[first + f]);
            }
            break;
          case IMSIM_ELEMENT_COUNT: break;
        }
      }
    }
    first += width;
    out += taps * run * 4 * width;
  }
}
