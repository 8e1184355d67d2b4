// libFuzzer on what reads foreign bytes in csrc/base: text to tokens, records of vector files.  `.ci/run fuzz` runs it
// with AddressSanitizer and UndefinedBehaviorSanitizer.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "base/text.h"
#include "base/vector_file.h"
#include "check.h"

namespace fastrnn {
namespace {

using std::ptrdiff_t;

// Tokens of a text, fed in pieces of `piece` bytes, which must not matter; empty where it is refused.
std::vector<std::string> tokens(std::string_view text, int threads, bool ignore, std::size_t piece) {
  TextEncoder encoder(threads, ignore);
  std::vector<std::string> out;
  try {
    for (std::size_t from = 0, to = 0; from < text.size();) {
      to = std::min(text.size(), to + piece);
      const std::size_t taken = encoder.feed(text.substr(from, to - from), to == text.size());
      CHECK(taken <= to - from && (to < text.size() || taken == to - from));
      from += taken;
    }
  } catch (const InvalidUtf8&) {
    CHECK(!ignore);
    return {};
  }
  const std::vector<std::int32_t> ids = encoder.take_ids();
  for (const std::int32_t id : ids) out.emplace_back(encoder.types()[static_cast<std::size_t>(id)]);
  std::int64_t counted = 0, before = 0;
  for (const std::int64_t count : encoder.counts()) counted += count;
  CHECK(counted == static_cast<std::int64_t>(ids.size()));
  for (const std::int64_t end : encoder.take_ends()) {
    CHECK(end > before && end <= counted);
    before = end;
  }
  return out;
}

void fuzz_text(std::string_view text, std::size_t piece) {
  for (const bool ignore : {false, true}) CHECK(tokens(text, 1, ignore, text.size()) == tokens(text, 3, ignore, piece));
}

void check_words(const Records& found, const std::vector<Word>& words, ptrdiff_t length) {
  CHECK(found.count >= 0 && found.consumed >= 0 && found.consumed <= length && found.at >= 0 && found.at <= length);
  for (ptrdiff_t i = 0; i < found.count; ++i) {
    const Word word = words[static_cast<std::size_t>(i)];
    CHECK(0 <= word.begin && word.begin <= word.end && word.end <= length);
  }
}

template <class T>
void fuzz_text_records(std::string_view data, std::size_t most, std::size_t size, bool last) {
  std::vector<T> rows(most * size), again(size);
  std::vector<Word> words(most), word(1);
  const auto length = static_cast<ptrdiff_t>(data.size()), width = static_cast<ptrdiff_t>(size);
  const Records found =
      read_text(data.data(), length, last, static_cast<ptrdiff_t>(most), width, rows.data(), words.data());
  check_words(found, words, length);
  for (std::size_t i = 0; i < static_cast<std::size_t>(found.count); ++i) {  // what is written reads back, but for NaN
    std::string line = "w";
    append_text(line, rows.data() + i * size, width);
    const auto bytes = static_cast<ptrdiff_t>(line.size());
    CHECK(read_text(line.data(), bytes, true, 1, width, again.data(), word.data()).count == 1);
    for (std::size_t k = 0; k < size; ++k) {
      const T x = rows[i * size + k];
      CHECK(x == again[k] || (x != x && again[k] != again[k]));
    }
  }
}

void fuzz_records(std::string_view data, std::size_t most, std::size_t size, bool last) {
  std::vector<float> rows(most * size);
  std::vector<Word> words(most);
  const auto length = static_cast<ptrdiff_t>(data.size());
  check_words(read_binary(data.data(), length, static_cast<ptrdiff_t>(most), static_cast<ptrdiff_t>(size), rows.data(),
                          words.data()),
              words, length);
  fuzz_text_records<float>(data, most, size, last);
  fuzz_text_records<double>(data, most, size, last);
}

}  // namespace
}  // namespace fastrnn

// The first byte chooses the parser and its sizes, the rest is the data.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const unsigned options = data[0];
  const std::string_view rest(reinterpret_cast<const char*>(data + 1), size - 1);
  if (options & 1)
    fastrnn::fuzz_text(rest, 1 + (options >> 1) % 64);
  else
    fastrnn::fuzz_records(rest, (options >> 2) % 8, 1 + (options >> 5), (options & 2) != 0);
  return 0;
}
