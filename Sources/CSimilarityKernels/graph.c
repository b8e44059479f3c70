#include "graph.h"

#include <math.h>
#include <string.h>

#include "instruction_set.h"
#include "targets.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

// Fused multiply-adds would round differently from one instruction set to another.
#pragma STDC FP_CONTRACT OFF

void imsim_graph_encode(const float *values, size_t dimension, int is_euclidean, size_t code_bytes, uint8_t *record) {
  imsim_node_header header = {0};
  int8_t *codes = (int8_t *)(record + sizeof header);
  memset(codes, 0, code_bytes);
  float most = 0;
  for (size_t i = 0; i < dimension; i++) {
    const float magnitude = fabsf(values[i]);
    most = magnitude > most ? magnitude : most;
  }
  if (most > 0) {
    const double step = (double)most / 127;
    const double inverse = 1 / step;
    header.scale = (float)step;
    double norm = 0;
    for (size_t i = 0; i < dimension; i++) {
      const int32_t code = (int32_t)rint((double)values[i] * inverse);
      codes[i] = (int8_t)code;
      header.sum += code;
      norm += (double)(code * code);
    }
    if (is_euclidean) header.squared_norm = (float)(norm * step * step);
  }
  memcpy(record, &header, sizeof header);
}

static inline imsim_node_header header_of(const uint8_t *record) {
  imsim_node_header header;
  memcpy(&header, record, sizeof header);
  return header;
}

static inline const int8_t *codes_of(const uint8_t *record) {
  return (const int8_t *)(record + sizeof(imsim_node_header));
}

static inline const uint8_t *record_of(const imsim_graph *graph, uint32_t node) {
  return graph->records + (size_t)node * graph->stride;
}

static inline imsim_near near_of(float distance, uint32_t node) {
  uint32_t bits;
  memcpy(&bits, &distance, sizeof bits);
  // Negative numbers sort the other way round, and before the others.
  bits = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
  return (imsim_near)bits << 32 | node;
}

// From a sum of products of codes of which the query's were raised by 128.
static inline float distance_of(
    const imsim_graph *graph, imsim_node_header query, imsim_node_header node, int32_t raised) {
  const int32_t product = (int32_t)((uint32_t)raised - 128u * (uint32_t)node.sum);
  const float inner = query.scale * node.scale * (float)product;
  return graph->is_euclidean ? query.squared_norm + node.squared_norm - 2 * inner : 0 - inner;
}

static inline const int32_t *links_of(const imsim_graph *graph, uint32_t node, int level, size_t *most) {
  *most = level == 0 ? 2 * graph->m : graph->m;
  return level == 0 ? graph->links + (size_t)node * 2 * graph->m
                    : graph->upper + graph->upper_starts[node] + (size_t)(level - 1) * graph->m;
}

enum { DOTS = 4 };

#define LEVEL(name) name##_portable
#define DOT_PORTABLE
#include "graph_variant.inc"
#undef DOT_PORTABLE
#undef LEVEL

#if defined(__x86_64__)

#pragma clang attribute push(__attribute__((target(IMSIM_TARGET_AVX2))), apply_to = function)
#define LEVEL(name) name##_avx2
#define DOT_STEP 16
#define SUM __m256i
#define ZERO _mm256_setzero_si256()
#define QUERY(p) _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(p)))
#define DOT(sum, q, p) \
  _mm256_add_epi32(sum, _mm256_madd_epi16(q, _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(p)))))
static inline int32_t total_avx2(__m256i v) {
  __m128i half = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
  half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0x4e));
  return _mm_cvtsi128_si32(_mm_add_epi32(half, _mm_shuffle_epi32(half, 0xb1)));
}
#define TOTAL total_avx2
#include "graph_variant.inc"
#undef TOTAL
#undef DOT
#undef QUERY
#undef ZERO
#undef SUM
#undef DOT_STEP
#undef LEVEL
#pragma clang attribute pop

#pragma clang attribute push(__attribute__((target(IMSIM_TARGET_AVX512))), apply_to = function)
#define LEVEL(name) name##_avx512
#define DOT_STEP 32
#define SUM __m512i
#define ZERO _mm512_setzero_si512()
#define QUERY(p) _mm512_cvtepu8_epi16(_mm256_loadu_si256((const __m256i *)(p)))
#define DOT(sum, q, p) \
  _mm512_add_epi32(sum, _mm512_madd_epi16(q, _mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *)(p)))))
#define TOTAL _mm512_reduce_add_epi32
#include "graph_variant.inc"
#undef DOT
#undef QUERY
#undef DOT_STEP
#undef LEVEL
#pragma clang attribute pop

#pragma clang attribute push(__attribute__((target(IMSIM_TARGET_AVX512VNNI))), apply_to = function)
#define LEVEL(name) name##_avx512vnni
#define DOT_STEP 64
#define QUERY(p) _mm512_loadu_si512(p)
#define DOT(sum, q, p) _mm512_dpbusd_epi32(sum, q, _mm512_loadu_si512(p))
#include "graph_variant.inc"
#undef TOTAL
#undef DOT
#undef QUERY
#undef ZERO
#undef SUM
#undef DOT_STEP
#undef LEVEL
#pragma clang attribute pop

#endif

static const imsim_graph_kernels levels[IMSIM_LEVEL_COUNT] = {
    [IMSIM_LEVEL_PORTABLE] = {search_portable, distances_portable, select_portable},
#if defined(__x86_64__)
    [IMSIM_LEVEL_AVX2] = {search_avx2, distances_avx2, select_avx2},
    [IMSIM_LEVEL_AVX512] = {search_avx512, distances_avx512, select_avx512},
    [IMSIM_LEVEL_AVX512VNNI] = {search_avx512vnni, distances_avx512vnni, select_avx512vnni},
    [IMSIM_LEVEL_AVX512BF16] = {search_avx512vnni, distances_avx512vnni, select_avx512vnni},
#endif
};

const imsim_graph_kernels *imsim_graph_kernels_for(int level) {
  return imsim_level_is_supported(level) ? &levels[level] : NULL;
}

const imsim_graph_kernels *imsim_graph_kernels_current(void) { return &levels[imsim_level_current()]; }
