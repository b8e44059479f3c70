#include "codes.h"

#include <math.h>
#include <string.h>

#include "search.h"
#include "targets.h"

// Codes and bounds are the same on every instruction set.
#pragma STDC FP_CONTRACT OFF

// Writes one code an element, and returns their sum.
IMSIM_CLONES static int32_t quantise(
    const float *restrict x, size_t count, double inverse, double zero, uint8_t *restrict codes) {
  int32_t sum = 0;
  for (size_t i = 0; i < count; i++) {
    double code = rint((double)x[i] * inverse) + zero;
    code = code < 0 ? 0 : code > 255 ? 255 : code;
    codes[i] = (uint8_t)code;
    sum += (int32_t)code;
  }
  return sum;
}

// The sum of squares of what the codes leave, in 8 lanes.
IMSIM_CLONES static double squared_error(
    const float *restrict x, const uint8_t *restrict codes, size_t count, double scale, double zero) {
  double lanes[8] = {0};
  size_t i = 0;
  for (; i + 8 <= count; i += 8)
    for (size_t l = 0; l < 8; l++) {
      double rest = (double)x[i + l] - scale * ((double)codes[i + l] - zero);
      lanes[l] += rest * rest;
    }
  for (; i < count; i++) {
    double rest = (double)x[i] - scale * ((double)codes[i] - zero);
    lanes[i % 8] += rest * rest;
  }
  return ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) + ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
}

IMSIM_CLONES static void range(const float *x, size_t count, float *low, float *high) {
  float least = 0, most = 0;
  for (size_t i = 0; i < count; i++) {
    least = x[i] < least ? x[i] : least;
    most = x[i] > most ? x[i] : most;
  }
  *low = least;
  *high = most;
}

// `codes` has room for `dimension` elements.
static void encode_row(
    const float *x, size_t dimension, uint8_t *codes, size_t row, const imsim_code_columns *columns) {
  double squared_norm;
  ims_search_dot(x, x, NULL, 1, dimension, &squared_norm);
  columns->squared_norms[row] = squared_norm;
  columns->scales[row] = 0;
  columns->zeros[row] = 0;
  columns->sums[row] = 0;
  columns->errors[row] = 0;
  memset(codes, 0, dimension);
  if (squared_norm == 0) return;
  if (dimension > IMSIM_CODED_DIMENSION_MAX || !(squared_norm >= 0x1p-60 && squared_norm <= 0x1p60)) {
    columns->errors[row] = INFINITY;
    return;
  }
  float low, high;
  range(x, dimension, &low, &high);
  // The range includes 0, which has a code of its own; half a step at an end may be clamped.
  float scale = (float)(((double)high - (double)low) / 255);
  int32_t zero = (int32_t)rint(-(double)low / (double)scale);
  columns->scales[row] = scale;
  columns->zeros[row] = zero;
  columns->sums[row] = quantise(x, dimension, 1 / (double)scale, zero, codes);
  // Rounded up by more than the double precision above can have lost.
  double error = sqrt(squared_error(x, codes, dimension, scale, zero)) * (1 + 0x1p-20);
  columns->errors[row] = nextafterf((float)error, INFINITY);
}

void imsim_encode_panel(
    const float *rows, size_t count, size_t dimension, uint8_t *panel, const imsim_code_columns *columns,
    uint8_t *scratch) {
  const size_t groups = (dimension + IMSIM_GROUP_ELEMENTS - 1) / IMSIM_GROUP_ELEMENTS;
  const size_t group_bytes = IMSIM_PANEL_ROWS * IMSIM_GROUP_ELEMENTS;
  memset(panel, 0, groups * group_bytes);
  for (size_t row = 0; row < count; row++) {
    encode_row(rows + row * dimension, dimension, scratch, row, columns);
    uint8_t *to = panel + row * IMSIM_GROUP_ELEMENTS;
    for (size_t i = 0; i < dimension; i++) to[i / 4 * group_bytes + i % 4] = scratch[i];
  }
}
