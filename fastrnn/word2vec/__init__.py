"""Word vectors: training, queries, files, evaluation, phrases. Names, arguments and defaults are gensim's."""

from ._facebook import load_facebook_model as load_facebook_model
from ._facebook import load_facebook_vectors as load_facebook_vectors
from ._facebook import save_facebook_model as save_facebook_model
from ._read import read_vectors as read_vectors
from ._subwords import FastTextKeyedVectors as FastTextKeyedVectors
from .corpus import Corpus as Corpus
from .doc2vec import Doc2Vec as Doc2Vec
from .documents import Documents as Documents
from .documents import TaggedDocument as TaggedDocument
from .documents import TaggedLineDocument as TaggedLineDocument
from .fasttext import FastText as FastText
from .glove import GloVe as GloVe
from .keyedvectors import KeyedVectors as KeyedVectors
from .model import Word2Vec as Word2Vec
from .phrases import ENGLISH_CONNECTOR_WORDS as ENGLISH_CONNECTOR_WORDS
from .phrases import FrozenPhrases as FrozenPhrases
from .phrases import Phrases as Phrases
from .sentences import LineSentence as LineSentence
from .sentences import PathLineSentences as PathLineSentences
from .sentences import Text8Corpus as Text8Corpus
