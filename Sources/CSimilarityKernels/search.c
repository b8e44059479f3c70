#include "search.h"

#include <string.h>

// One source, one variant per instruction set, chosen when the program starts.
#if defined(__x86_64__) && defined(__linux__) && defined(__clang__)
#define VARIANTS __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define VARIANTS
#endif

// Fused multiply-adds would round differently from one instruction set to another.
#pragma STDC FP_CONTRACT OFF

typedef float float8 __attribute__((vector_size(32)));
typedef float float8_unaligned __attribute__((vector_size(32), aligned(4)));
typedef double double8 __attribute__((vector_size(64)));

// Macros rather than functions: a function that returns a vector has another ABI on each instruction set.
#define LOAD(pointer) __builtin_convertvector(*(const float8_unaligned *)(pointer), double8)
#define SUM(v) ((((v)[0] + (v)[4]) + ((v)[2] + (v)[6])) + (((v)[1] + (v)[5]) + ((v)[3] + (v)[7])))
#define PRODUCT(a, b) ((a) * (b))
#define SQUARED_DIFFERENCE(a, b) (((a) - (b)) * ((a) - (b)))

// Four streams side by side are more than the hardware foresees: ask for the cache line of 16 elements that is due when
// these four rows are done. Past the end of the matrix it asks for nothing that is there, which is harmless.
#define PREFETCH_NEXT_FOUR(pointer, dimension)                                                                        \
  for (uintptr_t row = 4; row < 8; row++)                                                                             \
  __builtin_prefetch((const void *)((uintptr_t)(pointer) + row * (dimension) * sizeof(float)))

// The last, partial group of 8 is padded with zeros, which add nothing.
#define DEFINE_PAIRWISE(name, term)                                                                                   \
  VARIANTS void name(const float *query, const float *rows, size_t count, size_t dimension, double *results) {        \
    size_t whole = dimension & ~(size_t)7, rest = dimension - whole;                                                  \
    float8 tail = {0};                                                                                                \
    if (rest > 0) memcpy(&tail, query + whole, rest * sizeof(float));                                                 \
    double8 query_tail = __builtin_convertvector(tail, double8);                                                      \
    size_t r = 0;                                                                                                     \
    for (; r + 4 <= count; r += 4) {                                                                                  \
      const float *row0 = rows + r * dimension, *row1 = row0 + dimension, *row2 = row1 + dimension,                   \
                  *row3 = row2 + dimension;                                                                           \
      double8 sum0 = {0}, sum1 = {0}, sum2 = {0}, sum3 = {0};                                                         \
      for (size_t i = 0; i < whole; i += 8) {                                                                         \
        if ((i & 8) == 0) PREFETCH_NEXT_FOUR(row0 + i, dimension);                                                    \
        double8 q = LOAD(query + i);                                                                                  \
        double8 value0 = LOAD(row0 + i), value1 = LOAD(row1 + i), value2 = LOAD(row2 + i), value3 = LOAD(row3 + i);   \
        sum0 += term(q, value0);                                                                                      \
        sum1 += term(q, value1);                                                                                      \
        sum2 += term(q, value2);                                                                                      \
        sum3 += term(q, value3);                                                                                      \
      }                                                                                                               \
      if (rest > 0) {                                                                                                 \
        float8 tails[4] = {{0}};                                                                                      \
        for (size_t j = 0; j < 4; j++) memcpy(&tails[j], row0 + j * dimension + whole, rest * sizeof(float));         \
        double8 value0 = __builtin_convertvector(tails[0], double8),                                                  \
                value1 = __builtin_convertvector(tails[1], double8),                                                  \
                value2 = __builtin_convertvector(tails[2], double8),                                                  \
                value3 = __builtin_convertvector(tails[3], double8);                                                  \
        sum0 += term(query_tail, value0);                                                                             \
        sum1 += term(query_tail, value1);                                                                             \
        sum2 += term(query_tail, value2);                                                                             \
        sum3 += term(query_tail, value3);                                                                             \
      }                                                                                                               \
      results[r] = SUM(sum0);                                                                                         \
      results[r + 1] = SUM(sum1);                                                                                     \
      results[r + 2] = SUM(sum2);                                                                                     \
      results[r + 3] = SUM(sum3);                                                                                     \
    }                                                                                                                 \
    for (; r < count; r++) {                                                                                          \
      const float *row = rows + r * dimension;                                                                        \
      double8 sum = {0};                                                                                              \
      for (size_t i = 0; i < whole; i += 8) {                                                                         \
        double8 q = LOAD(query + i), value = LOAD(row + i);                                                           \
        sum += term(q, value);                                                                                        \
      }                                                                                                               \
      if (rest > 0) {                                                                                                 \
        memset(&tail, 0, sizeof tail);                                                                                \
        memcpy(&tail, row + whole, rest * sizeof(float));                                                             \
        double8 value = __builtin_convertvector(tail, double8);                                                       \
        sum += term(query_tail, value);                                                                               \
      }                                                                                                               \
      results[r] = SUM(sum);                                                                                          \
    }                                                                                                                 \
  }

DEFINE_PAIRWISE(ims_search_dot, PRODUCT)
DEFINE_PAIRWISE(ims_search_squared_distance, SQUARED_DIFFERENCE)

VARIANTS size_t ims_search_select(
    const float *products, const float *scales, const float *offsets, size_t count, float limit, uint32_t *selected) {
  size_t found = 0;
  for (size_t start = 0; start < count; start += 64) {
    size_t end = count - start < 64 ? count : start + 64;
    // Nearly always nothing passes: look at the whole group first.
    int any = 0;
    for (size_t i = start; i < end; i++) any |= offsets[i] + scales[i] * products[i] <= limit;
    if (!any) continue;
    for (size_t i = start; i < end; i++)
      if (offsets[i] + scales[i] * products[i] <= limit) selected[found++] = (uint32_t)i;
  }
  return found;
}
