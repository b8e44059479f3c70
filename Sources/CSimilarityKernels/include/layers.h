// Operations of convolutional networks on fp32 activations in NHWC layout.
//
// A "pixel stride" is the distance in floats between neighbouring pixels; it exceeds the channel count where a tensor is a
// slice of the channels of a wider one.

#pragma once
#include <stddef.h>
#include <stdint.h>

#if defined(__clang__)
#pragma clang assume_nonnull begin
#endif

typedef enum {
  IMSIM_ACTIVATION_NONE = 0,
  IMSIM_ACTIVATION_RELU = 1,
  IMSIM_ACTIVATION_RELU6 = 2,
} imsim_activation;

// A sliding window over an image: a convolution's or a pool's geometry. Positions outside the input count as zero (for
// max_pool: are left out).
typedef struct {
  int in_height, in_width, channels;
  ptrdiff_t in_stride;
  int kernel, stride, pad_top, pad_left;
  int out_height, out_width;
  ptrdiff_t out_stride;
} imsim_window;

// One instruction set's variant of every operation.
typedef struct {
  // The instruction set's name, as the environment variable IMSIM_ISA spells it.
  const char *name;

  // out[p][c] = rgb[p][swap ? 2 - c : c] * scale[c] + shift[c]
  void (*normalize_rgb)(
      const uint8_t *rgb, float *out, ptrdiff_t pixels, const float *scale, const float *shift, int swap);

  // Writes the windows of output rows row_begin..<row_end as the rows of a matrix:
  // [(row_end - row_begin) * out_width, kernel * kernel * channels].
  void (*im2col)(const imsim_window *w, const float *in, int row_begin, int row_end, float *columns);

  // out = activation(out + bias + residual); residual may be null.
  void (*bias_activation)(
      float *out, ptrdiff_t out_stride, ptrdiff_t pixels, ptrdiff_t channels, const float *bias,
      const float *_Nullable residual, ptrdiff_t residual_stride, imsim_activation activation);

  // One filter a channel; weights are [kernel * kernel, channels].
  void (*depthwise)(
      const imsim_window *w, const float *in, const float *weights, const float *bias, imsim_activation activation,
      float *out);

  void (*max_pool)(const imsim_window *w, const float *in, float *out);

  // out[c] = mean over pixels of in[p][c]
  void (*global_average_pool)(
      const float *in, ptrdiff_t in_stride, ptrdiff_t pixels, ptrdiff_t channels, float *out);
} imsim_layer_kernels;

// Preparation of weights, where speed matters less.

// [filters, channels, taps], each filter times its factor, as [taps, channels, filters].
void imsim_pack_filters(
    const float *weights, ptrdiff_t filters, ptrdiff_t channels, ptrdiff_t taps, const double *factors, float *packed);

// The index of the first element that is NaN or infinite, or count.
ptrdiff_t imsim_first_not_finite(const float *_Nullable values, ptrdiff_t count);

// The instruction sets in ascending order; index 0 is the portable one and always there.
enum { IMSIM_ISA_COUNT = 3 };

// The variant for one instruction set, or null where this CPU or build lacks it.
const imsim_layer_kernels *_Nullable imsim_layer_kernels_for(int isa);

// The best variant for this CPU; the environment variable IMSIM_ISA (portable, avx2, avx512) lowers it. Chosen once.
const imsim_layer_kernels *imsim_layer_kernels_current(void);

#if defined(__clang__)
#pragma clang assume_nonnull end
#endif
