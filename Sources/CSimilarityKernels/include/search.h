#pragma once
#include <stddef.h>
#include <stdint.h>

#if defined(__clang__)
#pragma clang assume_nonnull begin
#endif

// Kernels of vector search.
//
// The fp64 kernels give the same bits on every instruction set: 8 lanes, lane l taking the elements l, l + 8, l + 16 ...
// in ascending order; the lanes are added as ((0+4)+(2+6))+((1+5)+(3+7)). A pair gives the same bits in either order.

/// products[r] = sum of query[i] * rows[indices[r] * dimension + i], in fp64; indices[r] = r where there are no indices.
void ims_search_dot(
    const float *query, const float *rows, const uint32_t *_Nullable indices, size_t count, size_t dimension,
    double *products);

/// squares[r] = sum of (query[i] - rows[indices[r] * dimension + i])^2, in fp64.
void ims_search_squared_distance(
    const float *query, const float *rows, const uint32_t *_Nullable indices, size_t count, size_t dimension,
    double *squares);

#if defined(__clang__)
#pragma clang assume_nonnull end
#endif
