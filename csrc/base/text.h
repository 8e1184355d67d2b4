// Text to token ids: splits at white space as Python's str.split(), sentences end with lines, on several threads.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string_view>
#include <vector>

namespace fastrnn {

// Strings and their ids, in the order in which they are first met.
class Types {
 public:
  std::int32_t find(std::string_view token) const;  // -1: it is not known
  std::int32_t id(std::string_view token);          // a new one when it is not known
  void clear();
  std::string_view operator[](std::size_t i) const;
  std::size_t size() const { return ends_.size(); }
  const std::vector<char>& text() const { return text_; }          // all of them, without anything between
  const std::vector<std::int64_t>& ends() const { return ends_; }  // where each ends in it

 private:
  struct Entry {
    std::uint32_t hash;
    std::int32_t id;  // -1: free
  };
  std::size_t place_of(std::string_view token, std::uint32_t hash) const;  // its entry, or the free one for it
  void grow();

  std::vector<Entry> table_;
  std::vector<char> text_;
  std::vector<std::int64_t> ends_;
};

struct InvalidUtf8 : std::runtime_error {
  InvalidUtf8(std::int64_t at, unsigned char value);
};

class TextEncoder {
 public:
  // With `ignore`, bytes that are not UTF-8 are left out; else they are an error that names their offset.
  TextEncoder(int threads, bool ignore);

  // A file begins: offsets of its bytes count from here.
  void begin() { bytes_ = 0; }
  // Takes in as much of the text as ends with white space, all of it when it is the `last`; returns how many bytes.
  std::size_t feed(std::string_view text, bool last);
  // Moves out what has been encoded since the last call: ids, and the number of tokens at the end of each sentence,
  // counted from the beginning.  Sentences without tokens are left out.
  std::vector<std::int32_t> take_ids();
  std::vector<std::int64_t> take_ends();

  const Types& types() const { return types_; }
  const std::vector<std::int64_t>& counts() const { return counts_; }

  TextEncoder(const TextEncoder&) = delete;
  ~TextEncoder();

 private:
  struct Part;
  void merge();

  std::int64_t bytes_ = 0, tokens_ = 0, last_end_ = 0;
  Types types_;
  std::vector<std::int64_t> counts_;
  std::vector<std::int32_t> ids_;
  std::vector<std::int64_t> ends_;
  std::vector<Part> parts_;  // one for each thread
};

}  // namespace fastrnn
