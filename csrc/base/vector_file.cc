#include "base/vector_file.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <limits>

namespace fastrnn {
namespace {

using std::ptrdiff_t;

constexpr ptrdiff_t kLongestWord = 1 << 16;  // bytes; more than that without a blank is no vector file

const char* find(const char* begin, const char* end, char c) {
  if (begin >= end) return end;
  const void* found = std::memchr(begin, c, static_cast<std::size_t>(end - begin));
  return found == nullptr ? end : static_cast<const char*>(found);
}

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

// One number that fills [begin, end).
template <class T>
bool parse(const char* begin, const char* end, T& value) {
  if (end - begin > 1 && *begin == '+' && begin[1] != '-') ++begin;
  const auto [stop, error] = std::from_chars(begin, end, value);
  if (error == std::errc::result_out_of_range && stop == end) {
    // Too small for T, or too large: the exponent says which.
    const char* e = std::find_if(begin, end, [](char c) { return c == 'e' || c == 'E'; });
    const bool small = e == end ? find(begin, end, '.') - begin < 40 : end - e > 1 && e[1] == '-';
    const T size = small ? T(0) : std::numeric_limits<T>::infinity();
    value = *begin == '-' ? -size : size;
    return true;
  }
  return error == std::errc() && stop == end;
}

}  // namespace

Records read_binary(const char* data, ptrdiff_t length, ptrdiff_t most, ptrdiff_t size, float* rows,
                    Word* words) noexcept {
  Records found;
  const ptrdiff_t bytes = size * static_cast<ptrdiff_t>(sizeof(float));
  const char *at = data, *end = data + length;
  while (found.count < most) {
    const char* word = at;
    while (word < end && *word == '\n') ++word;
    const char* limit = end - word > kLongestWord ? word + kLongestWord : end;
    const char* blank = find(word, limit, ' ');
    if (blank == limit && limit - word == kLongestWord) {
      found.problem = "a word of at most 65536 bytes, then a blank";
      found.at = word - data;
      break;
    }
    if (blank == limit || end - blank - 1 < bytes) break;
    words[found.count] = {word - data, blank - data};
    std::memcpy(rows + found.count * size, blank + 1, static_cast<std::size_t>(bytes));
    at = blank + 1 + bytes;
    ++found.count;
  }
  found.consumed = at - data;
  return found;
}

template <class T>
Records read_text(const char* data, ptrdiff_t length, bool last, ptrdiff_t most, ptrdiff_t size, T* rows,
                  Word* words) noexcept {
  Records found;
  const char *at = data, *end = data + length;
  const auto fail = [&](const char* where, const char* expected) {
    found.problem = expected;
    found.at = where - data;
  };
  while (found.count < most && at < end) {
    const char *newline = find(at, end, '\n'), *stop = newline;
    if (newline == end && !last) break;
    const char* next = newline == end ? end : newline + 1;
    while (stop > at && is_blank(stop[-1])) --stop;
    if (stop > at) {
      const char* blank = find(at, stop, ' ');
      words[found.count] = {at - data, blank - data};
      const char* p = blank;
      ptrdiff_t k = 0;
      for (; p < stop; ++k) {
        while (p < stop && is_blank(*p)) ++p;
        const char* token = p;
        while (p < stop && !is_blank(*p)) ++p;
        if (k == size) {
          fail(token, "the end of the line after the last number");
          return found;
        }
        if (!parse(token, p, rows[found.count * size + k])) {
          fail(token, "a number");
          return found;
        }
      }
      if (k < size) {
        fail(stop, "as many numbers as a vector has");
        return found;
      }
      ++found.count;
    }
    at = next;
    found.consumed = at - data;
  }
  return found;
}

template <class T>
void append_text(std::string& to, const T* row, ptrdiff_t size) {
  char number[32];
  for (ptrdiff_t i = 0; i < size; ++i) {
    const auto result = std::to_chars(number, number + sizeof number, row[i]);
    to.push_back(' ');
    to.append(number, static_cast<std::size_t>(result.ptr - number));
  }
}

template Records read_text(const char*, ptrdiff_t, bool, ptrdiff_t, ptrdiff_t, float*, Word*) noexcept;
template Records read_text(const char*, ptrdiff_t, bool, ptrdiff_t, ptrdiff_t, double*, Word*) noexcept;
template void append_text(std::string&, const float*, ptrdiff_t);
template void append_text(std::string&, const double*, ptrdiff_t);

}  // namespace fastrnn
