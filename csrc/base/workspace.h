// A thread-safe, capped pool of memory blocks.  Outputs, stashes and scratch of a call come from here, so a steady
// training loop asks the system for nothing and takes no page fault.
#pragma once

#include <cstddef>
#include <new>
#include <utility>

namespace fastrnn {

// Owns `bytes` bytes, 64-byte aligned, contents unspecified.  Returns to the pool when destroyed, from any thread.
class Block {
 public:
  Block() = default;
  Block(Block&& other) noexcept : data_(std::exchange(other.data_, nullptr)), list_(other.list_) {}
  Block& operator=(Block&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(list_, other.list_);
    return *this;
  }
  ~Block();
  void* data() const noexcept { return data_; }
  template <class T>
  T* as() const noexcept {
    return static_cast<T*>(data_);
  }

 private:
  friend Block acquire(std::size_t bytes, const char* what);
  friend Block acquire_scratch(std::size_t bytes);
  Block(void* data, int list) noexcept : data_(data), list_(list) {}
  void* data_ = nullptr;
  int list_ = 0;  // of the pool, to which it returns
};

class OutOfMemory : public std::bad_alloc {
 public:
  OutOfMemory(std::size_t bytes, const char* what) noexcept;
  const char* what() const noexcept override { return message_; }

 private:
  char message_[128];
};

// Throws OutOfMemory, whose what() names the bytes and `what`: "cannot allocate 8.0 GiB (8589934592 bytes) for saved".
Block acquire(std::size_t bytes, const char* what);

// For the time of one call.  Calls of different sizes that follow each other share one block, which has grown to the
// largest of them.
Block acquire_scratch(std::size_t bytes);

// Bytes count whole blocks: a request is rounded up by at most a quarter, and its last pages cost nothing until
// touched.
struct PoolInfo {
  std::size_t in_use, cached, cap;               // bytes; the cap bounds `cached`
  std::size_t system_allocations, acquisitions;  // counts since the process began
};
PoolInfo pool_info() noexcept;
// The default is 2 GiB, or a quarter of the memory (of the control group) where that is less.
void set_pool_cap(std::size_t bytes) noexcept;
void clear_pool() noexcept;  // gives cached blocks back to the system

}  // namespace fastrnn
