// Instantiates every register tile of this instruction set.
#include "kernels/gemm.h"

#include <utility>

namespace fastrnn::FASTRNN_ISA {
namespace {

template <class T, Layout kA, bool kPartial, int M, int... kVectors>
constexpr void fill_row(TileFunction<T> (&row)[kTileVectors], std::integer_sequence<int, kVectors...>) {
  ((row[kVectors] = &tile<FmaOperand<T>, M, kVectors + 1, kA, kPartial>), ...);
}

template <class T, Layout kA, bool kPartial, int... kRows>
constexpr void fill(TileFunction<T> (&tiles)[kTileRows][kTileVectors], std::integer_sequence<int, kRows...>) {
  (fill_row<T, kA, kPartial, kRows + 1>(tiles[kRows], std::make_integer_sequence<int, kTileVectors>{}), ...);
}

template <class T>
constexpr Tiles<T> make_tiles() {
  constexpr std::make_integer_sequence<int, kTileRows> rows;
  Tiles<T> tiles{};
  fill<T, Layout::kRowMajor, false>(tiles.of[0][0], rows);
  fill<T, Layout::kRowMajor, true>(tiles.of[0][1], rows);
  fill<T, Layout::kColumnMajor, false>(tiles.of[1][0], rows);
  fill<T, Layout::kColumnMajor, true>(tiles.of[1][1], rows);
  return tiles;
}

}  // namespace

template <class T>
constexpr Tiles<T> Tiles<T>::all = make_tiles<T>();
template struct Tiles<float>;
template struct Tiles<double>;

}  // namespace fastrnn::FASTRNN_ISA
