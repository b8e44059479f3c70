#include "scan.h"

#include <math.h>
#include <string.h>

#include "codes.h"
#include "instruction_set.h"
#include "targets.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum { PANEL = IMSIM_PANEL_ROWS, GROUP = IMSIM_GROUP_ELEMENTS, TILE = IMSIM_QUERY_TILE };

// What the keys of a panel's rows have in common for all queries.
typedef struct {
  float offset[PANEL], scale[PANEL], error[PANEL], length[PANEL];
  uint32_t zero[PANEL], correction[PANEL];
} panel_terms;

static size_t group_count(size_t dimension) { return (dimension + GROUP - 1) / GROUP; }

void imsim_pack_queries(
    const uint8_t *codes, const uint32_t *rows, int count, size_t dimension, int8_t *packed) {
  const size_t groups = group_count(dimension);
  for (int i = 0; i < count; i++) {
    const uint8_t *from = codes + rows[i] / PANEL * groups * PANEL * GROUP + rows[i] % PANEL * GROUP;
    for (size_t g = 0; g < groups; g++)
      for (size_t j = 0; j < GROUP; j++)
        packed[(g * (size_t)count + (size_t)i) * GROUP + j] = (int8_t)(from[g * PANEL * GROUP + j] ^ 0x80);
  }
}

#define LEVEL_SCAN scan_portable
#define LEVEL(name) name##_portable
#include "scan_variant.inc"
#undef LEVEL
#undef LEVEL_SCAN

#if defined(__x86_64__)

#define VECTORS

#pragma clang attribute push(__attribute__((target(IMSIM_TARGET_AVX2))), apply_to = function)
#define LEVEL(name) name##_avx2
#define LEVEL_SCAN scan_avx2
typedef __m256i vector_avx2;
#define VECTOR_ROWS 8
#define LOAD(p) _mm256_loadu_si256((const __m256i *)(p))
#define STORE(p, v) _mm256_storeu_si256((__m256i *)(p), v)
#define SPREAD(p) _mm256_set1_epi32(*(const int *)(p))
#define ZERO _mm256_setzero_si256()
// Bytes times signed bytes as 16-bit products: the even ones and the odd ones, which cannot overflow.
#define DOT(sum, u, s)                                                                                                  \
  _mm256_add_epi32(                                                                                                     \
      sum, _mm256_add_epi32(                                                                                            \
               _mm256_madd_epi16(                                                                                       \
                   _mm256_and_si256(u, _mm256_set1_epi16(255)), _mm256_srai_epi16(_mm256_slli_epi16(s, 8), 8)),         \
               _mm256_madd_epi16(_mm256_srli_epi16(u, 8), _mm256_srai_epi16(s, 8))))
#include "scan_variant.inc"
#undef DOT
#undef ZERO
#undef SPREAD
#undef STORE
#undef LOAD
#undef VECTOR_ROWS
#undef LEVEL_SCAN
#undef LEVEL
#pragma clang attribute pop

#pragma clang attribute push(__attribute__((target(IMSIM_TARGET_AVX512))), apply_to = function)
#define LEVEL(name) name##_avx512
#define LEVEL_SCAN scan_avx512
typedef __m512i vector_avx512;
#define VECTOR_ROWS 16
#define LOAD(p) _mm512_loadu_si512(p)
#define STORE(p, v) _mm512_storeu_si512(p, v)
#define SPREAD(p) _mm512_set1_epi32(*(const int *)(p))
#define ZERO _mm512_setzero_si512()
#define DOT(sum, u, s)                                                                                                  \
  _mm512_add_epi32(                                                                                                     \
      sum, _mm512_add_epi32(                                                                                            \
               _mm512_madd_epi16(                                                                                       \
                   _mm512_and_si512(u, _mm512_set1_epi16(255)), _mm512_srai_epi16(_mm512_slli_epi16(s, 8), 8)),         \
               _mm512_madd_epi16(_mm512_srli_epi16(u, 8), _mm512_srai_epi16(s, 8))))
#include "scan_variant.inc"
#undef DOT
#undef LEVEL_SCAN
#undef LEVEL
#pragma clang attribute pop

#pragma clang attribute push(__attribute__((target(IMSIM_TARGET_AVX512VNNI))), apply_to = function)
#define LEVEL(name) name##_avx512vnni
#define LEVEL_SCAN scan_avx512vnni
typedef __m512i vector_avx512vnni;
#define DOT(sum, u, s) _mm512_dpbusd_epi32(sum, u, s)
#include "scan_variant.inc"
#undef DOT
#undef ZERO
#undef SPREAD
#undef STORE
#undef LOAD
#undef VECTOR_ROWS
#undef LEVEL_SCAN
#undef LEVEL
#pragma clang attribute pop

#endif

static const imsim_scan scans[IMSIM_LEVEL_COUNT] = {
    [IMSIM_LEVEL_PORTABLE] = scan_portable,
#if defined(__x86_64__)
    [IMSIM_LEVEL_AVX2] = scan_avx2,
    [IMSIM_LEVEL_AVX512] = scan_avx512,
    [IMSIM_LEVEL_AVX512VNNI] = scan_avx512vnni,
    [IMSIM_LEVEL_AVX512BF16] = scan_avx512vnni,
#endif
};

imsim_scan imsim_scan_for(int level) { return imsim_level_is_supported(level) ? scans[level] : NULL; }

imsim_scan imsim_scan_current(void) { return scans[imsim_level_current()]; }
