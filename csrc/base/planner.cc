#include "base/planner.h"

#include <algorithm>
#include <cmath>

namespace fastrnn {
namespace {

constexpr double kBarrierCycles = 600;       // two cores that share a last-level cache
constexpr double kTeamCycles = 8000;         // starting a team
constexpr double kNearBytesPerCycle = 32;    // weights that stay in the second-level cache
constexpr double kFarBytesPerCycle = 20;     // others, where nothing hides it (K = N = 1024, Sapphire Rapids)
constexpr double kHiddenBytesPerCycle = 24;  // others, where multiplications go on meanwhile (K = 512, N = 2048, Zen 5)
constexpr ptrdiff_t kRowsPerPanel = 40;      // rows that share one pass over a panel in the first-level cache
constexpr ptrdiff_t kForwardChunkRows = 128, kBackwardChunkRows = 256;
// When each chunk fetches the input weights again (H = 1024 forward: 1.2x), or backward their gradients, both ways (H =
// 650: 1.03x; from twice the second level on, for a chunk's rows are packed and take memory; of pairs of bfloat16,
// whose products leave the gradients sooner, from H = 512: 1.03x).
constexpr ptrdiff_t kFarChunkRows = 512;

ptrdiff_t ceil_div(ptrdiff_t a, ptrdiff_t b) { return (a + b - 1) / b; }

bool near(double bytes, const Machine& m) { return bytes < 0.75 * static_cast<double>(m.l2_bytes); }

// Cycles of the recurrent product of one step with some rows on the thread with the largest share.
double step_cycles(const Shape& s, ptrdiff_t step_rows, const CellInfo& cell, ptrdiff_t element_bytes, const Machine& m,
                   int row_groups, int unit_groups) {
  const double rows = static_cast<double>(ceil_div(step_rows, row_groups));
  const double units = static_cast<double>(ceil_div(ceil_div(s.hidden, kBlock), unit_groups) * kBlock);
  const int gates = cell.recurrent_gates[0] + cell.recurrent_gates[1];
  const double bytes = units * gates * static_cast<double>(s.output() * element_bytes);
  const double fma = rows * bytes / static_cast<double>(m.fma_bytes);
  // A panel serves all rows of a thread before the next one comes from far, but only some while it is in the first
  // level.
  const double passes = std::ceil(rows / static_cast<double>(kRowsPerPanel));
  const double hidden_rate = near(bytes, m) ? kNearBytesPerCycle : kHiddenBytesPerCycle;
  const double product =
      near(bytes, m) || m.hides_far ? std::max(fma, passes * bytes / hidden_rate) : fma + bytes / kFarBytesPerCycle;
  // By row, the units of a row stay together and the threads that share its products out take whole rows in turn.
  const double cells = cell.by_row ? static_cast<double>(ceil_div(ceil_div(step_rows, row_groups), unit_groups) *
                                                         ceil_div(s.hidden, kBlock) * kBlock)
                                   : rows * units;
  const double pointwise = cells * 6 * static_cast<double>(cell.slots) / 4;
  return product + pointwise + (unit_groups > 1 ? cell.barriers * kBarrierCycles : 0);
}

// And of all steps.  Row groups share the rows of each step, of unlike lengths too.
double all_cycles(const Shape& s, const CellInfo& cell, ptrdiff_t element_bytes, const Machine& m, int row_groups,
                  int unit_groups) {
  const auto steps_with = [&](ptrdiff_t steps, ptrdiff_t rows) {
    if (steps == 0) return 0.0;
    return static_cast<double>(steps) * step_cycles(s, rows, cell, element_bytes, m, row_groups, unit_groups);
  };
  if (!s.ragged()) return steps_with(s.steps, s.rows);
  double cycles = 0;
  for (ptrdiff_t b = 0; b < s.rows; ++b)
    cycles += steps_with(s.length(b) - (b + 1 < s.rows ? s.length(b + 1) : 0), b + 1);
  return cycles;
}

}  // namespace

Decision decide(const Shape& s, const CellInfo& cell, ptrdiff_t element_bytes, const Machine& m) {
  const ptrdiff_t blocks = ceil_div(std::max<ptrdiff_t>(s.hidden, 1), kBlock);
  int best_rows = 1, best_units = 1;
  double best = 0;
  for (int units = 1; units <= std::min<ptrdiff_t>(m.threads, blocks); ++units) {
    const int rows =
        static_cast<int>(std::min<ptrdiff_t>({m.threads / units, std::max<ptrdiff_t>(s.rows, 1), kMostRowGroups}));
    const double cycles = all_cycles(s, cell, element_bytes, m, rows, units) + (rows * units > 1 ? kTeamCycles : 0);
    if (units == 1) {
      const double alone = all_cycles(s, cell, element_bytes, m, 1, 1);
      best = alone;
      best_rows = 1;
    }
    if (cycles < best) {
      best = cycles;
      best_rows = rows;
      best_units = units;
    }
  }
  const ptrdiff_t steps = std::max<ptrdiff_t>(s.steps, 1);
  const auto chunk = [&](ptrdiff_t rows) {
    const ptrdiff_t mean = std::max<ptrdiff_t>(s.between(0, s.steps) / steps, 1);
    return std::clamp<ptrdiff_t>(ceil_div(rows, mean), 1, steps);
  };
  Decision d{};
  const double all_input_bytes = static_cast<double>(cell.gates * s.hidden * s.inputs * element_bytes);
  const double input_bytes = all_input_bytes / best_units;
  // It takes less to pack weights again than to fetch them from the caches of other cores, up to some twice the second
  // level (docs/decisions/0002).
  const double recurrent_bytes =
      static_cast<double>((cell.recurrent_gates[0] + cell.recurrent_gates[1]) * s.hidden * s.output() * element_bytes);
  const double panel_bytes = recurrent_bytes + (s.vocabulary == 0 ? all_input_bytes : 0);
  const bool own_panels = best_rows > 1 && panel_bytes < 2 * static_cast<double>(m.l2_bytes);
  const ptrdiff_t forward_rows = near(input_bytes, m) ? kForwardChunkRows : kFarChunkRows;
  d.forward = {best_rows, best_units, chunk(forward_rows), nullptr, own_panels};
  const bool far = element_bytes == 2 ? !near(input_bytes, m) : input_bytes >= 2 * static_cast<double>(m.l2_bytes);
  d.backward = {best_rows, best_units, chunk(far ? kFarChunkRows : kBackwardChunkRows), nullptr, own_panels};
  // Of the products, h' and dh are sequential; x, dx and both weight gradients run at some 0.95 of the peak.
  const double hidden = static_cast<double>(s.hidden), inputs = static_cast<double>(s.inputs);
  const double row =
      static_cast<double>(s.rows * element_bytes) * hidden / static_cast<double>(m.fma_bytes * m.threads);
  const double by_input = row * cell.gates * inputs;  // cycles of one product
  const double by_hidden = row * (cell.recurrent_gates[0] + cell.recurrent_gates[1]) * static_cast<double>(s.output());
  const double sequential = s.steps == 0 ? 1 : best / static_cast<double>(s.steps);
  d.predicted_share = 3 * (by_input + by_hidden) / (2 * sequential + (by_hidden + 3 * by_input) / 0.95);
  return d;
}

}  // namespace fastrnn
