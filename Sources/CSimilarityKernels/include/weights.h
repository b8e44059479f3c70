// Work on a network's weights before they are packed.

#pragma once
#include <stddef.h>

#if defined(__clang__)
#pragma clang assume_nonnull begin
#endif

// Weights [filters, channels, taps], each filter times its factor, as [taps, channels, filters].
void imsim_fold_filters(
    const float *weights, ptrdiff_t filters, ptrdiff_t channels, ptrdiff_t taps, const double *factors, float *folded);

// The index of the first element that is infinite or not a number, or `count`.
ptrdiff_t imsim_first_not_finite(const float *values, ptrdiff_t count);

#if defined(__clang__)
#pragma clang assume_nonnull end
#endif
