"""Models for the usual tasks: built of layers, with fit, evaluate, save and load."""

from fastrnn.models.language_model import Evaluation, LanguageModel

__all__ = ["Evaluation", "LanguageModel"]
