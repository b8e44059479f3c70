#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"
#include "read_time.h"

static int open_regular(const char *path, int64_t *size, char *message, size_t capacity) {
  // Without O_NONBLOCK, opening a FIFO waits for a writer.
  int descriptor = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
  if (descriptor < 0) {
    cvips_fail(CVIPS_UNREADABLE, strerror(errno), message, capacity);
    return -1;
  }
  struct stat status;
  if (fstat(descriptor, &status) != 0) {
    cvips_fail(CVIPS_UNREADABLE, strerror(errno), message, capacity);
  } else if (S_ISDIR(status.st_mode)) {
    cvips_fail(CVIPS_UNREADABLE, "it is a directory", message, capacity);
  } else if (!S_ISREG(status.st_mode)) {
    cvips_fail(CVIPS_UNREADABLE, "it is not a regular file", message, capacity);
  } else {
    *size = status.st_size;
    return descriptor;
  }
  close(descriptor);
  return -1;
}

int cvips_file_open(const char *path, int64_t *size, char *message, size_t capacity) {
  int64_t start = read_time_begin();
  int descriptor = open_regular(path, size, message, capacity);
  read_time_end(start);
  return descriptor;
}

void cvips_file_close(int descriptor) { close(descriptor); }
