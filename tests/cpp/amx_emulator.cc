// Carries out the instructions of AMX where the processor has none of them: each is an illegal one, and what catches
// that reads it, does what Intel's manual says (volume 2, "TDPBF16PS" and its like), and goes on behind it.  What a
// processor would refuse ends the process.
#include <signal.h>
#include <ucontext.h>

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace fastrnn {
namespace {

constexpr int kRegisters = 8, kRows = 16, kRowBytes = 64;

[[noreturn]] void refuse(const char* why) {
  std::fprintf(stderr, "amx_emulator: %s\n", why);
  std::abort();
}

struct Tile {
  unsigned rows = 0, bytes = 0;  // 0: not configured
  alignas(64) unsigned char at[kRows][kRowBytes] = {};
};
struct State {
  bool configured = false;
  Tile tiles[kRegisters];
  Tile& tile(unsigned index) {
    if (!configured || index >= kRegisters || tiles[index].rows == 0) refuse("a register that has no shape");
    return tiles[index];
  }
};
thread_local State state;

void configure(const unsigned char* from) {
  state = State{};
  if (from[0] == 0) return;
  if (from[0] != 1 || from[1] != 0) refuse("another palette or start_row");
  for (int i = 2; i < 16; ++i)
    if (from[i] != 0) refuse("reserved bytes");
  for (int i = 0; i < 16; ++i) {
    std::uint16_t bytes = 0;
    std::memcpy(&bytes, from + 16 + 2 * i, 2);
    const unsigned rows = from[48 + i];
    if (bytes > kRowBytes || rows > kRows || (bytes == 0) != (rows == 0)) refuse("a shape that is not allowed");
    if (i >= kRegisters && rows != 0) refuse("more than eight registers");
    if (i < kRegisters) state.tiles[i].rows = rows, state.tiles[i].bytes = bytes;
  }
  state.configured = true;
}

void load(Tile& tile, const unsigned char* from, std::int64_t stride) {
  std::memset(tile.at, 0, sizeof(tile.at));
  for (unsigned r = 0; r < tile.rows; ++r)
    std::memcpy(tile.at[r], from + static_cast<std::int64_t>(r) * stride, tile.bytes);
}
void store(const Tile& tile, unsigned char* to, std::int64_t stride) {
  for (unsigned r = 0; r < tile.rows; ++r)
    std::memcpy(to + static_cast<std::int64_t>(r) * stride, tile.at[r], tile.bytes);
}

float flushed(float x) { return std::fpclassify(x) == FP_SUBNORMAL ? std::copysign(0.0F, x) : x; }
float number(const unsigned char* row, unsigned index) {  // of bfloat16
  std::uint16_t high = 0;
  std::memcpy(&high, row + 2 * index, 2);
  const std::uint32_t bits = static_cast<std::uint32_t>(high) << 16;
  float x = 0;
  std::memcpy(&x, &bits, 4);
  return flushed(x);
}

void multiply(Tile& c, const Tile& a, const Tile& b) {
  if (&c == &a || &c == &b || &a == &b) refuse("a register twice");
  if (c.rows != a.rows || c.bytes != b.bytes || a.bytes != 4 * b.rows) refuse("shapes that do not fit");
  for (unsigned m = 0; m < c.rows; ++m) {
    float sums[2][kRowBytes / 4] = {};
    for (unsigned k = 0; k < a.bytes / 4; ++k)
      for (unsigned n = 0; n < c.bytes / 4; ++n)
        for (unsigned half = 0; half < 2; ++half)
          sums[half][n] =
              flushed(std::fma(number(a.at[m], 2 * k + half), number(b.at[k], 2 * n + half), sums[half][n]));
    for (unsigned n = 0; n < c.bytes / 4; ++n) {
      float x = 0;
      std::memcpy(&x, c.at[m] + 4 * n, 4);
      x = flushed(flushed(x) + flushed(sums[0][n] + sums[1][n]));
      std::memcpy(c.at[m] + 4 * n, &x, 4);
    }
  }
}

// The operand in memory of an instruction: its address without the index, the index, and the bytes that it takes.
struct Operand {
  std::int64_t address, index;
  int bytes;
};
Operand operand(const unsigned char* modrm, bool high_base, bool high_index, const greg_t* registers) {
  static constexpr int kNames[] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                                   REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
  const int mode = modrm[0] >> 6, rm = modrm[0] & 7;
  Operand found{0, 0, 1};
  int base = rm;
  if (rm == 4) {
    const int sib = modrm[found.bytes++];
    base = sib & 7;
    const int index = (sib >> 3 & 7) + (high_index ? 8 : 0);
    if (index != 4) found.index = registers[kNames[index]] << (sib >> 6);
  } else if (rm == 5 && mode == 0) {
    refuse("an address relative to the instruction");
  }
  const bool no_base = mode == 0 && base == 5;
  if (!no_base) found.address = registers[kNames[base + (high_base ? 8 : 0)]];
  if (mode == 1) found.address += static_cast<std::int8_t>(modrm[found.bytes++]);
  if (mode == 2 || no_base) {
    std::int32_t offset = 0;
    std::memcpy(&offset, modrm + found.bytes, 4);
    found.address += offset;
    found.bytes += 4;
  }
  return found;
}

// Carries out the instruction at `code`; how many bytes it has, or 0 if it is none of AMX.
int carry_out(const unsigned char* code, const greg_t* registers) {
  // VEX with three bytes: C4, then inverted R, X, B and the map, then W, inverted vvvv, L and the prefix.
  if (code[0] != 0xC4 || (code[1] & 0x1F) != 2 || (code[2] & 0x84) != 0) return 0;
  enum Prefix { kNone, k66, kF3, kF2 };
  const int prefix = code[2] & 3, opcode = code[3], vvvv = ~code[2] >> 3 & 15;
  const unsigned char* modrm = code + 4;
  const bool in_memory = modrm[0] >> 6 != 3;
  const unsigned reg = modrm[0] >> 3 & 7, rm = modrm[0] & 7;
  if (opcode == 0x5C && prefix == kF3 && !in_memory) {  // TDPBF16PS
    multiply(state.tile(reg), state.tile(rm), state.tile(static_cast<unsigned>(vvvv)));
    return 5;
  }
  if (opcode == 0x49 && prefix == kNone && modrm[0] == 0xC0) {  // TILERELEASE
    state = State{};
    return 5;
  }
  if (!in_memory) return 0;
  const Operand of = operand(modrm, (code[1] & 0x20) == 0, (code[1] & 0x40) == 0, registers);
  unsigned char* const memory = reinterpret_cast<unsigned char*>(of.address);
  if (opcode == 0x49 && prefix == kNone && reg == 0)  // LDTILECFG
    configure(memory + of.index);
  else if (opcode == 0x4B && prefix == kF2)  // TILELOADD
    load(state.tile(reg), memory, of.index);
  else if (opcode == 0x4B && prefix == kF3)  // TILESTORED
    store(state.tile(reg), memory, of.index);
  else
    return 0;
  return 4 + of.bytes;
}

void on_illegal(int, siginfo_t*, void* context) {
  greg_t* const registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
  const int bytes = carry_out(reinterpret_cast<const unsigned char*>(registers[REG_RIP]), registers);
  if (bytes == 0) refuse("an illegal instruction that is not one of AMX");
  registers[REG_RIP] += bytes;
}

}  // namespace

// From now on, on all threads.
bool emulate_amx() noexcept {
  struct sigaction action{};
  action.sa_sigaction = on_illegal;
  action.sa_flags = SA_SIGINFO | SA_NODEFER;
  return sigaction(SIGILL, &action, nullptr) == 0;
}

}  // namespace fastrnn
