// Operations of convolutional networks that treat every channel by itself, on activations in NHWC layout: depthwise
// convolution, pooling, and the network's input.
//
// Elements are fp32 (float), bf16 (uint16_t, the upper half of an fp32) or u8 (real value = scale * (q - zero)). A
// pointer to a tensor points at its pixel (0, 0); strides count elements. A border of pixels around the tensor,
// filled with what stands for zero, takes the place of tests for the edges. Results do not depend, bit for bit, on
// how rows are split among calls, and nothing is written beyond the channels of a pixel.

#pragma once
#include <stddef.h>
#include <stdint.h>

#if defined(__clang__)
#pragma clang assume_nonnull begin
#endif

// A window that slides over an image: output (y, x) covers the input from (y * stride - pad_top, x * stride -
// pad_left) on.
typedef struct {
  int channels;
  ptrdiff_t in_pixel, in_row, out_pixel, out_row;
  int in_height, in_width, out_height, out_width;
  int kernel, stride, pad_top, pad_left;
} imsim_spatial_window;

// One filter a channel. Taps that reach over the edges read the input's border, so the tensor must have one.
typedef struct {
  imsim_spatial_window window;
  // As imsim_spatial_pack_depthwise_* of the element type wrote them.
  const void *weights;
  // [channels]
  const float *bias;
  // [channels], u8 only.
  const float *_Nullable scale;
  // fp32, bf16: out = clamp(bias + sum, low, high).
  // u8: out = clamp(round(sum * scale + bias), low, high), rounded to nearest even; low and high are whole numbers in
  // 0...255, and sum * scale + bias stays within the range of int32.
  float low, high;
} imsim_spatial_depthwise;

// One level's variant of every operation. Each works on the output rows row_begin..<row_end.
typedef struct {
  // Sums are fp32 (u8: exact int32). bf16 results are rounded to nearest even; subnormal ones may become zero.
  void (*depthwise_f32)(
      const imsim_spatial_depthwise *layer, const float *in, float *out, int row_begin, int row_end);
  void (*depthwise_bf16)(
      const imsim_spatial_depthwise *layer, const uint16_t *in, uint16_t *out, int row_begin, int row_end);
  void (*depthwise_u8)(
      const imsim_spatial_depthwise *layer, const uint8_t *in, uint8_t *out, int row_begin, int row_end);

  // Positions outside the input are left out; every window must touch the input. The input has no NaN.
  void (*max_pool_f32)(const imsim_spatial_window *w, const float *in, float *out, int row_begin, int row_end);
  void (*max_pool_bf16)(const imsim_spatial_window *w, const uint16_t *in, uint16_t *out, int row_begin, int row_end);
  void (*max_pool_u8)(const imsim_spatial_window *w, const uint8_t *in, uint8_t *out, int row_begin, int row_end);

  // out[c] = mean over all pixels; u8: (mean - zero) * scale, from a sum that is exact below 2^24 (257 x 257 pixels).
  void (*global_average_f32)(
      const float *in, ptrdiff_t pixel, ptrdiff_t row, int height, int width, int channels, float *out);
  void (*global_average_bf16)(
      const uint16_t *in, ptrdiff_t pixel, ptrdiff_t row, int height, int width, int channels, float *out);
  void (*global_average_u8)(
      const uint8_t *in, ptrdiff_t pixel, ptrdiff_t row, int height, int width, int channels, int zero, float scale,
      float *out);

  // From interleaved bytes [height, width, 3]; with `swap` the order of the channels is reversed (RGB to BGR).
  // fp32: 3 channels, bf16: 4, of which the last is zero: byte * scale[c] + shift[c], c counting the output's channels.
  // u8: 4 channels: the bytes, and zero.
  void (*input_f32)(
      const uint8_t *rgb, int width, float *out, ptrdiff_t out_row, const float *scale, const float *shift, int swap,
      int row_begin, int row_end);
  void (*input_bf16)(
      const uint8_t *rgb, int width, uint16_t *out, ptrdiff_t out_row, const float *scale, const float *shift, int swap,
      int row_begin, int row_end);
  void (*input_u8)(
      const uint8_t *rgb, int width, uint8_t *out, ptrdiff_t out_row, int swap, int row_begin, int row_end);

  // The least and the greatest element; +inf and -inf of an empty tensor.
  void (*range_f32)(
      const float *in, ptrdiff_t pixel, ptrdiff_t row, int height, int width, int channels, float *minimum,
      float *maximum);
} imsim_spatial_kernels;

// The elements of packed weights (float, float, int8_t); the packing fills all of them from [kernel * kernel,
// channels].
size_t imsim_spatial_depthwise_size_f32(int kernel, int channels);
size_t imsim_spatial_depthwise_size_bf16(int kernel, int channels);
size_t imsim_spatial_depthwise_size_u8(int kernel, int channels);
void imsim_spatial_pack_depthwise_f32(const float *weights, int kernel, int channels, float *packed);
void imsim_spatial_pack_depthwise_bf16(const float *weights, int kernel, int channels, float *packed);
void imsim_spatial_pack_depthwise_u8(const int8_t *weights, int kernel, int channels, int8_t *packed);

// Sets the `channels` elements of each of the top, left, bottom and right pixels around a tensor to the low
// element_size (1, 2 or 4) bytes of `value`. A pattern of 4 bytes a pixel is one element of size 4, with strides in
// units of 4 bytes.
void imsim_spatial_fill_border(
    void *tensor, size_t element_size, uint32_t value, ptrdiff_t pixel, ptrdiff_t row, int height, int width,
    int channels, int top, int left, int bottom, int right);

// The variant of a level of instruction_set.h; null where this processor lacks it.
const imsim_spatial_kernels *_Nullable imsim_spatial_kernels_for(int level);

// That of imsim_level_current().
const imsim_spatial_kernels *imsim_spatial_kernels_current(void);

#if defined(__clang__)
#pragma clang assume_nonnull end
#endif
