// Character n-grams of words, as fastText has them (Bojanowski, Grave, Joulin, Mikolov 2017).
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace fastrnn {

// FNV-1a of 32 bits in which a byte from 128 on is a negative number, as in fastText.
std::uint32_t fasttext_hash(std::string_view bytes);

// Appends a row in [0, buckets) for each n-gram of <word> with min_n to max_n characters, by its beginning, then its
// length; a lone < or > is none.  word: UTF-8.
void append_ngrams(std::string_view word, int min_n, int max_n, std::uint32_t buckets, std::vector<std::int32_t>& rows);

}  // namespace fastrnn
