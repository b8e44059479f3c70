#pragma once

#include <stddef.h>

/// The number of photographs that are embedded in the program for its demonstration.
size_t imsim_demo_photo_count(void);

/// The file name of photograph `index`, below the count: words and hyphens, then `.jpg`. Names are in ascending order.
const char *_Nonnull imsim_demo_photo_name(size_t index);

/// The JPEG file of photograph `index`, below the count. `*count` receives its number of bytes, which live as long as
/// the program.
const unsigned char *_Nonnull imsim_demo_photo_bytes(size_t index, size_t *_Nonnull count);
