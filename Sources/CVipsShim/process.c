#include <pthread.h>
#include <vips/vips.h>

#include "error.h"

static void ignore_log(const gchar *domain, GLogLevelFlags level, const gchar *text, gpointer data) {
  (void)domain, (void)level, (void)text, (void)data;
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static bool is_running;
static cvips_configuration configuration;

static void configure(void) {
  bool caches = configuration.caches_operations;
  vips_concurrency_set(configuration.concurrency);
  vips_cache_set_max(caches ? 100 : 0);
  vips_cache_set_max_mem(caches ? 100 << 20 : 0);
  vips_cache_set_max_files(caches ? 100 : 0);
  vips_block_untrusted_set(configuration.blocks_untrusted);
  vips_leak_set(configuration.reports_leaks);
}

void cvips_configure(cvips_configuration new_configuration) {
  pthread_mutex_lock(&mutex);
  configuration = new_configuration;
  if (is_running) configure();
  pthread_mutex_unlock(&mutex);
}

cvips_status cvips_start(char *message, size_t capacity) {
  cvips_status status = CVIPS_OK;
  pthread_mutex_lock(&mutex);
  if (!is_running) {
    g_log_set_handler(
        "VIPS", G_LOG_LEVEL_WARNING | G_LOG_LEVEL_MESSAGE | G_LOG_LEVEL_INFO | G_LOG_LEVEL_DEBUG, ignore_log, NULL);
    if (vips_init("ImageSimilarityVips")) {
      status = cvips_fail_with_error_buffer(CVIPS_UNAVAILABLE, message, capacity);
    } else {
      is_running = true;
      configure();
    }
  }
  pthread_mutex_unlock(&mutex);
  return status;
}

const char *cvips_version(void) { return vips_version_string(); }

void cvips_free(void *memory) { g_free(memory); }

int64_t cvips_now(void) { return g_get_monotonic_time(); }
