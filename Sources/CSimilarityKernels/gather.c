// Strided arrays as row-major ones.

#include "gather.h"

#include <string.h>

static void copy_row(
    const unsigned char *source, unsigned char *target, size_t element_size, size_t count, ptrdiff_t step) {
  // A memcpy of constant size is one load and one store.
  switch (element_size) {
  case 2:
    for (size_t i = 0; i < count; i++, source += step, target += 2) memcpy(target, source, 2);
    break;
  case 4:
    for (size_t i = 0; i < count; i++, source += step, target += 4) memcpy(target, source, 4);
    break;
  default:
    for (size_t i = 0; i < count; i++, source += step, target += 8) memcpy(target, source, 8);
  }
}

void sim_gather(
    const void *source, void *target, size_t element_size, size_t rank, const ptrdiff_t *shape,
    const ptrdiff_t *strides) {
  for (size_t d = 0; d < rank; d++) {
    if (shape[d] == 0) return;
  }
  // Rows run along the last dimension; an array without dimensions is one row of one element.
  size_t outer = rank > 0 ? rank - 1 : 0;
  size_t row = rank > 0 ? (size_t)shape[outer] : 1;
  ptrdiff_t size = (ptrdiff_t)element_size;
  ptrdiff_t step = rank > 0 ? strides[outer] * size : 0;

  ptrdiff_t place = 0;
  unsigned char *to = target;
  ptrdiff_t index[sim_gather_maximum_rank] = {0};
  for (;;) {
    copy_row((const unsigned char *)source + place, to, element_size, row, step);
    to += row * element_size;

    // To the next row: the last of the outer dimensions runs fastest.
    size_t d = outer;
    while (d > 0) {
      d--;
      place += strides[d] * size;
      if (++index[d] < shape[d]) break;
      place -= index[d] * strides[d] * size;
      index[d] = 0;
      if (d == 0) return;
    }
    if (outer == 0) return;
  }
}
