"""Recurrent networks trained on CPUs, close to the speed that the processor allows.

>>> layer = fastrnn.LSTM(64, 128, seed=0)
>>> y, state = layer(x)                        # x: [T, B, 64] float32
>>> (y, state), pullback = layer.vjp(x)        # for training
>>> dx, dstate = pullback(dy)                  # adds into layer.grads
"""

from typing import TYPE_CHECKING, Any

from . import _interpreter as _interpreter  # first: it may refuse
from . import functional as functional
from . import layers as layers
from . import losses as losses
from . import optim as optim
from ._core import available_isas as available_isas
from ._core import cache_info as cache_info
from ._core import clear_cache as clear_cache
from ._core import compiler as compiler
from ._core import get_num_threads as get_num_threads
from ._core import isa as isa
from ._core import openmp as openmp
from ._explain import explain as explain
from ._objective import value_and_grad as value_and_grad
from ._runtime import fma_peak as fma_peak
from ._runtime import set_num_threads as set_num_threads
from ._runtime import use_isa as use_isa
from .layers import Activation as Activation
from .layers import Add as Add
from .layers import Attention as Attention
from .layers import AttentionPool as AttentionPool
from .layers import Concat as Concat
from .layers import ConvMax as ConvMax
from .layers import Dropout as Dropout
from .layers import Embedding as Embedding
from .layers import Inputs as Inputs
from .layers import Lambda as Lambda
from .layers import Linear as Linear
from .layers import Pool as Pool
from .layers import Residual as Residual
from .layers import Sequential as Sequential
from .layers import TeacherForcing as TeacherForcing
from .layers.cells import *  # noqa: F403 - the list of cells, whatever is on it

if TYPE_CHECKING:
    from . import baselines as baselines
    from . import batches as batches
    from . import callbacks as callbacks
    from . import checkpoint as checkpoint
    from . import counted as counted
    from . import data as data
    from . import diagnosis as diagnosis
    from . import distributed as distributed
    from . import idx as idx
    from . import init as init
    from . import interop as interop
    from . import keras as keras
    from . import loggers as loggers
    from . import metrics as metrics
    from . import models as models
    from . import plot as plot
    from . import reference as reference
    from . import schedules as schedules
    from . import sklearn as sklearn
    from . import torch as torch
    from . import training as training
    from . import windows as windows
    from . import word2vec as word2vec
    from .counted import BagOfWordsLanguageModel as BagOfWordsLanguageModel
    from .counted import NGramLanguageModel as NGramLanguageModel
    from .models import MLP as MLP
    from .models import Captioner as Captioner
    from .models import Forecaster as Forecaster
    from .models import LanguageModel as LanguageModel
    from .models import Seq2Seq as Seq2Seq
    from .models import SequenceClassifier as SequenceClassifier
    from .models import SequenceTagger as SequenceTagger
    from .models import SpanFinder as SpanFinder
    from .models import WindowLanguageModel as WindowLanguageModel
    from .training import Trainer as Trainer
    from .word2vec import Doc2Vec as Doc2Vec
    from .word2vec import FastText as FastText
    from .word2vec import GloVe as GloVe
    from .word2vec import KeyedVectors as KeyedVectors
    from .word2vec import Phrases as Phrases
    from .word2vec import Word2Vec as Word2Vec

    __version__: str

# Found on first use, because they cost more to import than all the rest together.
_LAZY = {
    "MLP": "models",
    "Captioner": "models",
    "BagOfWordsLanguageModel": "counted",
    "Doc2Vec": "word2vec",
    "FastText": "word2vec",
    "GloVe": "word2vec",
    "Forecaster": "models",
    "KeyedVectors": "word2vec",
    "LanguageModel": "models",
    "NGramLanguageModel": "counted",
    "Phrases": "word2vec",
    "Seq2Seq": "models",
    "SequenceClassifier": "models",
    "SequenceTagger": "models",
    "SpanFinder": "models",
    "Trainer": "training",
    "WindowLanguageModel": "models",
    "Word2Vec": "word2vec",
}
_LAZY_MODULES = (
    "baselines",
    "batches",
    "callbacks",
    "checkpoint",
    "counted",
    "data",
    "diagnosis",
    "distributed",
    "idx",
    "init",
    "interop",
    "loggers",
    "metrics",
    "models",
    "plot",
    "reference",
    "schedules",
    "training",
    "windows",
    "word2vec",
)
_EXTRAS = ("keras", "sklearn", "torch")  # need packages of these names; not listed, so that help() needs none


if not TYPE_CHECKING:  # to a type checker it would make of every misspelt name an Any

    def __getattr__(name: str) -> Any:
        import importlib

        if name == "__version__":
            from importlib.metadata import version

            value: Any = version("fastrnn")
        elif name in _LAZY:
            value = getattr(importlib.import_module(f".{_LAZY[name]}", __name__), name)
        elif name in _LAZY_MODULES or name in _EXTRAS:
            return importlib.import_module(f".{name}", __name__)
        else:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY, *_LAZY_MODULES, "__version__"})
