#include "base/thread_pool.h"

#include <atomic>
#include <mutex>
#include <new>
#include <thread>

#include "base/spin.h"

namespace fastrnn {
namespace {

// A kept thread.  Never destroyed: it sleeps until the process ends.  Between a call's handing over (state to kBusy)
// and the worker's answer (state to kIdle) the worker reads the job; at all other times it belongs to whoever took it
// off the list.  `state` carries the happens-before both ways.
struct Worker {
  enum State : unsigned { kIdle, kBusy };
  std::atomic<unsigned> state{kIdle};
  int spins = 0;  // how long to look out for the next job before sleeping
  int thread = 0;
  TeamBody body = nullptr;
  void* context = nullptr;
  Worker* next = nullptr;

  void set(State to) noexcept {
    state.store(to, std::memory_order_seq_cst);
    state.notify_all();
  }
  void serve() noexcept {
    for (int linger = 0;;) {
      wait_until_changed(state, kIdle, linger);
      body(context, thread);
      linger = spins;
      set(kIdle);
    }
  }
};

// A stack, so that the thread that ran member i in the last call, with member i's data in its cache, runs it in the
// next.
struct Pool {
  std::mutex mutex;
  Worker* idle = nullptr;
};
union Storage {  // not destroyed at exit
  constexpr Storage() : pool() {}
  ~Storage() {}
  Pool pool;
};
constinit Storage storage;

Worker* start_worker() {
  Worker* worker = new Worker;
  try {
    std::thread([worker] { worker->serve(); }).detach();
  } catch (...) {
    delete worker;
    throw;
  }
  return worker;
}

// Workers taken off the list; gives them back, in the same order, when it goes.
class Crew {
 public:
  explicit Crew(int size) {
    {
      const std::lock_guard lock(storage.pool.mutex);
      for (; size > 0 && storage.pool.idle != nullptr; --size) {
        append(storage.pool.idle);
        storage.pool.idle = storage.pool.idle->next;
      }
    }
    try {
      for (; size > 0; --size) append(start_worker());
    } catch (...) {
      give_back();
      throw;
    }
    *end_ = nullptr;
  }
  ~Crew() { give_back(); }
  Crew(const Crew&) = delete;
  Crew& operator=(const Crew&) = delete;
  Worker* first() const noexcept { return first_; }

 private:
  void append(Worker* worker) noexcept {
    *end_ = worker;
    end_ = &worker->next;
  }
  void give_back() noexcept {
    if (end_ == &first_) return;
    const std::lock_guard lock(storage.pool.mutex);
    *end_ = storage.pool.idle;
    storage.pool.idle = first_;
  }
  Worker* first_ = nullptr;
  Worker** end_ = &first_;
};

}  // namespace

void run_pool_team(int count, TeamBody body, void* context) {
  const Crew crew(count - 1);  // every thread exists before the first body begins
  const int spins = spin_limit();
  int thread = 0;
  for (Worker* worker = crew.first(); worker != nullptr; worker = worker->next) {
    worker->spins = spins;
    worker->thread = ++thread;
    worker->body = body;
    worker->context = context;
    worker->set(Worker::kBusy);
  }
  body(context, 0);
  for (Worker* worker = crew.first(); worker != nullptr; worker = worker->next) {
    wait_until_changed(worker->state, Worker::kBusy, spins);
  }
}

void forget_pool_threads() noexcept { ::new (&storage.pool) Pool; }

}  // namespace fastrnn
