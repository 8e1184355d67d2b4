"""Vectors of the nodes of a graph: python walks.py [EDGES] [--walks N] [--length L].

Random walks are the sentences (DeepWalk: Perozzi et al. 2014). EDGES is a file of lines `node node`, numbers
from 0. Without one the graph has communities, drawn by chance, and a node's neighbours should be of its own;
the walks know nothing of them.
"""

import argparse

import numpy as np

from fastrnn import Word2Vec

arguments = argparse.ArgumentParser(description="Train vectors of nodes.")
arguments.add_argument("edges", nargs="?")
arguments.add_argument("--walks", type=int, default=10, help="from each node")
arguments.add_argument("--length", type=int, default=40)
options = arguments.parse_args()

draw = np.random.default_rng(0)
COMMUNITIES, SIZE = 8, 50
if options.edges:
    edges = np.loadtxt(options.edges, np.int64, ndmin=2)
else:
    community = np.repeat(np.arange(COMMUNITIES), SIZE)
    same = community[:, None] == community
    edges = np.argwhere(draw.random(same.shape) < np.where(same, 0.2, 0.005))
edges = np.concatenate([edges, edges[:, ::-1]])
edges = edges[np.argsort(edges[:, 0], kind="stable")]
nodes = int(edges.max()) + 1
first = np.searchsorted(edges[:, 0], np.arange(nodes + 1))  # edges[first[i] : first[i + 1]] are those of i
degree = np.diff(first)

at = np.tile(np.flatnonzero(degree), options.walks)
walks = np.empty((len(at), options.length), np.int64)
for step in range(options.length):
    walks[:, step] = at
    at = edges[first[at] + (draw.random(len(at)) * degree[at]).astype(np.int64), 1]

model = Word2Vec(walks, vector_size=32, sg=1, sample=0, compute_loss=True)
print(f"{len(model.wv)} nodes  loss {model.epoch_losses[0]:.3f} -> {model.epoch_losses[-1]:.3f}")
if not options.edges:
    names = np.array(model.wv.index_to_key)
    nearest = np.array([[other for other, _ in model.wv.most_similar(name, topn=5)] for name in names])
    share = (community[nearest] == community[names][:, None]).mean()
    print(f"of five neighbours {share:.3f} are of the same community, by chance {1 / COMMUNITIES:.3f}")
