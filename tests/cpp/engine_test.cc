// The time loop of every cell under the sanitizers, through the table that the bindings use.  Memory that a kernel must
// write first holds NaN, and every way to share a call among threads gives the same bits.  What the numbers should be
// is tested from Python.
#include <algorithm>

#include "arrays.h"

namespace fastrnn {
namespace {

using namespace testing;

struct Options {
  bool bias, state, batch_first, everything;  // everything: all gradients are wanted, and the states have noise
  ptrdiff_t missing = 0;                      // elements that the scratch lacks: sabotage
  bool ragged = false;                        // rows of unlike lengths
};

// Of the rows of a batch: all steps, fewer and fewer, and one row without any.
struct Lengths {
  std::vector<ptrdiff_t> of, places;
  explicit Lengths(const Shape& s) : places(static_cast<std::size_t>(s.steps) + 1, 0) {
    for (ptrdiff_t b = 0; b < s.rows; ++b) of.push_back(s.steps - b * s.steps / std::max<ptrdiff_t>(s.rows - 1, 1));
    for (ptrdiff_t t = s.steps; t-- > 0;) {
      const auto rows = std::count_if(of.begin(), of.end(), [&](ptrdiff_t n) { return n > t; });
      places[static_cast<std::size_t>(t)] = places[static_cast<std::size_t>(t) + 1] + rows;
    }
  }
};

template <class T>
Rows<T> sequence(T* p, const Shape& s, ptrdiff_t columns, bool batch_first) {
  if (s.ragged()) return {p, 0, columns};
  if (batch_first) return {p, columns, s.steps * columns};
  return {p, s.rows * columns, columns};
}

// Forward, forward without keeping, and backward of one cell.
template <class T>
Results<T> run_cell(const RecurrentKernels<T>& kernel, const Shape& s, const Plan& plan, const Options& options) {
  const CellInfo& info = kernel.info;
  const ptrdiff_t rows = info.gates * s.hidden, states = info.states, output = s.output();
  const ptrdiff_t recurrent = info.recurrent_gates[0] * s.hidden;
  const ptrdiff_t second = info.projects ? output : info.recurrent_gates[1] * s.hidden;
  const ptrdiff_t places = s.between(0, s.steps);
  const auto w = draw<T>(rows * s.inputs, 1), r = draw<T>(recurrent * output, 2), b = draw<T>(rows, 3);
  const auto q = draw<T>(second * s.hidden, 8), p = draw<T>(info.units * s.hidden, 9);
  const ptrdiff_t input_gains = info.by_row ? rows : 0, recurrent_gains = info.by_row ? recurrent : 0;
  const ptrdiff_t inner = info.inner * s.hidden;
  const auto gi = draw<T>(input_gains, 40), gr = draw<T>(recurrent_gains, 41), gc = draw<T>(inner, 42);
  const auto bc = draw<T>(inner, 43);
  const auto c = draw<T>(recurrent, 4), x = draw<T>(places * s.inputs, 5), table = draw<T>(s.vocabulary * s.inputs, 6);
  const auto tokens = draw_tokens(places, s.vocabulary == 0 ? 1 : s.vocabulary, 7);
  const Array<T> zeros(s.hidden, T(0));
  Array<T> y(places * output), y_only(places * output);
  std::vector<Array<T>> initial, final, dfinal, dinitial;
  const auto width = [&](ptrdiff_t i) { return i == 0 ? output : s.hidden; };
  for (ptrdiff_t i = 0; i < states; ++i) {
    const ptrdiff_t cells = s.rows * width(i);
    initial.push_back(draw<T>(cells, 10 + static_cast<std::uint64_t>(i)));
    dfinal.push_back(draw<T>(cells, 20 + static_cast<std::uint64_t>(i)));
    final.emplace_back(cells);
    dinitial.emplace_back(cells);
  }
  Forward<T> f{};
  f.shape = s;
  f.plan = plan;
  if (s.vocabulary == 0) f.x = sequence<const T>(x, s, s.inputs, options.batch_first);
  if (s.vocabulary != 0) f.tokens = tokens, f.table = table;
  f.weights = {w,
               {r, q},
               options.bias ? static_cast<const T*>(b) : nullptr,
               options.bias ? static_cast<const T*>(c) : nullptr,
               p,
               gi,
               gr,
               gc,
               options.bias ? static_cast<const T*>(bc) : nullptr};
  for (std::size_t i = 0; i < initial.size(); ++i) {
    f.initial[i] = options.state ? initial[i] : zeros;
    f.initial_stride[i] = options.state ? width(static_cast<ptrdiff_t>(i)) : 0;
    f.final[i] = final[i];
  }
  const ptrdiff_t padded = (output + kBlock - 1) / kBlock * kBlock;
  const auto drop = draw<T>(s.rows * output, 50), side = draw<T>(places * s.hidden, 51);
  Array<T> dropped((s.rows + places) * padded), cells(places * s.hidden);
  std::vector<Array<T>> zone;
  for (ptrdiff_t i = 0; i < states; ++i) zone.push_back(draw<T>(places * width(i), 60 + static_cast<std::uint64_t>(i)));
  if (options.everything && recurrent > 0) f.noise.drop = {drop, 0, output}, f.noise.dropped = dropped;
  if (options.everything && !info.sees_made_states)
    for (std::size_t i = 0; i < zone.size(); ++i)
      f.noise.zone[i] = sequence<const T>(zone[i], s, width(static_cast<ptrdiff_t>(i)), options.batch_first);
  if (info.side) f.side = sequence<const T>(side, s, s.hidden, options.batch_first);
  if (info.side) f.cells = sequence<T>(cells, s, s.hidden, options.batch_first);
  // What a pass begins with: three rows for each one of the batch, which its steps share.
  const ptrdiff_t begin_row = (s.hidden + kBlock - 1) / kBlock * kBlock, kinds = 3;
  auto begin = draw<T>(kinds * s.rows * begin_row, 70);
  Array<T> dbegin(kinds * s.rows * begin_row, T(0));
  Array<std::int32_t> of(s.ragged() ? places : s.steps, 0);
  for (ptrdiff_t t = 0; t < s.steps; ++t) {
    const ptrdiff_t kind = t * kinds / s.steps;
    if (!s.ragged()) of[t] = static_cast<std::int32_t>(kind);
    for (ptrdiff_t b = 0; s.ragged() && b < s.count(t); ++b)
      of[s.place(t) + b] = static_cast<std::int32_t>(kind * s.rows + b);
  }
  for (ptrdiff_t i = 0; i < kinds * s.rows; ++i)
    for (ptrdiff_t unit = s.hidden; unit < begin_row; ++unit) begin[i * begin_row + unit] = T(0);
  const ptrdiff_t begin_step = s.ragged() ? 0 : s.rows * begin_row;
  const bool begins = info.slots == 1 && s.vocabulary == 0 && options.state;
  if (begins) f.begin = {{begin, begin_step, begin_row}, of};
  Sizes sizes = kernel.forward_sizes(s, plan, 0);
  {
    Array<T> saved(sizes.saved), stash(sizes.stash), panels(sizes.panels), scratch(sizes.scratch);
    f.y = sequence<T>(y_only, s, output, options.batch_first);
    f.saved = saved, f.stash = stash, f.panels = panels, f.scratch = scratch;
    CHECK(!kernel.forward(f));
  }
  sizes = kernel.forward_sizes(s, plan, plan.chunk);
  Array<T> saved(sizes.saved), stash(sizes.stash);
  {
    Array<T> panels(sizes.panels), scratch(sizes.scratch);
    f.keep = plan.chunk;
    f.y = sequence<T>(y, s, output, options.batch_first);
    f.saved = saved, f.stash = stash, f.panels = panels, f.scratch = scratch;
    CHECK(!kernel.forward(f));
  }
  Results<T> results;
  results.add(y_only);
  results.check([&] {
    Results<T> kept;
    kept.add(y);
    return kept;
  }());
  for (const auto& a : final) results.add(a);
  if (info.side) results.add(cells);

  const auto dy = draw<T>(places * output, 30);
  Array<T> dx(places * s.inputs), scratch(kernel.backward_sizes(s, plan).scratch - options.missing);
  Array<T> panels(kernel.backward_sizes(s, plan).panels);
  auto dtable = draw<T>(s.vocabulary * s.inputs, 31), dw = draw<T>(rows * s.inputs, 32);
  auto dr = draw<T>(recurrent * output, 33), db = draw<T>(rows, 34), dc = draw<T>(recurrent, 35);
  auto dq = draw<T>(second * s.hidden, 36), dp = draw<T>(info.units * s.hidden, 37);
  auto dgi = draw<T>(input_gains, 44), dgr = draw<T>(recurrent_gains, 45), dgc = draw<T>(inner, 46);
  auto dbc = draw<T>(inner, 47);
  Backward<T> g{};
  g.shape = s;
  g.plan = plan;
  g.x = {f.x.p, f.x.outer, f.x.inner};
  g.tokens = f.tokens;
  g.table = f.table;
  g.weights = f.weights;
  g.noise = f.noise;
  if (begins) g.dbegin = {{dbegin, begin_step, begin_row}, of};
  g.side = f.side;
  Array<T> dside(places * s.hidden);
  if (info.side) g.dside = sequence<T>(dside, s, s.hidden, options.batch_first);
  if (info.side) g.dcells = sequence<const T>(side, s, s.hidden, options.batch_first);
  g.y = {f.y.p, f.y.outer, f.y.inner};
  g.saved = saved, g.stash = stash, g.panels = panels, g.scratch = scratch;
  for (std::size_t i = 0; i < initial.size(); ++i) {
    g.initial[i] = f.initial[i];
    g.initial_stride[i] = f.initial_stride[i];
    if (options.everything) g.dfinal[i] = dfinal[i];
    g.dinitial[i] = dinitial[i];
  }
  const bool with_dx = options.everything && s.vocabulary == 0;
  g.dy = sequence<const T>(dy, s, output, options.batch_first);
  if (with_dx) g.dx = sequence<T>(dx, s, s.inputs, options.batch_first);
  if (options.everything && s.vocabulary != 0) g.dtable = dtable;
  g.grads.recurrent[0] = dr;
  g.grads.recurrent[1] = dq;
  g.grads.units = dp;
  if (options.everything) g.grads.input = dw;
  g.grads.input_gain = dgi, g.grads.recurrent_gain = dgr, g.grads.inner_gain = dgc;
  if (options.bias) g.grads.input_bias = db, g.grads.recurrent_bias = dc, g.grads.inner_bias = dbc;
  CHECK(!kernel.backward(g));
  if (with_dx) results.add(dx);
  if (info.side) results.add(dside);
  if (begins) results.add(dbegin);
  for (const Array<T>* a : {&dtable, &dw, &dr, &db, &dc, &dq, &dp, &dgi, &dgr, &dgc, &dbc}) results.add(*a);
  for (const auto& a : dinitial) results.add(a);
  return results;
}

template <class T>
void test_cells() {
  const Shape shapes[] = {{1, 1, 1, 1, 0},   {3, 2, 5, 17, 0},   {7, 9, 33, 15, 0},
                          {2, 50, 3, 65, 0}, {4, 3, 17, 130, 0}, {6, 7, 9, 33, 5}};
  const Options all[] = {{true, true, false, true},
                         {false, false, true, true},
                         {true, false, false, false},
                         {true, true, false, true, 0, true}};
  for (int cell = 0; cell < kCells; ++cell)
    for (Shape s : shapes)
      for (const Options& options : all) {
        if (sizeof(T) == sizeof(double) && s.hidden > 64) continue;  // the longest; the same code as of float
        if (options.ragged && s.rows < 3) continue;
        const Lengths lengths(s);
        s.lengths = options.ragged ? lengths.of.data() : nullptr;
        s.places = options.ragged ? lengths.places.data() : nullptr;
        const auto& kernel = table<T>().recurrent[cell];
        if (kernel.info.projects) s.projected = (s.hidden + 1) / 2;
        const int rows = static_cast<int>(s.rows < 3 ? s.rows : 3);
        const int blocks = static_cast<int>(s.hidden > 2 * kBlock ? 3 : s.hidden > kBlock ? 2 : 1);
        for (const void* pairs : {static_cast<const void*>(nullptr), pairs_of<T>(options.everything)}) {
          const Results<T> alone = run_cell<T>(kernel, s, {1, 1, s.steps, pairs}, options);
          for (const Plan& plan : {Plan{1, blocks, 1, pairs}, Plan{rows, 1, 2, pairs, options.bias},
                                   Plan{rows < 2 ? 1 : 2, blocks < 2 ? 1 : 2, 3, pairs, !options.bias}})
            run_cell<T>(kernel, s, plan, options).check(alone);
          if (pairs_of<T>(options.everything) == nullptr) break;
        }
      }
}

// Must end the process: a buffer that is too small where the sanitizer can see it, results that differ elsewhere.
void sabotage() {
  const auto& kernel = table<float>().recurrent[0];
  const Shape shape{3, 2, 5, 17, 0};
#if defined(__SANITIZE_ADDRESS__)
  run_cell<float>(kernel, shape, {1, 1, 1}, {true, true, false, true, 64});
#endif
  const auto right = run_cell<float>(kernel, shape, {1, 1, 1}, {true, true, false, true});
  run_cell<float>(kernel, shape, {1, 1, 1}, {true, false, false, true}).check(right);
}

}  // namespace
}  // namespace fastrnn

int main(int argc, char**) {
  if (argc > 1) fastrnn::sabotage();
  fastrnn::test_cells<float>();
  fastrnn::test_cells<double>();
  std::puts("ok");
  return 0;
}
