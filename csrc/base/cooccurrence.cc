#include "base/cooccurrence.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>

#include "base/threads.h"

namespace fastrnn {
namespace {

// Where a word occurs, and how many tokens its sentence has on either side.
struct Place {
  std::int64_t position;
  std::int32_t before, after;
};

std::int32_t clipped(std::int64_t n) { return static_cast<std::int32_t>(std::min<std::int64_t>(n, 0x7FFFFFFF)); }

template <class F>
void for_places(const CooccurrenceCall& a, F f) {
  for (ptrdiff_t s = 0; s < a.sentences; ++s) {
    const std::int64_t begin = a.offsets[s], end = a.offsets[s + 1];
    for (std::int64_t p = begin; p < end; ++p) {
      const std::int32_t word = a.words[a.ids[p]];
      if (word >= a.first && word < a.last) f(word, Place{p, clipped(p - begin), clipped(end - 1 - p)});
    }
  }
}

// Places of the words of the rows, those of row r at places[starts[r - first] : starts[r - first + 1]].
struct Index {
  std::vector<std::size_t> starts;
  std::vector<Place> places;

  explicit Index(const CooccurrenceCall& a) : starts(static_cast<std::size_t>(a.last - a.first) + 1) {
    const auto at = [&](std::int32_t word) { return static_cast<std::size_t>(word - a.first); };
    for_places(a, [&](std::int32_t word, const Place&) { ++starts[at(word) + 1]; });
    for (std::size_t i = 1; i < starts.size(); ++i) starts[i] += starts[i - 1];
    places.resize(starts.back());
    std::vector<std::size_t> next(starts.begin(), starts.end() - 1);
    for_places(a, [&](std::int32_t word, const Place& place) { places[next[at(word)]++] = place; });
  }
};

// The sums of one row after another.
class Row {
 public:
  explicit Row(const CooccurrenceCall& a) : a_(a), sums_(static_cast<std::size_t>(a.vocabulary)) {}

  void fill(std::int32_t row, const Place* begin, const Place* end, std::vector<Cooccurrence>& to) {
    touched_.clear();
    for (const Place* p = begin; p != end; ++p) {
      look(row, p->position, -1, p->before);
      look(row, p->position, 1, p->after);
    }
    std::sort(touched_.begin(), touched_.end());
    to.reserve(to.size() + touched_.size());
    for (const std::int32_t column : touched_) {
      double& sum = sums_[static_cast<std::size_t>(column)];
      to.push_back({row, column, static_cast<float>(sum)});
      sum = 0;
    }
  }

 private:
  const CooccurrenceCall& a_;
  std::vector<double> sums_;
  std::vector<std::int32_t> touched_;

  // The words on one side, whose sentence has so many more tokens there.
  void look(std::int32_t row, std::int64_t position, int step, std::int32_t tokens) {
    int distance = 1;
    for (const std::int32_t* id = a_.ids + position + step; tokens > 0 && distance <= a_.window; --tokens, id += step) {
      const std::int32_t word = a_.words[*id];
      if (word < 0) continue;
      if (word <= row) {
        double& sum = sums_[static_cast<std::size_t>(word)];
        if (sum == 0) touched_.push_back(word);
        sum += 1.0 / distance;
      }
      ++distance;
    }
  }
};

}  // namespace

std::vector<Cooccurrence> cooccurrences(const CooccurrenceCall& a) {
  const Index index(a);
  const auto rows = static_cast<std::size_t>(a.last - a.first);
  std::vector<std::vector<Cooccurrence>> found(rows);
  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  std::exception_ptr failed;
  auto body = [&](int) noexcept {
    try {
      Row row(a);
      for (std::size_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < rows;)
        row.fill(a.first + static_cast<std::int32_t>(i), index.places.data() + index.starts[i],
                 index.places.data() + index.starts[i + 1], found[i]);
    } catch (...) {
      const std::lock_guard<std::mutex> lock(mutex);
      failed = std::current_exception();
    }
  };
  run_team(a.threads, body);
  if (failed) std::rethrow_exception(failed);
  std::size_t total = 0;
  for (const auto& row : found) total += row.size();
  std::vector<Cooccurrence> all;
  all.reserve(total);
  for (auto& row : found) {
    all.insert(all.end(), row.begin(), row.end());
    std::vector<Cooccurrence>().swap(row);
  }
  return all;
}

}  // namespace fastrnn
