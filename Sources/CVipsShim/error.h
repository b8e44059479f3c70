#pragma once
#include "CVipsShim.h"

// Writes `reason`, cut to the capacity, and returns `status`.
cvips_status cvips_fail(cvips_status status, const char *reason, char *message, size_t capacity);

// Moves what libvips's error buffer holds to `message`. The buffer is one per process: when two threads fail in the same
// instant, one may carry off the reason of the other, never its status.
cvips_status cvips_fail_with_error_buffer(cvips_status status, char *message, size_t capacity);
