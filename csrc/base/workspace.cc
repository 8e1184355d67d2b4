#include "base/workspace.h"

#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <mutex>
#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#include <sys/mman.h>
#define FASTRNN_POSIX 1
#endif

#include "base/cpu.h"
#include "base/guard.h"

namespace fastrnn {
namespace {

constexpr std::size_t kAlignment = 64;
constexpr std::size_t kSmallest = 4096;
constexpr std::size_t kMapped = std::size_t{256} << 10;  // from here on a block is a mapping of its own
constexpr std::size_t kHuge = std::size_t{2} << 20;
constexpr std::size_t kLargest = std::size_t{1} << 62;
// Four classes for each power of two, 4, 5, 6, 7 times 2^k: a block is at most a quarter larger than the request.
constexpr int kClasses = 4 * (62 - 12) + 1;

constexpr std::size_t class_bytes(int size_class) noexcept {
  return (kSmallest / 4 * static_cast<std::size_t>(4 + size_class % 4)) << (size_class / 4);
}

// The smallest class that holds `bytes`, which is at most kLargest.
constexpr int class_of(std::size_t bytes) noexcept {
  if (bytes <= kSmallest) return 0;
  const int exponent = static_cast<int>(std::bit_width(bytes - 1)) - 1;  // 2^exponent < bytes <= 2^(exponent + 1)
  const int quarter = static_cast<int>((bytes - 1) >> (exponent - 2)) & 3;
  return 4 * (exponent - 12) + quarter + 1;
}
static_assert(class_of(4097) == 1 && class_bytes(1) == 5120 && class_of(5120) == 1 && class_of(5121) == 2);
static_assert(class_of(8192) == 4 && class_bytes(4) == 8192 && class_of(8193) == 5);
static_assert(class_of(kLargest) == kClasses - 1 && class_bytes(kClasses - 1) == kLargest);

// Null when the system refuses.  Only what lies within the first `asked` bytes gets huge pages, for one that is touched
// at its beginning is resident as a whole.
void* system_allocate(std::size_t bytes, std::size_t asked) noexcept {
#if defined(FASTRNN_POSIX)
  if (bytes >= kMapped) {
    // Huge pages need their alignment: map more, then cut the ends off.
    const std::size_t extra = bytes >= kHuge ? kHuge : 0;
    void* mapped = mmap(nullptr, bytes + extra, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED) return nullptr;
    if (extra == 0) return mapped;
    char* const begin = static_cast<char*>(mapped);
    const std::size_t head = (kHuge - reinterpret_cast<std::size_t>(begin) % kHuge) % kHuge;
    if (head != 0) munmap(begin, head);
    if (head != extra) munmap(begin + head + bytes, extra - head);
#if defined(MADV_HUGEPAGE)
    madvise(begin + head, asked / kHuge * kHuge, MADV_HUGEPAGE);
#endif
    return begin + head;
  }
#endif
  return ::operator new(bytes, std::align_val_t{kAlignment}, std::nothrow);
}

void system_free(void* data, std::size_t bytes) noexcept {
#if defined(FASTRNN_POSIX)
  if (bytes >= kMapped) {
    munmap(data, bytes);
    return;
  }
#endif
  ::operator delete(data, std::align_val_t{kAlignment});
}

// A list for each class of blocks that outlive a call, then one for each class of scratch.
constexpr int kScratch = kClasses, kLists = 2 * kClasses;
constexpr std::size_t list_bytes(int list) noexcept { return class_bytes(list % kClasses); }

// A cached block holds its own list entry, so that giving a block back allocates nothing.
struct Cached {
  Cached *older, *newer;          // all cached blocks by the time of their return
  Cached *next_same, *last_same;  // those of one list, last returned first
  int list;
};
static_assert(sizeof(Cached) <= kAlignment);

class Pool {
 public:
  // A cached block of the first of the lists [list, last] that has one, and its list; or null.
  std::pair<void*, int> take(int list, int last) noexcept {
    const std::lock_guard lock(mutex_);
    ++info_.acquisitions;
    while (list < last && newest_of_[list] == nullptr) ++list;
    Cached* const block = newest_of_[list];
    if (block == nullptr) return {nullptr, list};
    unlink(block);
    info_.in_use += list_bytes(list);
    return {block, list};
  }

  // Counts a block that came from the system.
  void adopt(int list) noexcept {
    const std::lock_guard lock(mutex_);
    ++info_.system_allocations;
    info_.in_use += list_bytes(list);
  }

  void give_back(void* data, int list) noexcept {
    const std::size_t bytes = list_bytes(list);
    guard_cached(data, kAlignment, bytes);
    std::unique_lock lock(mutex_);
    info_.in_use -= bytes;
    link(static_cast<Cached*>(data), list);
    Cached* const dropped = detach_beyond(info_.cap);
    lock.unlock();
    free_all(dropped);
  }

  void trim(std::size_t cap) noexcept {
    std::unique_lock lock(mutex_);
    Cached* const dropped = detach_beyond(cap);
    lock.unlock();
    free_all(dropped);
  }

  // Frees the largest cached block of the lists [first, list).
  void drop_below(int list, int first) noexcept {
    std::unique_lock lock(mutex_);
    --list;
    while (list >= first && newest_of_[list] == nullptr) --list;
    if (list < first) return;
    Cached* const block = newest_of_[list];
    unlink(block);
    block->older = nullptr;
    lock.unlock();
    free_all(block);
  }

  void set_cap(std::size_t cap) noexcept {
    {
      const std::lock_guard lock(mutex_);
      info_.cap = cap;
    }
    trim(cap);
  }

  PoolInfo info() noexcept {
    const std::lock_guard lock(mutex_);
    return info_;
  }

  std::mutex& mutex() noexcept { return mutex_; }

 private:
  void link(Cached* block, int list) noexcept {
    block->list = list;
    block->older = newest_;
    block->newer = nullptr;
    (newest_ != nullptr ? newest_->newer : oldest_) = block;
    newest_ = block;
    block->next_same = newest_of_[list];
    block->last_same = nullptr;
    if (block->next_same != nullptr) block->next_same->last_same = block;
    newest_of_[list] = block;
    info_.cached += list_bytes(list);
  }

  void unlink(Cached* block) noexcept {
    (block->older != nullptr ? block->older->newer : oldest_) = block->newer;
    (block->newer != nullptr ? block->newer->older : newest_) = block->older;
    (block->last_same != nullptr ? block->last_same->next_same : newest_of_[block->list]) = block->next_same;
    if (block->next_same != nullptr) block->next_same->last_same = block->last_same;
    info_.cached -= list_bytes(block->list);
  }

  // Takes the blocks that have been cached longest off the lists until the rest fits: those of a shape that is no
  // longer used, while the loop that runs now keeps its own.  They are freed outside the lock.
  Cached* detach_beyond(std::size_t cap) noexcept {
    Cached* dropped = nullptr;
    while (info_.cached > cap) {
      Cached* const block = oldest_;
      unlink(block);
      block->older = dropped;
      dropped = block;
    }
    return dropped;
  }

  static void free_all(Cached* dropped) noexcept {
    while (dropped != nullptr) {
      Cached* const block = std::exchange(dropped, dropped->older);
      const std::size_t bytes = list_bytes(block->list);
      guard_none(block, bytes);
      system_free(block, bytes);
    }
  }

  std::mutex mutex_;
  PoolInfo info_{0, 0, std::min(std::size_t{2} << 30, memory_bytes() / 4), 0, 0};
  Cached *oldest_ = nullptr, *newest_ = nullptr;
  Cached* newest_of_[kLists] = {};
};

// Never destroyed: blocks come back from Python objects that are freed after static destruction.
Pool& pool() noexcept {
  static Pool* const the_pool = [] {
    Pool* const made = new Pool;
#if defined(FASTRNN_POSIX)
    // A fork() in the middle of another thread's call must not leave the child with a locked pool.
    pthread_atfork([] { pool().mutex().lock(); }, [] { pool().mutex().unlock(); }, [] { pool().mutex().unlock(); });
#endif
    return made;
  }();
  return *the_pool;
}

}  // namespace

OutOfMemory::OutOfMemory(std::size_t bytes, const char* what) noexcept {
  constexpr const char* kUnits[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  double size = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (; size >= 1024 && unit + 1 < std::size(kUnits); ++unit) size /= 1024;
  std::snprintf(message_, sizeof(message_), "cannot allocate %.1f %s (%zu bytes) for %s", size, kUnits[unit], bytes,
                what);
}

namespace {

// A block from the system for a list of the pool.
void* allocate(std::size_t bytes, int list, const char* what) {
  const std::size_t rounded = list_bytes(list);
  void* data = system_allocate(rounded, bytes);
  if (data == nullptr) {
    pool().trim(0);  // what is cached may be what is missing
    data = system_allocate(rounded, bytes);
  }
  if (data == nullptr) throw OutOfMemory(bytes, what);
  pool().adopt(list);
  return data;
}

}  // namespace

Block acquire(std::size_t bytes, const char* what) {
  if (bytes > kLargest) throw OutOfMemory(bytes, what);
  const int list = class_of(bytes);
  void* data = pool().take(list, list).first;
  if (data == nullptr) data = allocate(bytes, list, what);
  guard_tail(data, bytes, list_bytes(list));
  return {data, list};
}

Block acquire_scratch(std::size_t bytes) {
  constexpr const char* kWhat = "scratch";
  if (bytes > kLargest) throw OutOfMemory(bytes, kWhat);
  const int wanted = kScratch + class_of(bytes);
  auto [data, list] = pool().take(wanted, kLists - 1);
  if (data == nullptr) {
    list = wanted;
    pool().drop_below(list, kScratch);
    data = allocate(bytes, list, kWhat);
  }
  guard_tail(data, bytes, list_bytes(list));
  return {data, list};
}

Block::~Block() {
  if (data_ != nullptr) {
    guard_none(data_, list_bytes(list_));
    pool().give_back(data_, list_);
  }
}

PoolInfo pool_info() noexcept { return pool().info(); }
void set_pool_cap(std::size_t bytes) noexcept { pool().set_cap(bytes); }
void clear_pool() noexcept { pool().trim(0); }

}  // namespace fastrnn
