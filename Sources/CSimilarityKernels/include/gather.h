#pragma once
#include <stddef.h>

enum { sim_gather_maximum_rank = 64 };

/// Copies the elements of a strided array, in row-major order and without gaps, to `target`.
///
/// Element `(i0, i1, ...)` lies `i0 * strides[0] + i1 * strides[1] + ...` elements after `source`. `element_size` is 2, 4 or
/// 8; `rank` is at most sim_gather_maximum_rank; `shape[d] * strides[d] * element_size` does not overflow. Source and target
/// may lie at any address, and do not overlap.
void sim_gather(
    const void *source, void *target, size_t element_size, size_t rank, const ptrdiff_t *shape,
    const ptrdiff_t *strides);
