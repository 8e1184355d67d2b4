"""Word vectors: queries, files, evaluation. Names, arguments and defaults are gensim's."""
from ._read import read_vectors as read_vectors
from .keyedvectors import KeyedVectors as KeyedVectors
