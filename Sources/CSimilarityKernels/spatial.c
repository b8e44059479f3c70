#include "spatial.h"
#include "instruction_set.h"
#include "targets.h"

#include <math.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

// Packed weights come in blocks of 16 (fp32) or 32 channels, the last filled up with zeros:
//   fp32 [block][tap][channel]
//   bf16 [block][tap][piece][lane]: piece 0 the even channels, piece 1 the odd ones
//   u8   [block][group][kx][piece][lane][4], a group being four rows of the kernel, filled up with zeros: piece 0 the
//        first four of every eight channels, piece 1 the others

static inline size_t packed_index_f32(int kernel, int ky, int kx, int c) {
  const size_t taps = (size_t)kernel * (size_t)kernel, tap = (size_t)(ky * kernel + kx), channel = (size_t)c;
  return (channel / 16 * taps + tap) * 16 + channel % 16;
}

static inline size_t packed_index_bf16(int kernel, int ky, int kx, int c) {
  const size_t taps = (size_t)kernel * (size_t)kernel, tap = (size_t)(ky * kernel + kx), channel = (size_t)c;
  return (channel / 32 * taps + tap) * 32 + channel % 2 * 16 + channel % 32 / 2;
}

static inline size_t packed_index_u8(int kernel, int ky, int kx, int c) {
  const size_t k = (size_t)kernel, y = (size_t)ky, channel = (size_t)c;
  const size_t column = (channel / 32 * ((k + 3) / 4) + y / 4) * k + (size_t)kx;
  const size_t piece = channel % 8 / 4, lane = channel % 32 / 8 * 4 + channel % 4;
  return ((column * 2 + piece) * 16 + lane) * 4 + y % 4;
}

// Offset of the first tap of a window.
static inline ptrdiff_t first_tap(const imsim_spatial_window *w, int oy, int ox) {
  return (ptrdiff_t)(oy * w->stride - w->pad_top) * w->in_row + (ptrdiff_t)(ox * w->stride - w->pad_left) * w->in_pixel;
}

// The taps of a window that lie inside the input: [first, last) in each direction.
typedef struct {
  int y_first, y_last, x_first, x_last;
} taps;

static inline taps taps_inside(const imsim_spatial_window *w, int oy, int ox) {
  const int y0 = oy * w->stride - w->pad_top, x0 = ox * w->stride - w->pad_left;
  return (taps){
      .y_first = y0 < 0 ? -y0 : 0,
      .y_last = y0 + w->kernel > w->in_height ? w->in_height - y0 : w->kernel,
      .x_first = x0 < 0 ? -x0 : 0,
      .x_last = x0 + w->kernel > w->in_width ? w->in_width - x0 : w->kernel,
  };
}

static inline float clamp(float x, float low, float high) {
  x = x > low ? x : low;
  return x < high ? x : high;
}

static inline float from_bf16(uint16_t x) {
  const uint32_t bits = (uint32_t)x << 16;
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

// Rounds to nearest even. NaN does not occur.
static inline uint16_t to_bf16(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

#define VARIANT(name) name##_portable
#include "spatial_variant.inc"
#undef VARIANT

static void depthwise_f32_portable(
    const imsim_spatial_depthwise *layer, const float *in, float *out, int row_begin, int row_end) {
  depthwise_f32_any_portable(layer, in, out, row_begin, row_end, 0);
}

static void depthwise_bf16_portable(
    const imsim_spatial_depthwise *layer, const uint16_t *in, uint16_t *out, int row_begin, int row_end) {
  depthwise_bf16_any_portable(layer, in, out, row_begin, row_end, 0);
}

static void depthwise_u8_portable(
    const imsim_spatial_depthwise *layer, const uint8_t *in, uint8_t *out, int row_begin, int row_end) {
  depthwise_u8_any_portable(layer, in, out, row_begin, row_end, 0);
}

static const imsim_spatial_kernels spatial_kernels_portable = {
    .depthwise_f32 = depthwise_f32_portable,
    .depthwise_bf16 = depthwise_bf16_portable,
    .depthwise_u8 = depthwise_u8_portable,
    .max_pool_f32 = max_pool_f32_any_portable,
    .max_pool_bf16 = max_pool_bf16_any_portable,
    .max_pool_u8 = max_pool_u8_any_portable,
    .global_average_f32 = global_average_f32_portable,
    .global_average_bf16 = global_average_bf16_portable,
    .global_average_u8 = global_average_u8_portable,
    .input_f32 = input_f32_portable,
    .input_bf16 = input_bf16_portable,
    .input_u8 = input_u8_portable,
    .range_f32 = range_f32_portable,
};

#if defined(__x86_64__)

// The number of outputs, at most `widest`, to take together in a row: a tile costs about two outputs more than it has.
static inline int best_tile(int width, int widest) {
  static const int sizes[] = {14, 7, 4, 1};
  int best = 1, least = INT32_MAX;
  for (int i = 0; i < 4; i++) {
    if (sizes[i] > widest || sizes[i] > width) continue;
    const int cost = (width + sizes[i] - 1) / sizes[i] * (sizes[i] + 2);
    if (cost < least) best = sizes[i], least = cost;
  }
  return best;
}

// A coordinate, or the nearest one in 0..<size.
static inline ptrdiff_t inside(int x, int size) {
  x = x < size ? x : size - 1;
  return x > 0 ? x : 0;
}

// Kernel rows in pairs: 0 and 2, 1 and 3, 4 and 6, ... The number of pairs that have a first row, and the g-th pair's.
static inline int row_pairs(int kernel) { return kernel / 4 * 2 + (kernel % 4 < 2 ? kernel % 4 : 2); }
static inline int row_pair(int g) { return g / 2 * 4 + g % 2; }

#pragma clang attribute push(__attribute__((target(IMSIM_TARGET_AVX2))), apply_to = function)
#define VARIANT(name) name##_avx2
#include "spatial_variant.inc"
#undef VARIANT
#include "spatial_avx2.inc"
#pragma clang attribute pop

static const imsim_spatial_kernels spatial_kernels_avx2 = {
    .depthwise_f32 = depthwise_f32_avx2,
    .depthwise_bf16 = depthwise_bf16_avx2,
    .depthwise_u8 = depthwise_u8_avx2,
    .max_pool_f32 = max_pool_f32_avx2,
    .max_pool_bf16 = max_pool_bf16_avx2,
    .max_pool_u8 = max_pool_u8_avx2,
    .global_average_f32 = global_average_f32_avx2,
    .global_average_bf16 = global_average_bf16_avx2,
    .global_average_u8 = global_average_u8_avx2,
    .input_f32 = input_f32_avx2,
    .input_bf16 = input_bf16_avx2,
    .input_u8 = input_u8_avx2,
    .range_f32 = range_f32_avx2,
};

#pragma clang attribute push(__attribute__((target(IMSIM_TARGET_AVX512))), apply_to = function)
#define VARIANT(name) name##_avx512
#include "spatial_variant.inc"
#undef VARIANT
#include "spatial_avx512.inc"
#pragma clang attribute pop

#define AVX512_TABLE                                                                                                  \
  .depthwise_f32 = depthwise_f32_avx512, .max_pool_f32 = max_pool_f32_avx512,                                    \
  .max_pool_bf16 = max_pool_bf16_avx512, .max_pool_u8 = max_pool_u8_avx512,                                 \
  .global_average_f32 = global_average_f32_avx512, .global_average_bf16 = global_average_bf16_avx512,                 \
  .global_average_u8 = global_average_u8_avx512, .input_f32 = input_f32_avx512, .input_bf16 = input_bf16_avx512,      \
  .input_u8 = input_u8_avx512, .range_f32 = range_f32_avx512

static const imsim_spatial_kernels spatial_kernels_avx512 = {
    AVX512_TABLE,
    .depthwise_bf16 = depthwise_bf16_avx512,
    .depthwise_u8 = depthwise_u8_avx512,
};

#pragma clang attribute push(__attribute__((target(IMSIM_TARGET_AVX512VNNI))), apply_to = function)
#include "spatial_avx512vnni.inc"
#pragma clang attribute pop

static const imsim_spatial_kernels spatial_kernels_avx512vnni = {
    AVX512_TABLE,
    .depthwise_bf16 = depthwise_bf16_avx512,
    .depthwise_u8 = depthwise_u8_avx512vnni,
};

#pragma clang attribute push(__attribute__((target(IMSIM_TARGET_AVX512BF16))), apply_to = function)
#include "spatial_avx512bf16.inc"
#pragma clang attribute pop

static const imsim_spatial_kernels spatial_kernels_avx512bf16 = {
    AVX512_TABLE,
    .depthwise_bf16 = depthwise_bf16_avx512bf16,
    .depthwise_u8 = depthwise_u8_avx512bf16,
};

#endif

size_t imsim_spatial_depthwise_size_f32(int kernel, int channels) {
  return packed_index_f32(kernel, 0, 0, (channels + 15) / 16 * 16);
}

size_t imsim_spatial_depthwise_size_bf16(int kernel, int channels) {
  return packed_index_bf16(kernel, 0, 0, (channels + 31) / 32 * 32);
}

size_t imsim_spatial_depthwise_size_u8(int kernel, int channels) {
  return packed_index_u8(kernel, 0, 0, (channels + 31) / 32 * 32);
}

void imsim_spatial_pack_depthwise_f32(const float *weights, int kernel, int channels, float *packed) {
  memset(packed, 0, imsim_spatial_depthwise_size_f32(kernel, channels) * sizeof *packed);
  for (int ky = 0; ky < kernel; ky++) {
    for (int kx = 0; kx < kernel; kx++) {
      for (int c = 0; c < channels; c++) packed[packed_index_f32(kernel, ky, kx, c)] = *weights++;
    }
  }
}

void imsim_spatial_pack_depthwise_bf16(const float *weights, int kernel, int channels, float *packed) {
  memset(packed, 0, imsim_spatial_depthwise_size_bf16(kernel, channels) * sizeof *packed);
  for (int ky = 0; ky < kernel; ky++) {
    for (int kx = 0; kx < kernel; kx++) {
      for (int c = 0; c < channels; c++) packed[packed_index_bf16(kernel, ky, kx, c)] = *weights++;
    }
  }
}

void imsim_spatial_pack_depthwise_u8(const int8_t *weights, int kernel, int channels, int8_t *packed) {
  memset(packed, 0, imsim_spatial_depthwise_size_u8(kernel, channels) * sizeof *packed);
  for (int ky = 0; ky < kernel; ky++) {
    for (int kx = 0; kx < kernel; kx++) {
      for (int c = 0; c < channels; c++) packed[packed_index_u8(kernel, ky, kx, c)] = *weights++;
    }
  }
}

// `pixels` pixels in one row, from `tensor` on.
static void fill_pixels(
    unsigned char *tensor, size_t element_size, uint32_t value, ptrdiff_t pixel, int channels, int pixels) {
  // Elements whose bytes are all the same, as those of zero are, need no pattern.
  const unsigned char low = (unsigned char)value;
  const uint32_t mask = 0xffffffffu >> (32 - 8 * element_size);
  const int uniform = ((value ^ low * 0x01010101u) & mask) == 0;
  const size_t bytes = element_size * (size_t)channels;
  if (uniform && pixel == channels) {
    if (pixels > 0) memset(tensor, low, bytes * (size_t)pixels);
    return;
  }
  for (int p = 0; p < pixels; p++, tensor += pixel * (ptrdiff_t)element_size) {
    if (uniform) {
      memset(tensor, low, bytes);
    } else {
      for (size_t i = 0; i < bytes; i += element_size) memcpy(tensor + i, &value, element_size);
    }
  }
}

void imsim_spatial_fill_border(
    void *tensor, size_t element_size, uint32_t value, ptrdiff_t pixel, ptrdiff_t row, int height, int width,
    int channels, int top, int left, int bottom, int right) {
  const ptrdiff_t row_bytes = row * (ptrdiff_t)element_size, pixel_bytes = pixel * (ptrdiff_t)element_size;
  for (int y = -top; y < height + bottom; y++) {
    unsigned char *first = (unsigned char *)tensor + y * row_bytes;
    if (y < 0 || y >= height) {
      fill_pixels(first - left * pixel_bytes, element_size, value, pixel, channels, left + width + right);
    } else {
      fill_pixels(first - left * pixel_bytes, element_size, value, pixel, channels, left);
      fill_pixels(first + width * pixel_bytes, element_size, value, pixel, channels, right);
    }
  }
}

static const imsim_spatial_kernels *const spatial_levels[IMSIM_LEVEL_COUNT] = {
    [IMSIM_LEVEL_PORTABLE] = &spatial_kernels_portable,
#if defined(__x86_64__)
    [IMSIM_LEVEL_AVX2] = &spatial_kernels_avx2,
    [IMSIM_LEVEL_AVX512] = &spatial_kernels_avx512,
    [IMSIM_LEVEL_AVX512VNNI] = &spatial_kernels_avx512vnni,
    [IMSIM_LEVEL_AVX512BF16] = &spatial_kernels_avx512bf16,
#endif
};

const imsim_spatial_kernels *imsim_spatial_kernels_for(int level) {
  return imsim_level_is_supported(level) ? spatial_levels[level] : NULL;
}

const imsim_spatial_kernels *imsim_spatial_kernels_current(void) { return spatial_levels[imsim_level_current()]; }
