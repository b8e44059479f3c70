#pragma once
#include <stdint.h>

// Encloses what reads a file: `int64_t start = read_time_begin(); ... read_time_end(start);`
int64_t read_time_begin(void);
void read_time_end(int64_t start);
