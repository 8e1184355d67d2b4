// What AddressSanitizer is told about the memory pool.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FASTRNN_ASAN 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define FASTRNN_ASAN 1
#endif
#if defined(FASTRNN_ASAN)
#include <sanitizer/asan_interface.h>
#endif

namespace fastrnn {

#if defined(FASTRNN_ASAN)
// A cached block, but for its list entry, and the bytes between a request and the end of its class may not be touched;
// what is handed out is full of NaN, so that a kernel that counts on zeros is found.
inline void guard_cached(void* data, std::size_t entry, std::size_t bytes) noexcept {
  ASAN_POISON_MEMORY_REGION(static_cast<char*>(data) + entry, bytes - entry);
}
inline void guard_none(void* data, std::size_t bytes) noexcept { ASAN_UNPOISON_MEMORY_REGION(data, bytes); }
inline void guard_tail(void* data, std::size_t asked, std::size_t bytes) noexcept {
  constexpr std::size_t kMostFilled = std::size_t{16} << 20;
  ASAN_UNPOISON_MEMORY_REGION(data, bytes);
  std::memset(data, 0xFF, std::min(asked, kMostFilled));
  ASAN_POISON_MEMORY_REGION(static_cast<char*>(data) + asked, bytes - asked);
}
#else
inline void guard_cached(void*, std::size_t, std::size_t) noexcept {}
inline void guard_none(void*, std::size_t) noexcept {}
inline void guard_tail(void*, std::size_t, std::size_t) noexcept {}
#endif

}  // namespace fastrnn
