"""Models for the usual tasks: built of layers, with fit, evaluate, predict, save and load."""

from fastrnn.models.classifier import Classification, SequenceClassifier
from fastrnn.models.forecaster import Forecaster, ForecastScore
from fastrnn.models.language_model import Evaluation, LanguageModel
from fastrnn.models.tagger import SequenceTagger, Tagging

__all__ = [
    "Classification",
    "Evaluation",
    "ForecastScore",
    "Forecaster",
    "LanguageModel",
    "SequenceClassifier",
    "SequenceTagger",
    "Tagging",
]
