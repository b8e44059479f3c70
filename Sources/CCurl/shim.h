#pragma once
#include <curl/curl.h>

// Swift cannot call functions that take variable arguments: one wrapper for each type of argument.

static inline CURLcode imsim_curl_set_number(CURL *curl, CURLoption option, long value) {
  return curl_easy_setopt(curl, option, value);
}

static inline CURLcode imsim_curl_set_text(CURL *curl, CURLoption option, const char *value) {
  return curl_easy_setopt(curl, option, value);
}

static inline CURLcode imsim_curl_set_pointer(CURL *curl, CURLoption option, void *value) {
  return curl_easy_setopt(curl, option, value);
}

static inline CURLcode imsim_curl_set_header(CURL *curl, struct curl_slist *lines) {
  return curl_easy_setopt(curl, CURLOPT_HTTPHEADER, lines);
}

static inline CURLcode imsim_curl_set_receiver(
    CURL *curl, CURLoption option, size_t (*receive)(char *, size_t, size_t, void *)) {
  return curl_easy_setopt(curl, option, receive);
}

static inline CURLcode imsim_curl_set_meter(
    CURL *curl, int (*meter)(void *, curl_off_t, curl_off_t, curl_off_t, curl_off_t)) {
  return curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, meter);
}

static inline CURLcode imsim_curl_get_number(CURL *curl, CURLINFO info, long *value) {
  return curl_easy_getinfo(curl, info, value);
}
