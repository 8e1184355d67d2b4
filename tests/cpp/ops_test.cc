// The kernels around the cells under the sanitizers; see engine_test.cc.
#include "arrays.h"

namespace fastrnn {
namespace {

using namespace testing;

template <class T>
Results<T> run_linear(int threads, ptrdiff_t steps, ptrdiff_t rows, ptrdiff_t inputs, ptrdiff_t outputs, bool paired) {
  const auto x = draw<T>(steps * rows * inputs, 1), w = draw<T>(outputs * inputs, 2), b = draw<T>(outputs, 3);
  const auto dy = draw<T>(steps * rows * outputs, 4);
  Array<T> y(steps * rows * outputs), dx(steps * rows * inputs);
  auto dw = draw<T>(outputs * inputs, 5), db = draw<T>(outputs, 6);
  const void* pairs = pairs_of<T>(paired);
  Linear<T> a{steps,   rows,  inputs, outputs, {x, rows * inputs, inputs}, w, inputs, b, {y, rows * outputs, outputs},
              threads, pairs, {}};
  Array<T> scratch(table<T>().ops.linear_scratch(a));
  a.scratch = scratch;
  table<T>().ops.linear(a);
  LinearBackward<T> back{steps,
                         rows,
                         inputs,
                         outputs,
                         {dy, rows * outputs, outputs},
                         {x, rows * inputs, inputs},
                         w,
                         inputs,
                         {dx, rows * inputs, inputs},
                         false,
                         dw,
                         inputs,
                         db,
                         threads,
                         pairs,
                         {}};
  Array<T> more(table<T>().ops.linear_backward_scratch(back));
  back.scratch = more;
  table<T>().ops.linear_backward(back);
  Results<T> results;
  for (const Array<T>* r : {&y, &dx, &dw, &db}) results.add(*r);
  return results;
}

template <class T>
Results<T> run_loss(int threads, ptrdiff_t steps, ptrdiff_t rows, ptrdiff_t inputs, ptrdiff_t classes, bool paired) {
  const auto x = draw<T>(steps * rows * inputs, 1), w = draw<T>(classes * inputs, 2), b = draw<T>(classes, 3);
  auto targets = draw_tokens(steps * rows, classes, 4);
  targets[0] = -1;
  std::vector<ptrdiff_t> chain;  // from the last step on, the rows of a step as pairs
  for (ptrdiff_t t = steps; t-- > 0;) {
    for (ptrdiff_t i = t * rows; i < (t + 1) * rows; ++i)
      chain.push_back(targets[static_cast<std::size_t>(i)] < 0 ? -1 : i);
    if (paired && rows % 2 != 0) chain.push_back(-1);
  }
  Array<T> dx(steps * rows * inputs, T(0));
  auto dw = draw<T>(classes * inputs, 5), db = draw<T>(classes, 6);
  Results<T> results;
  for (bool gradients : {false, true}) {
    CrossEntropy<T> a{};
    a.rows = rows, a.inputs = inputs, a.classes = classes, a.threads = threads;
    a.chain = chain.data(), a.length = static_cast<ptrdiff_t>(chain.size());
    a.x = {x, rows * inputs, inputs};
    a.pairs = pairs_of<T>(paired);
    a.weight = w, a.bias = b, a.targets = targets, a.gradients = gradients, a.scale = T(0.5);
    if (gradients) a.dweight = dw, a.dbias = db, a.dx = {dx, rows * inputs, inputs};
    Array<T> scratch(table<T>().ops.cross_entropy_scratch(a));
    a.scratch = scratch;
    double loss = -1;
    CHECK(!table<T>().ops.cross_entropy(a, &loss));
    results.add(Array<T>(1, static_cast<T>(loss)));
  }
  for (const Array<T>* r : {&dx, &dw, &db}) results.add(*r);
  return results;
}

template <class T>
Results<T> run_lookup(int threads, ptrdiff_t steps, ptrdiff_t rows, ptrdiff_t columns) {
  const auto tokens = draw_tokens(steps * rows, 11, 1);
  const auto weight = draw<T>(11 * columns, 2);
  Array<T> y(steps * rows * columns), dropped(steps * rows * columns);
  auto dtable = draw<T>(11 * columns, 3);
  const auto& ops = table<T>().ops;
  ops.embedding({steps * rows, columns, tokens, weight, y, threads});
  const Rows<const T> rows_of_y{y, rows * columns, columns};
  ops.embedding_backward({steps, rows, columns, tokens, rows_of_y, dtable, threads});
  ops.dropout({steps, rows, columns, rows_of_y, {dropped, rows * columns, columns}, 7, 3, 1u << 30, T(4) / 3, threads});
  Results<T> results;
  for (const Array<T>* r : {&y, &dtable, &dropped}) results.add(*r);
  return results;
}

template <class T>
Results<T> run_nearest(int threads, ptrdiff_t queries, ptrdiff_t rows, ptrdiff_t depth, ptrdiff_t topn) {
  const auto query = draw<T>(queries * depth, 1), row = draw<T>(rows * depth, 2), scale = draw<T>(rows, 3);
  Array<T> score(queries * topn);
  std::vector<std::int64_t> index(static_cast<std::size_t>(queries * topn));
  Nearest<T> a{queries, rows, depth, topn, query, depth, row, depth, scale, score, index.data(), threads, {}};
  Array<T> scratch(table<T>().ops.nearest_scratch(a));
  a.scratch = scratch;
  table<T>().ops.nearest(a);
  Array<T> found(queries * topn);
  for (ptrdiff_t i = 0; i < queries * topn; ++i) {
    CHECK(index[static_cast<std::size_t>(i)] >= 0 && index[static_cast<std::size_t>(i)] < rows);
    found[i] = static_cast<T>(index[static_cast<std::size_t>(i)]);
  }
  Results<T> results;
  for (const Array<T>* r : {&score, &found}) results.add(*r);
  return results;
}

template <class T>
Results<T> run_pool(int threads, ptrdiff_t steps, ptrdiff_t rows, ptrdiff_t columns) {
  const auto x = draw<T>(steps * rows * columns, 1), dy = draw<T>(rows * columns, 2);
  const auto lengths = draw_tokens(rows, steps + 1, 3);
  Results<T> results;
  for (PoolKind kind : {PoolKind::kLast, PoolKind::kMean, PoolKind::kMax}) {
    Array<T> y(rows * columns), dx(steps * rows * columns);
    const Pool<T> a{steps,       rows, columns,          {x, rows * columns, columns},  lengths, kind,
                    columns / 2, y,    {dy, 0, columns}, {dx, rows * columns, columns}, threads};
    table<T>().ops.pool(a);
    table<T>().ops.pool_backward(a);
    for (const Array<T>* r : {&y, &dx}) results.add(*r);
  }
  return results;
}

template <class T>
Results<T> run_convolution(int threads, ptrdiff_t steps, ptrdiff_t rows, ptrdiff_t inputs, ptrdiff_t filters) {
  Results<T> results;
  for (ptrdiff_t width : {1, 3, 4}) {
    const auto x = draw<T>(steps * rows * inputs, 1), weight = draw<T>(filters * inputs * width, 2);
    const auto bias = draw<T>(filters, 3), dy = draw<T>(rows * filters, 4);
    const auto lengths = draw_tokens(rows, steps + 1, 5);
    Array<T> y(rows * filters), dx(steps * rows * inputs);
    auto dweight = draw<T>(filters * inputs * width, 6), dbias = draw<T>(filters, 7);
    std::vector<std::int32_t> at(static_cast<std::size_t>(rows * filters));
    const auto& ops = table<T>().ops;
    Convolution<T> a{steps, rows, inputs,    filters, width,  {x, rows * inputs, inputs}, lengths, weight,
                     bias,  y,    at.data(), threads, nullptr};
    Array<T> scratch(ops.convolution_scratch(a)), more(ops.convolution_backward_scratch(a));
    a.scratch = scratch;
    ops.convolution(a);
    ops.convolution_backward({a, at.data(), {dy, 0, filters}, {dx, rows * inputs, inputs}, dweight, dbias, more});
    for (const Array<T>* r : {&y, &dx, &dweight, &dbias}) results.add(*r);
  }
  return results;
}

template <class T>
Results<T> run_attention(int threads, ptrdiff_t queries, ptrdiff_t keys, ptrdiff_t rows, ptrdiff_t depth) {
  const ptrdiff_t width = depth + 3;
  const auto q = draw<T>(queries * rows * depth, 1), k = draw<T>(keys * rows * depth, 2);
  const auto v = draw<T>(keys * rows * width, 3), dcontext = draw<T>(queries * rows * width, 4);
  const auto energy = draw<T>(depth, 5);
  std::vector<std::uint8_t> mask(static_cast<std::size_t>(rows * keys), 1);
  mask[0] = 0;
  Results<T> results;
  for (const T* e : {static_cast<const T*>(nullptr), static_cast<const T*>(energy)}) {
    Array<T> weights(rows * queries * keys), context(queries * rows * width);
    Array<T> dq(queries * rows * depth), dk(keys * rows * depth), dv(keys * rows * width);
    auto denergy = draw<T>(depth, 6);
    const Attention<T> a{queries,
                         keys,
                         rows,
                         depth,
                         width,
                         {q, rows * depth, depth},
                         {k, rows * depth, depth},
                         {v, rows * width, width},
                         mask.data(),
                         e,
                         T(0.5),
                         weights,
                         {context, rows * width, width},
                         threads};
    table<T>().ops.attention(a);
    Array<T> scratch(table<T>().ops.attention_scratch(a));
    table<T>().ops.attention_backward({a,
                                       {dcontext, rows * width, width},
                                       {dq, rows * depth, depth},
                                       {dk, rows * depth, depth},
                                       {dv, rows * width, width},
                                       e == nullptr ? nullptr : static_cast<T*>(denergy),
                                       scratch});
    for (const Array<T>* r : {&weights, &context, &dq, &dk, &dv, &denergy}) results.add(*r);
  }
  return results;
}

template <class T>
Results<T> run_optimizers(int threads) {
  Results<T> results;
  for (int kind = 0; kind < 5; ++kind) {
    std::vector<Array<T>> kept;
    std::vector<Span<T>> spans;
    ptrdiff_t blocks = 0;
    for (ptrdiff_t n : {1, 17, 4096, 9001}) {
      for (std::uint64_t k = 0; k < 4; ++k) kept.push_back(draw<T>(n, k));
      const std::size_t at = kept.size() - 4;
      for (ptrdiff_t i = 0; i < n; ++i) kept[at + 3][i] = std::abs(kept[at + 3][i]);
      spans.push_back({n, kept[at], kept[at + 1], kind == 0 || kind == 4 ? nullptr : static_cast<T*>(kept[at + 2]),
                       kind >= 2 ? static_cast<T*>(kept[at + 3]) : nullptr});
      blocks += (n + kNormBlock - 1) / kNormBlock;
    }
    Array<double> partial(blocks);
    Optimizer<T> a{spans.data(),
                   static_cast<ptrdiff_t>(spans.size()),
                   true,
                   true,
                   0.5,
                   0.1,
                   0.01,
                   0.9,
                   0.1,
                   false,
                   0.9,
                   0.99,
                   1e-8,
                   true,
                   3,
                   threads,
                   partial,
                   true};
    if (kind == 0) a.momentum = 0;
    const auto& ops = table<T>().ops;
    const auto step = kind == 4 ? ops.adagrad : kind == 3 ? ops.rmsprop : kind == 2 ? ops.adam : ops.sgd;
    ops.clip_value(a);
    CHECK(ops.global_norm(a) == step(a));
    CHECK(ops.global_norm(a) == 0);  // zero_grad
    for (const auto& r : kept) results.add(r);
  }
  return results;
}

template <class T>
void test_ops() {
  for (int threads : {2, 3}) {
    for (const auto& s :
         {Shape{1, 1, 1, 1, 0}, Shape{3, 5, 17, 33, 0}, Shape{9, 31, 70, 300, 0}, Shape{1, 3, 40, 600, 0}}) {
      for (bool paired : {false, true}) {
        run_linear<T>(threads, s.steps, s.rows, s.inputs, s.hidden, paired)
            .check(run_linear<T>(1, s.steps, s.rows, s.inputs, s.hidden, paired));
        run_loss<T>(threads, s.steps, s.rows, s.inputs, s.hidden, paired)
            .check(run_loss<T>(1, s.steps, s.rows, s.inputs, s.hidden, paired));
      }
      run_lookup<T>(threads, s.steps, s.rows, s.hidden).check(run_lookup<T>(1, s.steps, s.rows, s.hidden));
    }
    run_nearest<T>(threads, 1, 1, 1, 1).check(run_nearest<T>(1, 1, 1, 1, 1));
    run_nearest<T>(threads, 2, 333, 17, 60).check(run_nearest<T>(1, 2, 333, 17, 60));
    run_nearest<T>(threads, 37, 333, 17, 60).check(run_nearest<T>(1, 37, 333, 17, 60));
    run_optimizers<T>(threads).check(run_optimizers<T>(1));
    for (const auto& s : {Shape{1, 1, 1, 1, 0}, Shape{7, 5, 17, 3, 0}, Shape{33, 9, 16, 2, 0}}) {
      run_pool<T>(threads, s.steps, s.rows, s.inputs).check(run_pool<T>(1, s.steps, s.rows, s.inputs));
      run_convolution<T>(threads, s.steps, s.rows, s.inputs, 19)
          .check(run_convolution<T>(1, s.steps, s.rows, s.inputs, 19));
      run_attention<T>(threads, s.hidden, s.steps, s.rows, s.inputs)
          .check(run_attention<T>(1, s.hidden, s.steps, s.rows, s.inputs));
    }
  }
  for (ptrdiff_t n : {0, 1, 15, 16, 17, 100})
    for (Map map : {Map::kExp, Map::kSigmoid, Map::kTanh}) {
      const auto x = draw<T>(n, 1);
      Array<T> y(n);
      table<T>().ops.map(map, x, y, n);
      Results<T>{}.add(y);
    }
  CHECK(table<T>().ops.fma_flops(10) > 0);
}

}  // namespace
}  // namespace fastrnn

int main() {
  fastrnn::test_ops<float>();
  fastrnn::test_ops<double>();
  std::puts("ok");
  return 0;
}
