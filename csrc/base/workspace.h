// A thread-safe, capped pool of memory blocks.  Outputs, stashes and scratch of a call come from here, so a steady
// training loop asks the system for nothing and takes no page fault.
#pragma once

#include <cstddef>
#include <utility>

namespace fastrnn {

// Owns `bytes` bytes, 64-byte aligned, contents unspecified.  Returns to the pool when destroyed, from any thread.
class Block {
 public:
  Block() = default;
  Block(Block&& other) noexcept : data_(std::exchange(other.data_, nullptr)), size_class_(other.size_class_) {}
  Block& operator=(Block&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_class_, other.size_class_);
    return *this;
  }
  ~Block();
  void* data() const noexcept { return data_; }
  template <class T>
  T* as() const noexcept { return static_cast<T*>(data_); }

 private:
  friend Block acquire(std::size_t bytes, const char* what);
  void* data_ = nullptr;
  int size_class_ = 0;
};

// Throws OutOfMemory (a std::bad_alloc) whose what() names the bytes and `what`: "cannot allocate 8.0 GiB for saved".
Block acquire(std::size_t bytes, const char* what);

struct PoolInfo {
  std::size_t in_use, cached, cap;        // bytes
  std::size_t system_allocations, acquisitions;  // counts since the process began
};
PoolInfo pool_info() noexcept;
void set_pool_cap(std::size_t bytes) noexcept;
void clear_pool() noexcept;  // gives cached blocks back to the system

}  // namespace fastrnn
