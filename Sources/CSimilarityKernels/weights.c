#include "weights.h"

#include <math.h>

void imsim_fold_filters(
    const float *weights, ptrdiff_t filters, ptrdiff_t channels, ptrdiff_t taps, const double *factors, float *folded) {
  // Filters in blocks, so that what is written is a whole cache line wide.
  enum { block = 16 };
  for (ptrdiff_t first = 0; first < filters; first += block) {
    const ptrdiff_t count = filters - first < block ? filters - first : block;
    for (ptrdiff_t c = 0; c < channels; c++) {
      for (ptrdiff_t t = 0; t < taps; t++) {
        float *to = folded + (t * channels + c) * filters + first;
        const float *from = weights + (first * channels + c) * taps + t;
        for (ptrdiff_t f = 0; f < count; f++) to[f] = (float)((double)from[f * channels * taps] * factors[first + f]);
      }
    }
  }
}

ptrdiff_t imsim_first_not_finite(const float *values, ptrdiff_t count) {
  for (ptrdiff_t i = 0; i < count; i++) {
    if (!isfinite(values[i])) return i;
  }
  return count;
}
