"""Layers: parameters, ``y = layer(x)`` for inference, ``y, pullback = layer.vjp(x)`` for training."""

from .activation import Activation as Activation
from .attention import AttentionPool as AttentionPool
from .attention import Energy as Energy
from .base import Layer as Layer
from .cells import *  # noqa: F403 - the list of cells, whatever is on it
from .composite import Composite as Composite
from .composite import Joined as Joined
from .cross_attention import Attention as Attention
from .dropout import Dropout as Dropout
from .embedding import Embedding as Embedding
from .lambda_layer import Lambda as Lambda
from .linear import Linear as Linear
from .parallel import Add as Add
from .parallel import Concat as Concat
from .parallel import Inputs as Inputs
from .parallel import Parallel as Parallel
from .parallel import Residual as Residual
from .pool import ConvMax as ConvMax
from .pool import Pool as Pool
from .recurrent import Recurrent as Recurrent
from .sequential import Sequential as Sequential
from .teacher_forcing import TeacherForcing as TeacherForcing
