#pragma once
#include <stddef.h>
#include <stdint.h>

// Kernels of vector search.
//
// The fp64 kernels give the same bits on every instruction set: 8 lanes, lane l taking the elements l, l + 8, l + 16 ...
// in ascending order; the lanes are added as ((0+4)+(2+6))+((1+5)+(3+7)). A pair gives the same bits in either order.

/// products[r] = sum of query[i] * rows[r * dimension + i], in fp64.
void ims_search_dot(const float *query, const float *rows, size_t count, size_t dimension, double *products);

/// squares[r] = sum of (query[i] - rows[r * dimension + i])^2, in fp64.
void ims_search_squared_distance(
    const float *query, const float *rows, size_t count, size_t dimension, double *squares);

/// Writes the indices i < count with offsets[i] + scales[i] * products[i] <= limit, ascending, and returns how many there
/// are. A NaN in scales or offsets is never at most the limit. `selected` has room for `count` indices.
size_t ims_search_select(
    const float *products, const float *scales, const float *offsets, size_t count, float limit, uint32_t *selected);
