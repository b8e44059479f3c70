// Scans of codes (see codes.h): which rows may be near enough to which queries, for certain.
//
// A key bounds a distance from below. With q . x = s_q s_x V + e, V the integer product of the two codes,
// |e| <= reach_q error_x + slack_q |x| (Cauchy-Schwarz; reach_q is the length of the query's code, slack_q covers the query's own
// error and rounding), the keys are
//
//   cosine         -(s_q s_x V + reach_q error_x) / |x| - slack_q           where s_q, reach_q, slack_q are those of q / |q|
//   Euclidean      |x|^2 (1 - 2^-20) - 2 (s_q s_x V + reach_q error_x + slack_q |x|) + offset_q
//   inner product  -(s_q s_x V + reach_q error_x) - slack_q |x|

#pragma once

#include <stddef.h>
#include <stdint.h>

#if defined(__clang__)
#pragma clang assume_nonnull begin
#endif

typedef enum {
  IMSIM_METRIC_COSINE = 0,
  IMSIM_METRIC_EUCLIDEAN = 1,
  IMSIM_METRIC_INNER_PRODUCT = 2,
} imsim_metric;

enum {
  // Queries that are scanned together.
  IMSIM_QUERY_TILE = 12,
};

// Consecutive rows, from the first of a panel on; the columns of codes.h.
typedef struct {
  size_t rows, dimension;
  const uint8_t *codes;
  const float *scales;
  const int32_t *zeros, *sums;
  const float *errors;
  const double *squared_norms;
} imsim_coded_rows;

// At most IMSIM_QUERY_TILE queries, each with what its keys need.
typedef struct {
  int count;
  // [groups][count][4], as imsim_pack_queries writes them.
  const int8_t *codes;
  const float *scales, *reaches, *slacks, *offsets;
  // The code of 0, less 128; the sum of the codes, each less 128.
  const int32_t *zeros, *sums;
  // Rows whose keys are not above a query's limit are found.
  const float *limits;
} imsim_query_tile;

typedef struct {
  uint32_t row;
  float key;
} imsim_found;

// Packs the codes of `count` <= IMSIM_QUERY_TILE rows, `rows[i]` each, of panels that begin at `codes`.
void imsim_pack_queries(
    const uint8_t *codes, const uint32_t *rows, int count, size_t dimension, int8_t *packed);

// Finds for each query of the tile the rows whose key is not above the query's limit (NaN is not above), or, where there are
// `row_limits`, not above the row's. Query i's go to found[i * rows->rows ...], in ascending order, their number to counts[i].
typedef void (*imsim_scan)(
    imsim_metric metric, const imsim_coded_rows *rows, const imsim_query_tile *queries, const float *_Nullable row_limits,
    imsim_found *found, uint32_t *counts);

// The variant of a level of instruction_set.h; NULL where this processor lacks it.
imsim_scan _Nullable imsim_scan_for(int level);
// That of imsim_level_current().
imsim_scan imsim_scan_current(void);

#if defined(__clang__)
#pragma clang assume_nonnull end
#endif
