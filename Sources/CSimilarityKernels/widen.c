// Numbers of other widths as single precision. Sources may lie at odd addresses, so they are read through memcpy.

#include "widen.h"

#include <stdint.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

static inline float float_of_bits(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static inline float float_of_half(uint16_t half) {
  uint32_t sign = (uint32_t)(half & 0x8000) << 16;
  uint32_t magnitude = (uint32_t)(half & 0x7fff) << 13;
  // The exponent's bias goes from 15 to 127: a product with 2^112, exact for subnormal numbers too.
  uint32_t bits;
  float scaled = float_of_bits(magnitude) * 0x1p112f;
  memcpy(&bits, &scaled, sizeof bits);
  // Infinity and NaN keep their payload; a signalling NaN becomes quiet, as the instruction has it.
  if (magnitude > 0x7c00u << 13) bits = magnitude | 0x7fc00000;
  else if (magnitude == 0x7c00u << 13) bits = 0x7f800000;
  return float_of_bits(sign | bits);
}

void sim_widen_f16_portable(const void *source, float *target, size_t count) {
  const unsigned char *bytes = source;
  for (size_t i = 0; i < count; i++) {
    uint16_t half;
    memcpy(&half, bytes + 2 * i, sizeof half);
    target[i] = float_of_half(half);
  }
}

static inline uint16_t half_of_float(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  uint16_t sign = (uint16_t)(bits >> 16 & 0x8000);
  uint32_t magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00 | (uint16_t)(magnitude >> 13 & 0x1ff);
  // 65520 lies half-way between the largest half and the next one.
  if (magnitude >= 0x477ff000) return sign | 0x7c00;
  if (magnitude < 0x38800000) {
    // Below 2^-14 a half has steps of 2^-24, as a float has at 0.5: the addition rounds.
    float sum = float_of_bits(magnitude) + 0.5f;
    memcpy(&bits, &sum, sizeof bits);
    return sign | (uint16_t)(bits - 0x3f000000);
  }
  return sign | (uint16_t)((magnitude - 0x38000000 + 0xfff + (magnitude >> 13 & 1)) >> 13);
}

void sim_narrow_f16_portable(const float *source, uint16_t *target, size_t count) {
  for (size_t i = 0; i < count; i++) target[i] = half_of_float(source[i]);
}

#if defined(__x86_64__)

__attribute__((target("avx,f16c"))) static void widen_f16_f16c(const void *source, float *target, size_t count) {
  const unsigned char *bytes = source;
  size_t i = 0;
  for (; i + 8 <= count; i += 8) {
    __m128i halves = _mm_loadu_si128((const __m128i *)(bytes + 2 * i));
    _mm256_storeu_ps(target + i, _mm256_cvtph_ps(halves));
  }
  sim_widen_f16_portable(bytes + 2 * i, target + i, count - i);
}

__attribute__((target("avx,f16c"))) static void narrow_f16_f16c(const float *source, uint16_t *target, size_t count) {
  size_t i = 0;
  for (; i + 8 <= count; i += 8)
    _mm_storeu_si128((__m128i *)(target + i), _mm256_cvtps_ph(_mm256_loadu_ps(source + i), _MM_FROUND_TO_NEAREST_INT));
  sim_narrow_f16_portable(source + i, target + i, count - i);
}

void sim_narrow_f16(const float *source, uint16_t *target, size_t count) {
  if (__builtin_cpu_supports("avx") && __builtin_cpu_supports("f16c")) narrow_f16_f16c(source, target, count);
  else sim_narrow_f16_portable(source, target, count);
}

void sim_widen_f16(const void *source, float *target, size_t count) {
  if (__builtin_cpu_supports("avx") && __builtin_cpu_supports("f16c")) widen_f16_f16c(source, target, count);
  else sim_widen_f16_portable(source, target, count);
}

#else

void sim_widen_f16(const void *source, float *target, size_t count) { sim_widen_f16_portable(source, target, count); }

void sim_narrow_f16(const float *source, uint16_t *target, size_t count) {
  sim_narrow_f16_portable(source, target, count);
}

#endif

void sim_widen_bf16(const void *source, float *target, size_t count) {
  const unsigned char *bytes = source;
  for (size_t i = 0; i < count; i++) {
    uint16_t high;
    memcpy(&high, bytes + 2 * i, sizeof high);
    target[i] = float_of_bits((uint32_t)high << 16);
  }
}

void sim_narrow_f64(const void *source, float *target, size_t count) {
  const unsigned char *bytes = source;
  for (size_t i = 0; i < count; i++) {
    double value;
    memcpy(&value, bytes + 8 * i, sizeof value);
    target[i] = (float)value;
  }
}
