// The transforms of Winograd convolution for 3x3 kernels with stride 1 and a padding of 1 (Lavin and Gray 2015): F(4x4,
// 3x3) makes 4x4 outputs of 6x6 inputs with 36 products instead of 144, F(2x2, 3x3) makes 2x2 of 4x4 with 16 instead of
// 36.
//
// A "tile" is a square of outputs; an image has ceil(height / outputs) * ceil(width / outputs), counted row by row. A
// "position" is a place in the transformed square of (outputs + 2) x (outputs + 2), counted row by row. Between the
// transforms the caller multiplies once per position: [tiles, channels] x [channels, filters].
//
// Positions of one tile and vector of channels are read or written together, so `position_stride` should be an odd
// multiple of 16 floats: then they fall into different sets of the L1 cache. imsim_winograd_position_stride gives the
// next one. Everything works at any stride and alignment; vectors that lie within cache lines (64 bytes) are fastest,
// and pixels of the image that are not a multiple of 2048 bytes apart (36 of them are read together).

#pragma once
#include <stddef.h>
#include <stdint.h>

#if defined(__clang__)
#pragma clang assume_nonnull begin
#endif

typedef struct {
  // Outputs of a tile along each axis: 4 or 2.
  int outputs;
  int height, width;
  // Channels of the input for its transform, filters for the output's.
  int channels;
  // The image's elements: 0 for fp32, 1 for bf16.
  int bf16;
  // Distances in elements between neighbouring pixels and rows.
  ptrdiff_t pixel, row;
} imsim_winograd_image;

// One instruction set's variant of both transforms. Results do not depend on how tiles are split into ranges.
typedef struct {
  // transformed[position * position_stride + (tile - tile_begin) * tile_stride + c] for tile_begin <= tile < tile_end.
  //
  // `pixels` is pixel (0, 0); a border of one pixel around the image is read too, nothing beyond it: what a tile at the
  // right or lower edge would need from there counts as zero.
  void (*input)(
      const imsim_winograd_image *image, const void *pixels, int tile_begin, int tile_end, float *transformed,
      ptrdiff_t position_stride, ptrdiff_t tile_stride);

  // pixels = clamp(transformed back + bias (+ residual), low, high), for the tiles' outputs that lie inside the image.
  //
  // `products` is laid out as the result of `input`. `residual` has the image's size and elements, and strides of its
  // own; it may be `pixels` itself. bf16 is rounded to nearest even. NaN stays NaN.
  void (*output)(
      const imsim_winograd_image *image, const float *products, ptrdiff_t position_stride, ptrdiff_t tile_stride,
      int tile_begin, int tile_end, const float *bias, const void *_Nullable residual, ptrdiff_t residual_pixel,
      ptrdiff_t residual_row, float low, float high, void *pixels);
} imsim_winograd_kernels;

// The widest panel of transformed weights, in filters.
enum { IMSIM_WINOGRAD_PANEL = 32 };

// Transforms a panel of filters, filter_begin..<filter_begin + width, width <= IMSIM_WINOGRAD_PANEL, each times its factor:
// weights [filters, channels, 3, 3] to panel[position * position_stride + channel * width + filter - filter_begin], zero for
// filters beyond the last. Computed in double, rounded once.
void imsim_winograd_weights(
    int outputs, const float *weights, ptrdiff_t filters, ptrdiff_t channels, const double *factors,
    ptrdiff_t filter_begin, ptrdiff_t width, float *panel, ptrdiff_t position_stride);

// The smallest odd multiple of 16 that is at least `floats`.
ptrdiff_t imsim_winograd_position_stride(ptrdiff_t floats);

// The variant of a level of instruction_set.h; null where this processor lacks it.
const imsim_winograd_kernels *_Nullable imsim_winograd_kernels_for(int level);

// That of imsim_level_current().
const imsim_winograd_kernels *imsim_winograd_kernels_current(void);

#if defined(__clang__)
#pragma clang assume_nonnull end
#endif
