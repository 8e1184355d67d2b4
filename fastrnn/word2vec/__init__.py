"""Word vectors: training, queries, files, evaluation, phrases. Names, arguments and defaults are gensim's."""

from ._read import read_vectors as read_vectors
from .corpus import Corpus as Corpus
from .keyedvectors import KeyedVectors as KeyedVectors
from .model import Word2Vec as Word2Vec
from .phrases import ENGLISH_CONNECTOR_WORDS as ENGLISH_CONNECTOR_WORDS
from .phrases import FrozenPhrases as FrozenPhrases
from .phrases import Phrases as Phrases
