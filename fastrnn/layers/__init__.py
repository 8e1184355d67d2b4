"""Layers: parameters, ``y = layer(x)`` for inference, ``y, pullback = layer.vjp(x)`` for training."""

from .base import Layer as Layer
from .cells import *  # noqa: F403 - the list of cells, whatever is on it
from .composite import Composite as Composite
from .dropout import Dropout as Dropout
from .embedding import Embedding as Embedding
from .linear import Linear as Linear
from .recurrent import Recurrent as Recurrent
from .sequential import Sequential as Sequential
