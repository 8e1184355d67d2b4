"""Models for the usual tasks: built of layers, with fit, evaluate, predict, save and load."""

from fastrnn.models._beam import Hypothesis
from fastrnn.models.captioner import Captioner
from fastrnn.models.classifier import Classification, SequenceClassifier
from fastrnn.models.forecaster import Forecaster, ForecastScore
from fastrnn.models.language_model import Evaluation, LanguageModel
from fastrnn.models.mlp import MLP, Fit
from fastrnn.models.seq2seq import Seq2Seq, Translation
from fastrnn.models.span_finder import Answer, Finding, SpanFinder
from fastrnn.models.tagger import SequenceTagger, Tagging
from fastrnn.models.window_model import WindowLanguageModel

__all__ = [
    "MLP",
    "Answer",
    "Captioner",
    "Classification",
    "Evaluation",
    "Finding",
    "Fit",
    "ForecastScore",
    "Forecaster",
    "Hypothesis",
    "LanguageModel",
    "Seq2Seq",
    "SequenceClassifier",
    "SequenceTagger",
    "SpanFinder",
    "Tagging",
    "Translation",
    "WindowLanguageModel",
]
