#include "base/ngrams.h"

#include <string>

namespace fastrnn {
namespace {

bool continues(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) == 0x80; }

std::size_t next_character(std::string_view text, std::size_t at) {
  do ++at;
  while (at < text.size() && continues(text[at]));
  return at;
}

}  // namespace

std::uint32_t fasttext_hash(std::string_view bytes) {
  std::uint32_t h = 2166136261u;
  for (const char byte : bytes) h = (h ^ static_cast<std::uint32_t>(static_cast<signed char>(byte))) * 16777619u;
  return h;
}

void append_ngrams(std::string_view word, int min_n, int max_n, std::uint32_t buckets,
                   std::vector<std::int32_t>& rows) {
  const std::string text = '<' + std::string(word) + '>';
  for (std::size_t i = 0; i < text.size(); i = next_character(text, i)) {
    std::size_t end = i;
    for (int n = 1; n <= max_n && end < text.size(); ++n) {
      end = next_character(text, end);
      const bool bracket = n == 1 && (i == 0 || end == text.size());
      if (n >= min_n && !bracket)
        rows.push_back(static_cast<std::int32_t>(fasttext_hash(std::string_view(text).substr(i, end - i)) % buckets));
    }
  }
}

}  // namespace fastrnn
