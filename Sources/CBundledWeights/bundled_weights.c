#include "CBundledWeights.h"

#include <stdalign.h>

// The package is C11; `#embed` is C23, which clang offers to older standards as an extension.
#pragma clang diagnostic ignored "-Wc23-extensions"

// Aligned to a cache line: the file's tensors begin at a multiple of 64 bytes.
alignas(64) static const unsigned char efficientnet_lite0[] = {
#embed "efficientnet-lite0.safetensors"
};

const unsigned char *imsim_bundled_efficientnet_lite0(size_t *count) {
  *count = sizeof efficientnet_lite0;
  return efficientnet_lite0;
}

static const unsigned char efficientnet_lite0_calibration[] = {
#embed "efficientnet-lite0.calibration.json"
};

const unsigned char *imsim_bundled_efficientnet_lite0_calibration(size_t *count) {
  *count = sizeof efficientnet_lite0_calibration;
  return efficientnet_lite0_calibration;
}
