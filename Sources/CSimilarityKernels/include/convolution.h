// Dense convolutions as matrix products, for three types of activations in NHWC layout: fp32, bf16 and u8.
//
// A product reads a window's elements where they lie in the input tensor, in runs of whole 32-bit units (one fp32, two bf16 or
// four u8 values); the tensor has borders where windows reach over its edges. All distances are in elements.

#pragma once
#include <stddef.h>
#include <stdint.h>

#if defined(__clang__)
#pragma clang assume_nonnull begin
#endif

typedef enum {
  IMSIM_ELEMENT_FP32 = 0,
  IMSIM_ELEMENT_BF16 = 1,
  // Activations u8, weights s8: a value is scale * (q - zero).
  IMSIM_ELEMENT_U8 = 2,
  IMSIM_ELEMENT_COUNT = 3,
} imsim_element;

typedef struct {
  int columns, filters;
  // Between the windows, outputs and residuals of neighbouring columns, rows and images.
  ptrdiff_t in_pixel, in_row, in_image;
  ptrdiff_t out_pixel, out_row, out_image;
  ptrdiff_t residual_pixel, residual_row, residual_image;
  // A window is `tap_count` runs of `run` units each; `taps` are the runs' offsets from the window's first element.
  const ptrdiff_t *taps;
  int tap_count, run;
  // Panels, as imsim_convolution_pack lays them out.
  const void *weights;
  // One value a filter, and zeros up to whole vectors. The scale is u8's alone.
  const float *bias;
  const float *_Nullable scale;
  // y = clamp(sum + bias (+ residual), low, high); for u8
  // y = clamp(round(sum * scale + bias (+ residual * residual_scale)), low, high), rounding to nearest, ties to even.
  float residual_scale, low, high;
} imsim_convolution;

// Computes the output rows [row_begin, row_end) of `images` images. `in`, `residual` and `out` point to what belongs to
// output (0, 0) of the first image. Every output is the same sum in the same order however rows and images are split.
typedef void (*imsim_convolve)(
    const imsim_convolution *layer, const void *in, const void *_Nullable residual, void *out, int row_begin, int row_end,
    int images);

// One instruction set's variants.
typedef struct {
  // Floats of a vector.
  int lanes;
  // Whether bf16 products have instructions of their own; without, they are no faster than fp32's. Those of u8 always are.
  int has_bf16;
  imsim_convolve _Nonnull convolve[IMSIM_ELEMENT_COUNT];
} imsim_convolution_kernels;

// The variants of a level of instruction_set.h; NULL where this processor lacks it.
const imsim_convolution_kernels *_Nullable imsim_convolution_kernels_for(int level);
// Those of imsim_level_current().
const imsim_convolution_kernels *imsim_convolution_kernels_current(void);

// Bytes of a packed convolution, for channels that are a multiple of the unit (1, 2 or 4).
size_t imsim_convolution_packed_size(
    imsim_element element, int lanes, ptrdiff_t taps, ptrdiff_t channels, ptrdiff_t filters);

// Packs weights [taps, channels, filters] into panels of two vectors of filters (the last of one, where that suffices), each
// [taps, channels / unit, filters of the panel, unit]. Channels beyond `channels`, up to `stored_channels`, count as zero, so
// do filters beyond the last. For u8 `quantum` holds what one step of each filter is worth: w = quantum * q, -127 <= q <= 127.
void imsim_convolution_pack(
    imsim_element element, int lanes, const float *weights, ptrdiff_t taps, ptrdiff_t channels, ptrdiff_t stored_channels,
    ptrdiff_t filters, const float *_Nullable quantum, void *packed);

#if defined(__clang__)
#pragma clang assume_nonnull end
#endif
