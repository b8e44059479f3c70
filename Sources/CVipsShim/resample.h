#pragma once
#include "CVipsShim.h"

// A streaming separable resampler for 8-bit samples: rows go in from the top, finished rows appear in `out`.
//
// Bicubic (Keys, a = -0.5, support 2), widened by the scale factor when it reduces, so that every sample counts; at the
// edges the kernel is cut off and normalised. Horizontal before vertical, each rounded to 8 bits, with 22-bit weights: the
// arithmetic of Pillow's `resize(BICUBIC)`, to the bit.
typedef struct resampler resampler;

// NULL where there is no memory. `out` has `y.count * x.count * bands` bytes.
resampler *resampler_new(cvips_axis x, cvips_axis y, int bands, uint8_t *out);

// Takes the next row, `x.size * bands` bytes.
void resampler_push(resampler *r, const uint8_t *row);

// Whether every row of `out` is written.
bool resampler_is_done(const resampler *r);

void resampler_free(resampler *r);
