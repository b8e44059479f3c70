#pragma once

#include <stddef.h>

/// The convolutional part of EfficientNet-Lite0 as a safetensors file in the program's read-only data.
///
/// The bytes live as long as the program and begin at a multiple of 64. `*count` receives their number.
const unsigned char *_Nonnull imsim_bundled_efficientnet_lite0(size_t *_Nonnull count);

/// The ranges of its activations as a calibration file (JSON), in the program's read-only data.
const unsigned char *_Nonnull imsim_bundled_efficientnet_lite0_calibration(size_t *_Nonnull count);
