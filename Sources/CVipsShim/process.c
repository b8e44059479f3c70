#include <vips/vips.h>

#include "error.h"

static void ignore_log(const gchar *domain, GLogLevelFlags level, const gchar *text, gpointer data) {
  (void)domain, (void)level, (void)text, (void)data;
}

cvips_status cvips_initialize(char *message, size_t capacity) {
  g_log_set_handler(
      "VIPS", G_LOG_LEVEL_WARNING | G_LOG_LEVEL_MESSAGE | G_LOG_LEVEL_INFO | G_LOG_LEVEL_DEBUG, ignore_log, NULL);
  if (vips_init("ImageSimilarityVips")) return cvips_fail_with_error_buffer(CVIPS_UNSUPPORTED, message, capacity);
  return CVIPS_OK;
}

void cvips_configure(int concurrency, bool caches_operations, bool blocks_untrusted, bool reports_leaks) {
  vips_concurrency_set(concurrency);
  vips_cache_set_max(caches_operations ? 100 : 0);
  vips_cache_set_max_mem(caches_operations ? 100 << 20 : 0);
  vips_cache_set_max_files(caches_operations ? 100 : 0);
  vips_block_untrusted_set(blocks_untrusted);
  vips_leak_set(reports_leaks);
}

const char *cvips_version(void) { return vips_version_string(); }

void cvips_free(void *memory) { g_free(memory); }

int64_t cvips_now(void) { return g_get_monotonic_time(); }
