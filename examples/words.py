"""Vectors of the words of a text: python words.py FILE [--epochs N] [--size D] [--pairs FILE] [WORD ...].

Prints the mean loss of the first and the last epoch and the words nearest to those that are given; with
--pairs, a file of lines `word <tab> word <tab> human score`, how well cosines follow the scores (Spearman).
"""

import argparse

from fastrnn import Word2Vec

arguments = argparse.ArgumentParser(description="Train word vectors.")
arguments.add_argument("text", help="UTF-8; a line is a sentence")
arguments.add_argument(
    "words", nargs="*", help="words whose neighbours are shown; default: five frequent ones"
)
arguments.add_argument("--epochs", type=int, default=5)
arguments.add_argument("--size", type=int, default=100)
arguments.add_argument("--pairs")
options = arguments.parse_args()

model = Word2Vec(
    corpus_file=options.text, sg=1, vector_size=options.size, epochs=options.epochs, compute_loss=True
)
print(f"{len(model.wv)} words  loss {model.epoch_losses[0]:.3f} -> {model.epoch_losses[-1]:.3f}")
for word in options.words or model.wv.index_to_key[:5]:
    print(f"{word}: {' '.join(other for other, _ in model.wv.most_similar(word, topn=5))}")
if options.pairs:
    _, spearman, unknown = model.wv.evaluate_word_pairs(options.pairs)
    print(f"correlation {spearman.statistic:.3f}, {unknown:.0f} % of the pairs have unknown words")
