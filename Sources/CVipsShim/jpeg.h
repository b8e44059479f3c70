#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "resample.h"

// The short way for the commonest file: a baseline JPEG in colour or grey without a colour profile. libvips would
// give the same pixels, and takes several times as long for a small picture. All that is out of the ordinary is left to it.
typedef struct jpeg_decoder jpeg_decoder;

// Reads up to `wanted` bytes, the next ones of the file; 0 at its end, negative where reading has to stop.
typedef int64_t (*jpeg_reader)(void *context, uint8_t *buffer, int64_t wanted);

// Reads the header. NULL where the file is anything but such a picture.
jpeg_decoder *jpeg_open(jpeg_reader read, void *context);
void jpeg_close(jpeg_decoder *d);

// Sets how far the picture is reduced while it is decoded: 1, 2, 4 or 8. Gives the size that it then has.
void jpeg_set_shrink(jpeg_decoder *d, int shrink, int *width, int *height);

// EXIF, 1 to 8.
int jpeg_orientation(const jpeg_decoder *d);

// Decodes, once, and pushes all rows until `r` is done, or `must_stop`, which is asked now and then, says so. Returns false,
// at any time, where the file is damaged, `read` has stopped, or there is no memory.
bool jpeg_read_rows(jpeg_decoder *d, resampler *r, bool (*must_stop)(void *context), void *context);
