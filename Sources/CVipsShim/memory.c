#include <pthread.h>

#include "CVipsShim.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int64_t in_use;
static uint64_t next_ticket, served;  // first come, first served: large requests are not overtaken for ever

void cvips_memory_acquire(int64_t bytes, int64_t capacity) {
  pthread_mutex_lock(&mutex);
  uint64_t ticket = next_ticket++;
  while (ticket != served || (in_use > 0 && in_use + bytes > capacity)) pthread_cond_wait(&changed, &mutex);
  served++;
  in_use += bytes;
  pthread_cond_broadcast(&changed);
  pthread_mutex_unlock(&mutex);
}

void cvips_memory_release(int64_t bytes) {
  pthread_mutex_lock(&mutex);
  in_use -= bytes;
  pthread_cond_broadcast(&changed);
  pthread_mutex_unlock(&mutex);
}
