#include "error.h"

#include <glib.h>
#include <vips/vips.h>

cvips_status cvips_fail(cvips_status status, const char *reason, char *message, size_t capacity) {
  g_strlcpy(message, reason, capacity);
  return status;
}

cvips_status cvips_fail_with_error_buffer(cvips_status status, char *message, size_t capacity) {
  char *reason = vips_error_buffer_copy();  // and clear, in one step
  g_strlcpy(message, reason ? reason : "", capacity);
  g_free(reason);
  return status;
}
