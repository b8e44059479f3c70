#include "tensor.h"
#include "convolution.h"
#include "instruction_set.h"
#include "targets.h"
#include "tensor_functions.h"

#include <stdlib.h>

enum {
  // Elements that are computed at once: whole vectors of every instruction set.
  BLOCK = 16,
  // Elements that are brought together where they lie apart: a few arrays of them fit the L1 cache.
  STAGE = 16 * BLOCK,
  // Lines that are shorter cost more to begin than to do.
  SHORT_LINE = 8,
};

static inline ptrdiff_t smaller(ptrdiff_t a, ptrdiff_t b) { return a < b ? a : b; }
static inline ptrdiff_t larger(ptrdiff_t a, ptrdiff_t b) { return a > b ? a : b; }

// MARK: Loops

// A place in the leading axes of a loop, of which the last runs fastest: where each operand is there.
typedef struct {
  int is_inside;
  ptrdiff_t index[IMSIM_TENSOR_RANK];
  ptrdiff_t offset[IMSIM_TENSOR_OPERANDS];
} place;

static inline place first_place(const imsim_tensor_loop *loop) {
  place p = {.is_inside = 1};
  for (int d = 0; d < loop->rank; d++) p.is_inside = p.is_inside && loop->shape[d] > 0;
  return p;
}

static inline void next_place(place *p, const imsim_tensor_loop *loop, int axes) {
  for (int d = axes - 1; d >= 0; d--) {
    for (int o = 0; o < IMSIM_TENSOR_OPERANDS; o++) p->offset[o] += loop->strides[o][d];
    if (++p->index[d] < loop->shape[d]) return;
    for (int o = 0; o < IMSIM_TENSOR_OPERANDS; o++) p->offset[o] -= loop->shape[d] * loop->strides[o][d];
    p->index[d] = 0;
  }
  p->is_inside = 0;
}

#define FOR_EACH_PLACE(p, loop, axes) \
  for (place p = first_place(loop); p.is_inside; next_place(&p, loop, axes))

// The last axis of a loop, and how many there are before it.
typedef struct {
  int axes;
  ptrdiff_t count, stride[IMSIM_TENSOR_OPERANDS];
} line;

static inline line last_axis(const imsim_tensor_loop *loop) {
  line l = {.axes = 0, .count = 1};
  if (loop->rank == 0) return l;
  l.axes = loop->rank - 1;
  l.count = loop->shape[l.axes];
  for (int o = 0; o < IMSIM_TENSOR_OPERANDS; o++) l.stride[o] = loop->strides[o][l.axes];
  return l;
}

static void remove_axis(imsim_tensor_loop *loop, int axis) {
  loop->rank--;
  for (int d = axis; d < loop->rank; d++) {
    loop->shape[d] = loop->shape[d + 1];
    for (int o = 0; o < IMSIM_TENSOR_OPERANDS; o++) loop->strides[o][d] = loop->strides[o][d + 1];
  }
}

static void swap(ptrdiff_t *a, ptrdiff_t *b) {
  const ptrdiff_t old = *a;
  *a = *b;
  *b = old;
}

// Exchanges axis d and the one after it.
static void swap_axes(imsim_tensor_loop *loop, int d) {
  swap(&loop->shape[d], &loop->shape[d + 1]);
  for (int o = 0; o < IMSIM_TENSOR_OPERANDS; o++) swap(&loop->strides[o][d], &loop->strides[o][d + 1]);
}

// Whether axis d has shorter strides than the one after it.
static int is_out_of_order(const imsim_tensor_loop *loop, int d) {
  for (int o = 0; o < IMSIM_TENSOR_OPERANDS; o++) {
    const ptrdiff_t here = labs(loop->strides[o][d]), next = labs(loop->strides[o][d + 1]);
    if (here != next) return here < next;
  }
  return 0;
}

void imsim_tensor_coalesce(imsim_tensor_loop *loop) {
  for (int d = loop->rank - 1; d >= 0; d--) {
    if (loop->shape[d] == 1) remove_axis(loop, d);
  }
  for (int end = loop->rank - 1; end > 0; end--) {
    for (int d = 0; d < end; d++) {
      if (is_out_of_order(loop, d)) swap_axes(loop, d);
    }
  }
  for (int d = loop->rank - 2; d >= 0; d--) {
    int is_one_axis = 1;
    for (int o = 0; o < IMSIM_TENSOR_OPERANDS; o++) {
      is_one_axis = is_one_axis && loop->strides[o][d] == loop->shape[d + 1] * loop->strides[o][d + 1];
    }
    if (!is_one_axis) continue;
    loop->shape[d + 1] *= loop->shape[d];
    remove_axis(loop, d);
  }
  // Better long lines with gaps than short ones without.
  int line = loop->rank - 1;
  while (line > 0 && loop->shape[line] < SHORT_LINE) line--;
  if (line < 0 || loop->shape[line] < SHORT_LINE) return;
  for (int d = line; d + 1 < loop->rank; d++) swap_axes(loop, d);
}

// MARK: Stages

// `count` elements one after the other: where they are if they lie so, otherwise in `buffer`.
static inline const float *gather(const float *in, ptrdiff_t stride, ptrdiff_t count, float *buffer) {
  if (stride == 1) return in;
  for (ptrdiff_t i = 0; i < count; i++) buffer[i] = in[i * stride];
  return buffer;
}

// The same in whole blocks, the last filled up with zeros.
static inline const float *gather_blocks(const float *in, ptrdiff_t stride, ptrdiff_t count, float *buffer) {
  if (count % BLOCK == 0) return gather(in, stride, count, buffer);
  memset(buffer + count / BLOCK * BLOCK, 0, BLOCK * sizeof *buffer);
  if (stride != 1) return gather(in, stride, count, buffer);
  return memcpy(buffer, in, (size_t)count * sizeof *in);
}

static inline float *destination(float *out, ptrdiff_t stride, ptrdiff_t count, float *buffer) {
  return stride == 1 && count % BLOCK == 0 ? out : buffer;
}

// Brings results to their destination.
static inline void scatter(const float *results, ptrdiff_t count, float *out, ptrdiff_t stride) {
  if (results == out) return;
  if (stride == 1) {
    memcpy(out, results, (size_t)count * sizeof *out);
  } else {
    for (ptrdiff_t i = 0; i < count; i++) out[i * stride] = results[i];
  }
}

// Of the `count` elements that are left, those that go through the functions of blocks next.
static inline ptrdiff_t stage(ptrdiff_t count, int is_contiguous) {
  if (count < BLOCK) return count;
  return is_contiguous ? count / BLOCK * BLOCK : smaller(count, STAGE);
}

static inline ptrdiff_t block_count(ptrdiff_t count) { return (count + BLOCK - 1) / BLOCK; }

static inline ptrdiff_t quotient_rounded_up(ptrdiff_t a, ptrdiff_t b) { return b == 1 ? a : (a + b - 1) / b; }

#define START(name, start, next) [IMSIM_REDUCTION_##name] = start,
static const float reduction_of_nothing[IMSIM_REDUCTION_COUNT] = {FOR_EACH_REDUCTION(START)};
#undef START

// The function that makes one result of two results.
static inline imsim_reduction merging(imsim_reduction f) {
  switch (f) {
    case IMSIM_REDUCTION_SUM_OF_SQUARES:
    case IMSIM_REDUCTION_SUM_OF_ABS:
    case IMSIM_REDUCTION_SUM_OF_EXP: return IMSIM_REDUCTION_SUM;
    default: return f;
  }
}

// MARK: Instruction sets

#define VARIANT(name) name##_portable
#include "tensor_variant.inc"
#undef VARIANT

#if defined(__x86_64__)
#pragma clang attribute push(__attribute__((target(IMSIM_TARGET_AVX2))), apply_to = function)
#define VARIANT(name) name##_avx2
#include "tensor_variant.inc"
#undef VARIANT
#pragma clang attribute pop

#pragma clang attribute push(__attribute__((target(IMSIM_TARGET_AVX512))), apply_to = function)
#define VARIANT(name) name##_avx512
#include "tensor_variant.inc"
#undef VARIANT
#pragma clang attribute pop
#endif

static const imsim_tensor_kernels *const tensor_levels[IMSIM_LEVEL_COUNT] = {
    [IMSIM_LEVEL_PORTABLE] = &kernels_portable,
#if defined(__x86_64__)
    [IMSIM_LEVEL_AVX2] = &kernels_avx2,
    [IMSIM_LEVEL_AVX512] = &kernels_avx512,
    [IMSIM_LEVEL_AVX512VNNI] = &kernels_avx512,
    [IMSIM_LEVEL_AVX512BF16] = &kernels_avx512,
#endif
};

const imsim_tensor_kernels *imsim_tensor_kernels_for(int level) {
  return imsim_level_is_supported(level) ? tensor_levels[level] : NULL;
}

const imsim_tensor_kernels *imsim_tensor_kernels_current(void) { return tensor_levels[imsim_level_current()]; }

void imsim_tensor_fill(const imsim_tensor_loop *loop, float value, float *out) {
  imsim_tensor_kernels_current()->fill(loop, value, out);
}

void imsim_tensor_copy(const imsim_tensor_loop *loop, const float *in, float *out) {
  imsim_tensor_kernels_current()->copy(loop, in, out);
}

void imsim_tensor_unary(
    imsim_unary f, float alpha, float beta, const imsim_tensor_loop *loop, const float *in, float *out) {
  imsim_tensor_kernels_current()->unary(f, alpha, beta, loop, in, out);
}

void imsim_tensor_binary(
    imsim_binary f, const imsim_tensor_loop *loop, const float *a, const float *b, float *out) {
  imsim_tensor_kernels_current()->binary(f, loop, a, b, out);
}

void imsim_tensor_reduce(
    imsim_reduction f, const imsim_tensor_loop *loop, const imsim_tensor_loop *inner, const float *in, float *out) {
  imsim_tensor_kernels_current()->reduce(f, loop, inner, in, out);
}

void imsim_tensor_softmax(
    int log, const imsim_tensor_loop *loop, ptrdiff_t count, ptrdiff_t in_stride, ptrdiff_t out_stride, const float *in,
    float *out) {
  imsim_tensor_kernels_current()->softmax(log, loop, count, in_stride, out_stride, in, out);
}

void imsim_tensor_layer_norm(
    const imsim_tensor_loop *loop, ptrdiff_t count, ptrdiff_t in_stride, ptrdiff_t out_stride, float epsilon,
    const float *scale, const float *bias, const float *in, float *out) {
  imsim_tensor_kernels_current()->layer_norm(loop, count, in_stride, out_stride, epsilon, scale, bias, in, out);
}

void imsim_tensor_resample(
    const imsim_tensor_loop *loop, ptrdiff_t out_count, ptrdiff_t in_stride, ptrdiff_t out_stride, int taps,
    const int32_t *indices, const float *weights, const float *in, float *out) {
  imsim_tensor_kernels_current()->resample(loop, out_count, in_stride, out_stride, taps, indices, weights, in, out);
}

void imsim_tensor_pool(
    const imsim_tensor_loop *loop, const imsim_tensor_pool_window *window, const float *in, float *out) {
  imsim_tensor_kernels_current()->pool(loop, window, in, out);
}

void imsim_tensor_lrn(
    const imsim_tensor_loop *loop, ptrdiff_t channels, ptrdiff_t in_stride, ptrdiff_t out_stride, int size, float alpha,
    float beta, float bias, const float *in, float *out) {
  imsim_tensor_kernels_current()->lrn(loop, channels, in_stride, out_stride, size, alpha, beta, bias, in, out);
}

// MARK: Panels

void imsim_tensor_pack_matrix(
    int lanes, const float *b, ptrdiff_t k_stride, ptrdiff_t n_stride, ptrdiff_t k, ptrdiff_t n, void *packed) {
  float *panel = packed;
  for (ptrdiff_t first = 0; first < n;) {
    const ptrdiff_t width = n - first > lanes ? 2 * lanes : lanes, count = smaller(width, n - first);
    const imsim_tensor_loop columns = {
        .rank = 2, .shape = {k, count}, .strides = {{width, 1}, {k_stride, n_stride}}};
    imsim_tensor_copy(&columns, b + first * n_stride, panel);
    const imsim_tensor_loop spare = {.rank = 2, .shape = {k, width - count}, .strides = {{width, 1}}};
    imsim_tensor_fill(&spare, 0, panel + count);
    first += width;
    panel += k * width;
  }
}
