#include "base/text.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <exception>
#include <string>
#include <utility>

#include "base/threads.h"

namespace fastrnn {
namespace {

std::uint32_t hash_of(std::string_view token) {
  std::uint64_t hash = token.size() * 0x9E3779B97F4A7C15u;
  const char* p = token.data();
  std::size_t left = token.size();
  for (; left > 0;) {
    std::uint64_t word = 0;
    const std::size_t n = std::min<std::size_t>(left, 8);
    std::memcpy(&word, p, n);
    hash = (hash ^ word) * 0xBF58476D1CE4E5B9u;
    hash ^= hash >> 29;
    p += n;
    left -= n;
  }
  return static_cast<std::uint32_t>(hash * 0x94D049BB133111EBu >> 32);
}

enum Kind : unsigned char { kPlain, kSpace, kNewline, kHigh };

constexpr std::array<Kind, 256> kKinds = [] {
  std::array<Kind, 256> kinds{};
  for (std::size_t i = 128; i < 256; ++i) kinds[i] = kHigh;
  for (const char c : {'\t', '\v', '\f', '\r', ' ', '\x1c', '\x1d', '\x1e', '\x1f'})
    kinds[static_cast<unsigned char>(c)] = kSpace;
  kinds['\n'] = kNewline;
  return kinds;
}();

Kind kind_of(char c) { return kKinds[static_cast<unsigned char>(c)]; }

// Length of the character at p and its code point; 0 when it is not UTF-8 (Unicode 15, table 3-7).
std::size_t decode(const char* p, const char* end, char32_t& point) {
  const auto at = [&](std::size_t i) -> unsigned { return p + i < end ? static_cast<unsigned char>(p[i]) : 0u; };
  const auto next = [&](std::size_t i) { return (at(i) & 0xC0) == 0x80; };
  const unsigned first = at(0);
  if (first < 0x80) return point = first, 1;
  if (first >= 0xC2 && first < 0xE0 && next(1)) return point = (first & 0x1F) << 6 | (at(1) & 0x3F), 2;
  if (first >= 0xE0 && first < 0xF0 && next(1) && next(2)) {
    point = (first & 0x0F) << 12 | (at(1) & 0x3F) << 6 | (at(2) & 0x3F);
    return point >= 0x800 && (point < 0xD800 || point > 0xDFFF) ? 3 : 0;
  }
  if (first >= 0xF0 && first < 0xF5 && next(1) && next(2) && next(3)) {
    point = (first & 0x07) << 18 | (at(1) & 0x3F) << 12 | (at(2) & 0x3F) << 6 | (at(3) & 0x3F);
    return point >= 0x10000 && point <= 0x10FFFF ? 4 : 0;
  }
  return 0;
}

bool is_wide_space(char32_t c) {
  return c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 ||
         c == 0x202F || c == 0x205F || c == 0x3000;
}

}  // namespace

InvalidUtf8::InvalidUtf8(std::int64_t at, unsigned char value)
    : std::runtime_error("expected UTF-8, got byte " + std::to_string(value) + " at offset " + std::to_string(at)) {}

std::string_view Types::operator[](std::size_t i) const {
  const auto first = static_cast<std::size_t>(i == 0 ? 0 : ends_[i - 1]);
  return {text_.data() + first, static_cast<std::size_t>(ends_[i]) - first};
}

std::size_t Types::place_of(std::string_view token, std::uint32_t hash) const {
  const std::size_t mask = table_.size() - 1;
  std::size_t at = hash & mask;
  while (table_[at].id >= 0 && (table_[at].hash != hash || (*this)[static_cast<std::size_t>(table_[at].id)] != token))
    at = (at + 1) & mask;
  return at;
}

std::int32_t Types::find(std::string_view token) const {
  return table_.empty() ? -1 : table_[place_of(token, hash_of(token))].id;
}

std::int32_t Types::id(std::string_view token) {
  if (size() * 4 >= table_.size() * 3) grow();
  const std::uint32_t hash = hash_of(token);
  Entry& entry = table_[place_of(token, hash)];
  if (entry.id < 0) {
    entry = {hash, static_cast<std::int32_t>(size())};
    text_.insert(text_.end(), token.begin(), token.end());
    ends_.push_back(static_cast<std::int64_t>(text_.size()));
  }
  return entry.id;
}

void Types::clear() {
  std::fill(table_.begin(), table_.end(), Entry{0, -1});
  text_.clear();
  ends_.clear();
}

void Types::grow() {
  std::vector<Entry> old(std::max<std::size_t>(1024, 2 * table_.size()), Entry{0, -1});
  old.swap(table_);
  const std::size_t mask = table_.size() - 1;
  for (const Entry& entry : old) {
    if (entry.id < 0) continue;
    std::size_t at = entry.hash & mask;
    while (table_[at].id >= 0) at = (at + 1) & mask;
    table_[at] = entry;
  }
}

// What one thread makes of its parts of a text.
struct TextEncoder::Part {
  bool ignore;
  const Types* known;  // by the parts before, of all threads
  Types fresh;         // others
  std::string_view text;
  std::int64_t first_byte = 0;
  std::vector<std::int32_t> ids;  // in `known`, or -1 - id in `fresh`
  std::vector<std::int64_t> ends;
  std::size_t offset = 0;  // of the first token, among those of all threads
  std::string joined;      // a token of which bytes were left out
  std::exception_ptr error;

  void add(std::string_view token) {
    if (token.empty()) return;
    const std::int32_t id = known->find(token);
    ids.push_back(id >= 0 ? id : -1 - fresh.id(token));
  }

  // A stretch without ASCII white space that has bytes beyond ASCII.
  void add_wide(const char* p, const char* end) {
    joined.clear();
    while (p < end) {
      char32_t point;
      const std::size_t n = decode(p, end, point);
      if (n == 0 && !ignore) throw InvalidUtf8(first_byte + (p - text.data()), static_cast<unsigned char>(*p));
      if (n != 0 && is_wide_space(point)) {
        add(joined);
        joined.clear();
      } else {
        joined.append(p, n);
      }
      p += n == 0 ? 1 : n;
    }
    add(joined);
  }

  void run() {
    const char* p = text.data();
    const char* const end = p + text.size();
    fresh.clear();
    ids.clear();
    ends.clear();
    while (p < end) {
      const char* const begin = p;
      while (p < end && kind_of(*p) == kPlain) ++p;
      if (p < end && kind_of(*p) == kHigh) {
        while (p < end && (kind_of(*p) == kPlain || kind_of(*p) == kHigh)) ++p;
        add_wide(begin, p);
      } else {
        add({begin, static_cast<std::size_t>(p - begin)});
      }
      for (; p < end && (kind_of(*p) == kSpace || kind_of(*p) == kNewline); ++p)
        if (kind_of(*p) == kNewline) ends.push_back(static_cast<std::int64_t>(ids.size()));
    }
  }
};

TextEncoder::TextEncoder(int threads, bool ignore) : parts_(static_cast<std::size_t>(threads)) {
  for (Part& part : parts_) {
    part.ignore = ignore;
    part.known = &types_;
  }
}

TextEncoder::~TextEncoder() = default;

std::size_t TextEncoder::feed(std::string_view text, bool last) {
  const auto is_space = [](char c) { return kind_of(c) == kSpace || kind_of(c) == kNewline; };
  if (!last)
    while (!text.empty() && !is_space(text.back())) text.remove_suffix(1);
  const char* from = text.data();
  const char* const end = from + text.size();
  for (std::size_t t = 0; t < parts_.size(); ++t) {
    const char* to = text.data() + text.size() * (t + 1) / parts_.size();
    while (to < end && !is_space(*to)) ++to;
    to = std::max(from, to);
    parts_[t].text = {from, static_cast<std::size_t>(to - from)};
    parts_[t].first_byte = bytes_ + (from - text.data());
    from = to;
  }
  auto encode = [&](int thread) noexcept {
    Part& part = parts_[static_cast<std::size_t>(thread)];
    try {
      part.run();
    } catch (...) {
      part.error = std::current_exception();
    }
  };
  run_team(static_cast<int>(parts_.size()), encode);
  for (const Part& part : parts_)
    if (part.error) std::rethrow_exception(part.error);
  merge();
  bytes_ += static_cast<std::int64_t>(text.size());
  if (last && tokens_ > last_end_) ends_.push_back(last_end_ = tokens_);
  return text.size();
}

// Parts are taken in the order of the text, so types are numbered in the order in which they are first met.
void TextEncoder::merge() {
  for (const Part& part : parts_) {
    std::vector<std::int32_t> named(part.fresh.size());
    for (std::size_t i = 0; i < named.size(); ++i) named[i] = types_.id(part.fresh[i]);
    counts_.resize(types_.size());
    for (const std::int32_t found : part.ids) {
      const std::int32_t id = found >= 0 ? found : named[static_cast<std::size_t>(-1 - found)];
      ids_.push_back(id);
      ++counts_[static_cast<std::size_t>(id)];
    }
    for (const std::int64_t end : part.ends)
      if (tokens_ + end > last_end_) ends_.push_back(last_end_ = tokens_ + end);
    tokens_ += static_cast<std::int64_t>(part.ids.size());
  }
}

std::vector<std::int32_t> TextEncoder::take_ids() { return std::exchange(ids_, {}); }
std::vector<std::int64_t> TextEncoder::take_ends() { return std::exchange(ends_, {}); }

}  // namespace fastrnn
