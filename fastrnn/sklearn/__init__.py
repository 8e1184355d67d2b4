"""Estimators for scikit-learn; needs ``pip install 'fastrnn[sklearn]'``.

They go into its pipelines, cross-validation and grid search. `RNNClassifier` and `RNNForecaster` read rows of
numbers as windows of time, and pass `sklearn.utils.estimator_checks.check_estimator`; `RNNTagger` reads lists
of words. Nothing but parameters is set by ``__init__``; they are checked by `fit`.
"""

from ._tagger import RNNTagger
from ._windows import RNNClassifier, RNNForecaster

__all__ = ["RNNClassifier", "RNNForecaster", "RNNTagger"]
