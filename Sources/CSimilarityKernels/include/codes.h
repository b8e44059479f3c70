// Vectors as bytes: x[i] is about scale * (code[i] - zero).
//
// Codes lie in panels of 16 rows: [groups][16 rows][4 elements], with groups = ceil(dimension / 4); elements beyond the
// dimension and rows beyond the last are 0.

#pragma once

#include <stddef.h>
#include <stdint.h>

#if defined(__clang__)
#pragma clang assume_nonnull begin
#endif

enum {
  IMSIM_PANEL_ROWS = 16,
  IMSIM_GROUP_ELEMENTS = 4,
  // Above it, sums of products of codes may not fit into 32 bits.
  IMSIM_CODED_DIMENSION_MAX = 32768,
};

// What belongs to the rows' codes: a column each, with an element a row.
typedef struct {
  // Of one step, at least 0.
  float *scales;
  // The code of 0, from 0 to 255.
  int32_t *zeros;
  // Of the codes.
  int32_t *sums;
  // An upper bound of the length of x - scale * (code - zero); infinite where the code says nothing about the vector: its
  // length is neither 0 nor within 2^-30...2^30, or the dimension is above IMSIM_CODED_DIMENSION_MAX.
  float *errors;
  // Of x, in double precision; NaN or infinite exactly where an element is.
  double *squared_norms;
} imsim_code_columns;

// Encodes `count` <= 16 rows of `dimension` elements into one panel, and writes the elements [0, count) of the columns.
// `scratch` has room for `dimension` bytes.
void imsim_encode_panel(
    const float *rows, size_t count, size_t dimension, uint8_t *panel, const imsim_code_columns *columns,
    uint8_t *scratch);

#if defined(__clang__)
#pragma clang assume_nonnull end
#endif
