#include "read_time.h"

#include <time.h>

#include "CVipsShim.h"

static _Thread_local int64_t spent;

int64_t cvips_thread_read_time(void) { return spent; }

int64_t read_time_begin(void) {
  struct timespec now;
  if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now)) return 0;
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void read_time_end(int64_t start) { spent += read_time_begin() - start; }
