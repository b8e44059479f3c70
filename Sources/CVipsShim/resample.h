#pragma once
#include "CVipsShim.h"

// A streaming separable resampler for 8-bit samples: rows go in from the top, finished rows appear in `out`.
//
// Bicubic (Keys, a = -0.5, support 2), widened by the scale factor when it reduces, so that every sample counts; at the
// edges the kernel is cut off and normalised. Horizontal before vertical, each rounded to 8 bits, with 22-bit weights: the
// arithmetic of Pillow's `resize(BICUBIC)`, to the bit.
typedef struct resampler resampler;

// NULL where there is no memory. `out` has `y.count` rows of `x.count * bands` bytes, each `out_row` bytes after the one
// above. `level` is below CVIPS_RESAMPLING_LEVELS, and one that this machine can run.
resampler *resampler_new(cvips_axis x, cvips_axis y, int bands, uint8_t *out, size_t out_row, int level);

// Where the next row belongs, `x.size * bands` bytes.
uint8_t *resampler_row(resampler *r);

// Takes that row.
void resampler_push(resampler *r);

// Whether every row of `out` is written.
bool resampler_is_done(const resampler *r);

void resampler_free(resampler *r);
