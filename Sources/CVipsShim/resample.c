#include "resample.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum {
  // Weights are fixed point; 22 bits leave room for a sum of 8-bit samples whose weights add up to at most 2 in magnitude.
  precision = 22,
  // Input rows that are resampled horizontally at a time.
  strip_rows = 4,
  // The widest vector, in bytes.
  vector_size = 64,
  // `weights` and `lines` are filled up to a multiple of it.
  tap_unit = 4,
};

// Output sample i of an axis is the sum over k of weights[i * stride + k] * input[first[i] + k], 0 <= k < length[i].
// Neither `first` nor `first + length` ever decreases. Weights beyond `length` are zero.
typedef struct {
  int *first, *length;
  int32_t *weights;
  size_t stride;
  // The same weights in the order in which a level multiplies them, `[block][group][part][sample]`: a block being as many
  // output samples as it computes at a time, a group as many taps as one product takes, whose weights are one number for
  // each part that it splits them into. NULL where a level has no such order.
  uint32_t *packed;
  size_t groups;  // of a block
} taps;

// What an instruction set can do. All come to the same bits: sums wrap around in between.
typedef struct {
  const char *name;
  int block, group, parts;  // of `packed`; 0 where there is none
  // Writes the numbers of one group, `block` apart.
  void (*pack)(const int32_t *weights, uint32_t *packed);
  // Resamples `strip_rows` rows of pixels. Reads some bytes beyond each input row, and writes up to `vector_size` beyond each
  // output row.
  void (*horizontal)(
      const taps *t, int count, int bands, const uint8_t *in, size_t in_row, uint8_t *out, size_t out_row);
  // Computes `width` bytes of output row `i` from its input rows, whose bytes may be read up to a multiple of `vector_size`.
  void (*vertical)(const taps *t, int i, const uint8_t *const *lines, size_t width, uint8_t *out);
} kernels;

static inline uint8_t round_and_clip(int32_t sum) {
  sum >>= precision;
  return sum < 0 ? 0 : sum > 255 ? 255 : (uint8_t)sum;
}

typedef uint8_t bytes4 __attribute__((ext_vector_type(4)));
typedef int32_t sums4 __attribute__((ext_vector_type(4)));

// A pixel is computed in four lanes, whatever its bands: one load, one product and one sum a tap.
static inline __attribute__((always_inline)) void resample_bands(
    const taps *t, int count, const int bands, const uint8_t *in, size_t in_row, uint8_t *out, size_t out_row) {
  for (int row = 0; row < strip_rows; row++, in += in_row, out += out_row) {
    for (int i = 0; i < count; i++) {
      const int32_t *weights = t->weights + (size_t)i * t->stride;
      const uint8_t *from = in + (size_t)t->first[i] * (size_t)bands;
      sums4 sum = 1 << (precision - 1);
      for (int k = 0; k < t->length[i]; k++) {
        bytes4 pixel;
        memcpy(&pixel, from + k * bands, sizeof pixel);
        sum += weights[k] * __builtin_convertvector(pixel, sums4);
      }
      for (int b = 0; b < bands; b++) out[i * bands + b] = round_and_clip(sum[b]);
    }
  }
}

static inline __attribute__((always_inline)) void resample_any(
    const taps *t, int count, int bands, const uint8_t *in, size_t in_row, uint8_t *out, size_t out_row) {
  switch (bands) {
    case 1: resample_bands(t, count, 1, in, in_row, out, out_row); break;
    case 3: resample_bands(t, count, 3, in, in_row, out, out_row); break;
    default: resample_bands(t, count, 4, in, in_row, out, out_row); break;
  }
}

static void horizontal_portable(
    const taps *t, int count, int bands, const uint8_t *in, size_t in_row, uint8_t *out, size_t out_row) {
  resample_any(t, count, bands, in, in_row, out, out_row);
}

static void vertical_portable(const taps *t, int i, const uint8_t *const *lines, size_t width, uint8_t *out) {
  const int32_t *weights = t->weights + (size_t)i * t->stride;
  for (size_t begin = 0; begin < width; begin += vector_size) {
    int32_t sums[vector_size];
    for (int j = 0; j < vector_size; j++) sums[j] = 1 << (precision - 1);
    for (int k = 0; k < t->length[i]; k++) {
      for (int j = 0; j < vector_size; j++) sums[j] += weights[k] * lines[k][begin + (size_t)j];
    }
    for (size_t j = 0; j < vector_size && begin + j < width; j++) out[begin + j] = round_and_clip(sums[j]);
  }
}

#if defined(__x86_64__)
#include "resample_avx2.inc"
#include "resample_avx512.inc"
#endif

static const kernels levels[CVIPS_RESAMPLING_LEVELS] = {
    {.name = "portable", .horizontal = horizontal_portable, .vertical = vertical_portable},
#if defined(__x86_64__)
    {"avx2", 2, 2, 2, pack_avx2, horizontal_avx2, vertical_avx2},
    {"avx512", 4, 4, 3, pack_avx512, horizontal_avx512, vertical_avx512},
#endif
};

bool cvips_resampling_runs(int level) {
  switch (level) {
    case 0: return true;
#if defined(__x86_64__)
    case 1: return __builtin_cpu_supports("avx2");
    case 2:
      return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
             __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni");
#endif
    default: return false;
  }
}

int cvips_resampling_level(void) {
  // Every thread computes the same answer, so a race stores it twice and harms nothing.
  static _Atomic int chosen = -1;
  if (chosen >= 0) return chosen;
  const char *limit = getenv("IMSIM_ISA");
  int best = 0;
  for (int level = 0; level < CVIPS_RESAMPLING_LEVELS; level++) {
    if (cvips_resampling_runs(level)) best = level;
    if (limit && levels[level].name && strcmp(limit, levels[level].name) == 0) break;
  }
  return chosen = best;
}

static double bicubic(double x) {
  x = fabs(x);
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
  if (x < 2) return ((-0.5 * x + 2.5) * x - 4) * x + 2;
  return 0;
}

static size_t round_up(size_t x, size_t unit) { return (x + unit - 1) / unit * unit; }

static void taps_free(taps *t) {
  free(t->first);
  free(t->length);
  free(t->weights);
  free(t->packed);
}

static bool taps_init(taps *t, cvips_axis axis) {
  double scale = (double)axis.size / (double)axis.scaled;
  double width = scale > 1 ? scale : 1;
  double support = 2 * width;
  t->stride = (size_t)ceil(support) * 2 + 1;
  if (t->stride > (size_t)axis.size) t->stride = (size_t)axis.size;
  t->stride = round_up(t->stride, tap_unit);
  size_t count = (size_t)axis.count;
  t->first = calloc(count, sizeof *t->first);
  t->length = calloc(count, sizeof *t->length);
  t->weights = calloc(count * t->stride, sizeof *t->weights);
  double *exact = calloc(t->stride, sizeof *exact);
  if (!t->first || !t->length || !t->weights || !exact) {
    free(exact);
    return false;
  }
  for (size_t i = 0; i < count; i++) {
    double center = ((double)axis.offset + (double)i + 0.5) * scale;
    double low = center - support + 0.5, high = center + support + 0.5;
    int first = low > 0 ? (int)low : 0;
    int end = high < (double)axis.size ? (int)high : (int)axis.size;
    int length = end - first;
    if (axis.size == axis.scaled) {  // what the kernel comes to there, without the products with zero
      first = (int)axis.offset + (int)i;
      length = 1;
    }
    double sum = 0;
    for (int k = 0; k < length; k++) {
      exact[k] = bicubic((first + k - center + 0.5) / width);
      sum += exact[k];
    }
    int32_t *weights = t->weights + i * t->stride;
    for (int k = 0; k < length; k++) {
      double weight = exact[k] / sum * (1 << precision);
      weights[k] = (int32_t)(weight + (weight < 0 ? -0.5 : 0.5));
    }
    t->first[i] = first;
    t->length[i] = length;
  }
  free(exact);
  return true;
}

// False where there is no memory.
static bool taps_pack(taps *t, size_t count, const kernels *k) {
  size_t block = (size_t)k->block, group = (size_t)k->group, parts = (size_t)k->parts;
  if (block == 0) return true;
  t->groups = t->stride / group;
  t->packed = calloc(round_up(count, block) * t->groups * parts, sizeof *t->packed);
  if (!t->packed) return false;
  for (size_t i = 0; i < count; i++) {
    const int32_t *weights = t->weights + i * t->stride;
    uint32_t *packed = t->packed + i / block * t->groups * parts * block + i % block;
    for (size_t g = 0; g < t->groups; g++) k->pack(weights + g * group, packed + g * parts * block);
  }
  return true;
}

static int longest(const taps *t, int count) {
  int longest = 0;
  for (int i = 0; i < count; i++) longest = t->length[i] > longest ? t->length[i] : longest;
  return longest;
}

struct resampler {
  const kernels *kernels;
  taps x, y;
  int columns, rows, bands;
  int next_in, next_out;  // rows taken, rows written
  // Of the input, from row y.first[0] on, which is the first that counts: the strip that is being filled ...
  uint8_t *strip;
  size_t strip_row;
  int strip_count;
  // ... and, in slot n % ring_rows, the last rows n, resampled horizontally.
  uint8_t *ring;
  size_t ring_row;
  int ring_rows;
  const uint8_t **lines;  // those of one output row
  uint8_t *out;
  size_t out_row;
};

void resampler_free(resampler *r) {
  if (!r) return;
  taps_free(&r->x);
  taps_free(&r->y);
  free(r->strip);
  free(r->ring);
  free(r->lines);
  free(r);
}

resampler *resampler_new(cvips_axis x, cvips_axis y, int bands, uint8_t *out, size_t out_row, int level) {
  resampler *r = calloc(1, sizeof *r);
  if (!r) return NULL;
  r->kernels = &levels[level];
  r->columns = (int)x.count;
  r->rows = (int)y.count;
  r->bands = bands;
  r->out = out;
  r->out_row = out_row;
  if (!taps_init(&r->x, x) || !taps_init(&r->y, y) || !taps_pack(&r->x, (size_t)x.count, r->kernels) ||
      !taps_pack(&r->y, (size_t)y.count, r->kernels)) {
    resampler_free(r);
    return NULL;
  }
  // An output sample may be computed with as many taps as its neighbour needs.
  r->strip_row = ((size_t)x.size + r->x.stride) * (size_t)bands + vector_size;
  r->strip = calloc(strip_rows, r->strip_row);
  // A strip comes to what the next output row still needs.
  r->ring_rows = (int)round_up((size_t)longest(&r->y, r->rows) + strip_rows - 1, strip_rows);
  r->ring_row = round_up((size_t)x.count * (size_t)bands + vector_size, vector_size);
  r->ring = calloc((size_t)r->ring_rows, r->ring_row);
  r->lines = calloc(r->y.stride, sizeof *r->lines);
  if (!r->strip || !r->ring || !r->lines) {
    resampler_free(r);
    return NULL;
  }
  return r;
}

// Input row `y`, resampled horizontally.
static uint8_t *ring_slot(const resampler *r, int y) {
  return r->ring + (size_t)((y - r->y.first[0]) % r->ring_rows) * r->ring_row;
}

static void write_row(resampler *r) {
  int i = r->next_out++, length = r->y.length[i];
  for (size_t k = 0; k < round_up((size_t)length, tap_unit); k++) {
    r->lines[k] = ring_slot(r, r->y.first[i] + ((int)k < length ? (int)k : 0));
  }
  size_t width = (size_t)r->columns * (size_t)r->bands;
  r->kernels->vertical(&r->y, i, r->lines, width, r->out + (size_t)i * r->out_row);
}

uint8_t *resampler_row(resampler *r) { return r->strip + (size_t)r->strip_count * r->strip_row; }

void resampler_push(resampler *r) {
  int y = r->next_in++;
  if (y < r->y.first[0] || resampler_is_done(r)) return;
  r->strip_count++;
  bool is_last = y + 1 == r->y.first[r->rows - 1] + r->y.length[r->rows - 1];
  if (r->strip_count < strip_rows && !is_last) return;
  uint8_t *slot = ring_slot(r, y + 1 - r->strip_count);
  r->kernels->horizontal(&r->x, r->columns, r->bands, r->strip, r->strip_row, slot, r->ring_row);
  r->strip_count = 0;
  while (r->next_out < r->rows && r->y.first[r->next_out] + r->y.length[r->next_out] <= y + 1) write_row(r);
}

bool resampler_is_done(const resampler *r) { return r->next_out == r->rows; }

cvips_status cvips_resample(
    const uint8_t *pixels, int bands, cvips_axis x, cvips_axis y, uint8_t *out, int64_t row_bytes, int level) {
  resampler *r = resampler_new(x, y, bands, out, (size_t)row_bytes, level);
  if (!r) return CVIPS_MEMORY;
  size_t row = (size_t)x.size * (size_t)bands;
  for (int64_t i = 0; i < y.size && !resampler_is_done(r); i++) {
    memcpy(resampler_row(r), pixels + (size_t)i * row, row);
    resampler_push(r);
  }
  resampler_free(r);
  return CVIPS_OK;
}
