#include "search.h"

#include <string.h>

#include "targets.h"

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

// Four streams side by side are more than the hardware foresees, and rows that are picked here and there are more so: ask for
// the cache line of 16 elements that is due when these four rows are done.
#define PREFETCH(row, i) __builtin_prefetch((row) + (i))

// The last, partial group of 8 is padded with zeros, which add nothing.
#define DEFINE_PAIRWISE(name, term)                                                                                   \
  IMSIM_CLONES void name(                                                                                                 \
      const float *query, const float *rows, const uint32_t *indices, size_t count, size_t dimension,                 \
      double *results) {                                                                                              \
    size_t whole = dimension & ~(size_t)7, rest = dimension - whole;                                                  \
    float8 tail = {0};                                                                                                \
    if (rest > 0) memcpy(&tail, query + whole, rest * sizeof(float));                                                 \
    double8 query_tail = __builtin_convertvector(tail, double8);                                                      \
    size_t r = 0;                                                                                                     \
    for (; r + 4 <= count; r += 4) {                                                                                  \
      const float *row[8];                                                                                            \
      for (size_t j = 0; j < 8; j++) {                                                                                \
        size_t index = r + j < count ? r + j : count - 1;                                                             \
        row[j] = rows + (indices ? indices[index] : index) * dimension;                                               \
      }                                                                                                               \
      double8 sum0 = {0}, sum1 = {0}, sum2 = {0}, sum3 = {0};                                                         \
      for (size_t i = 0; i < whole; i += 8) {                                                                         \
        if ((i & 8) == 0)                                                                                             \
          PREFETCH(row[4], i), PREFETCH(row[5], i), PREFETCH(row[6], i), PREFETCH(row[7], i);                         \
        double8 q = LOAD(query + i);                                                                                  \
        double8 value0 = LOAD(row[0] + i), value1 = LOAD(row[1] + i), value2 = LOAD(row[2] + i),                      \
                value3 = LOAD(row[3] + i);                                                                            \
        sum0 += term(q, value0);                                                                                      \
        sum1 += term(q, value1);                                                                                      \
        sum2 += term(q, value2);                                                                                      \
        sum3 += term(q, value3);                                                                                      \
      }                                                                                                               \
      if (rest > 0) {                                                                                                 \
        float8 tails[4] = {{0}};                                                                                      \
        for (size_t j = 0; j < 4; j++) memcpy(&tails[j], row[j] + whole, rest * sizeof(float));                       \
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
      const float *row = rows + (indices ? indices[r] : r) * dimension;                                               \
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
