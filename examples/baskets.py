"""Products that are bought together: python baskets.py [--baskets N] [--categories C] [--products P].

A basket is a sentence of product numbers in no order, so the window is as wide as the basket. Shoppers here
fill it from one or two categories, the popular products more often. A product's neighbours should be of its
category.
"""

import argparse

import numpy as np

from fastrnn import Word2Vec

arguments = argparse.ArgumentParser(description="Train vectors of products.")
arguments.add_argument("--baskets", type=int, default=20_000)
arguments.add_argument("--categories", type=int, default=12)
arguments.add_argument("--products", type=int, default=40, help="of a category")
options = arguments.parse_args()
C, P, SIZE = options.categories, options.products, 8

draw = np.random.default_rng(0)
popular = 1 / np.arange(1, P + 1)
wanted = draw.integers(0, C, (options.baskets, 2))  # the categories of a basket
category = np.take_along_axis(wanted, draw.integers(0, 2, (options.baskets, SIZE)), axis=1)
baskets = category * P + draw.choice(P, category.shape, p=popular / popular.sum())

model = Word2Vec(baskets, vector_size=32, window=SIZE, shrink_windows=False, sg=1, sample=0, ns_exponent=0.5)
products = np.array(model.wv.index_to_key)
nearest = np.array([[other for other, _ in model.wv.most_similar(product, topn=5)] for product in products])
share = (nearest // P == products[:, None] // P).mean()
print(f"{len(products)} products, of five neighbours {share:.3f} are of the category, by chance {1 / C:.3f}")
