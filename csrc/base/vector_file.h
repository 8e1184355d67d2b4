// Records of word2vec files: a word, a blank and numbers, which are float32 or text.
#pragma once

#include <cstddef>
#include <string>

namespace fastrnn {

struct Word {
  std::ptrdiff_t begin, end;  // in the data
};

struct Records {
  std::ptrdiff_t count = 0;       // whole records
  std::ptrdiff_t consumed = 0;    // bytes of them
  const char* problem = nullptr;  // what was expected at `at`, or null: the rest needs more data
  std::ptrdiff_t at = 0;
};

// Reads up to `most` records of `size` numbers into rows [most, size] and words [most].  Newlines before a word are not
// part of it.
Records read_binary(const char* data, std::ptrdiff_t length, std::ptrdiff_t most, std::ptrdiff_t size, float* rows,
                    Word* words) noexcept;

// The same of lines, blank ones left out.  `last`: no data follows, so the last line needs no newline.
template <class T>
Records read_text(const char* data, std::ptrdiff_t length, bool last, std::ptrdiff_t most, std::ptrdiff_t size, T* rows,
                  Word* words) noexcept;

// Appends `size` numbers, each the shortest decimal that reads back as the same, with blanks between.
template <class T>
void append_text(std::string& to, const T* row, std::ptrdiff_t size);

}  // namespace fastrnn
