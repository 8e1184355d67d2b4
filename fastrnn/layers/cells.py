"""The list of cells. A cell is one class statement; everything about layers is in ``Recurrent``."""

from .recurrent import Recurrent as _Recurrent


class LSTM(_Recurrent, cell="lstm", gates=4, states=("h", "c")):
    """Long short-term memory (Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000)::

        i, f, o = sigmoid(W x + b + R h + b')     g = tanh(W x + b + R h + b')
        c' = f * c + i * g                        h' = o * tanh(c')

    Gates are in PyTorch's order i, f, g, o; the state is (h, c). Parameters and calls: see `Recurrent`.
    """
