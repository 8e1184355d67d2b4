"""Word vectors: skip-gram and CBOW over any corpus, with gensim's names and arguments."""

from .corpus import Corpus as Corpus
from .keyedvectors import KeyedVectors as KeyedVectors
from .model import Word2Vec as Word2Vec
