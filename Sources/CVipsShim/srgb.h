#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <vips/vips.h>

// Colour: anything that libvips loads becomes 8-bit sRGB.

// Whether the samples already are 8-bit sRGB without a profile.
bool srgb_is_rgb(VipsImage *image);

// Whether the samples are 8 bits and opaque, so that they may be averaged as they are.
bool srgb_is_plain(VipsImage *image);

// `pixels` as an image with the colour space and the profile of `model`. The memory stays the caller's.
int srgb_wrap(const uint8_t *pixels, int width, int height, VipsImage *model, VipsImage **out);

// 3 bands of 8-bit sRGB: the profile applied, transparency over `background`, 3 bytes.
int srgb_convert(VipsImage *image, const uint8_t *background, VipsImage **out);
