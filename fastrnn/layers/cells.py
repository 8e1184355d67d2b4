"""The list of cells: what a class adds to ``Recurrent`` is which cell it runs."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from .. import _check
from .clockwork import ClockworkRNN
from .level import DepthPass as _DepthPass
from .recurrent import Recurrent as _Recurrent
from .scan import ScanPass, blocks_of
from .scrn import SCRN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .._typing import Array, Shape
    from .level import Call, LevelPass, Way
    from .prepared import Prepared

__all__ = ["GRU", "LSTM", "RNN", "SCRN", "ClockworkRNN", "DepthGatedLSTM", "MinGRU", "MinLSTM"]


def _norm(layer_norm: str | None) -> str:
    """Check the option: the end of the cell's name."""
    if layer_norm is None:
        return ""
    return "_norm" if _check.choice("layer_norm", layer_norm, ("all", "gate")) == "all" else "_norm_by_gate"


class RNN(_Recurrent):
    """The simple recurrent network (Elman 1990)::

        h' = F(W x + b + R h + b')

    The state is (h,). Other parameters and calls: see `Recurrent`.

    Parameters
    ----------
    nonlinearity : {"tanh", "relu", "sigmoid", "identity"}
        F. With "relu" and ``fastrnn.init.identity`` it is the IRNN of Le et al. 2015.
    """

    _own = MappingProxyType({"nonlinearity": "tanh"})

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        nonlinearity: str = "tanh",
        **options: Any,
    ) -> None:
        known = ("tanh", "relu", "sigmoid", "identity")
        self.nonlinearity = _check.choice("nonlinearity", nonlinearity, known)
        super().__init__(f"rnn_{nonlinearity}", ("h",), input_size, hidden_size, num_layers, **options)


class LSTM(_Recurrent):
    """Long short-term memory (Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000)::

        i, f, o = sigmoid(W x + b + R h + b')     g = tanh(W x + b + R h + b')
        c' = f * c + i * g                        h' = o * tanh(c')

    Gates are in PyTorch's order i, f, g, o; the state is (h, c). Other parameters and calls: see `Recurrent`.

    Parameters
    ----------
    peephole : {"diagonal", "full"}, optional
        i and f also see c, and o sees c': each unit its own, by ``weight_ch`` [3*H] (Gers and Schmidhuber
        2000), or all of them, by ``weight_ch`` [3*H, H]. Gates in the order i, f, o.
    coupled : bool
        i = 1 - f (CIFG, Greff et al. 2017): gates f, g, o, and three quarters of the work.
    proj_size : int
        P < H: h' = Q (o * tanh(c')) with Q = ``weight_hr`` [P, H], as in PyTorch (Sak et al. 2014,
        arXiv:1402.1128). y has P columns, h is [L*D, B, P], ``weight_hh`` [4*H, P]. 0: h is not projected.
    layer_norm : {"all", "gate"}, optional
        Layer normalisation (Ba, Kiros and Hinton 2016, arXiv:1607.06450, supplement)::

            i, f, o = sigmoid(LN(W x) + b + LN(R h) + b')     g = tanh(LN(W x) + b + LN(R h) + b')
            c' = f * c + i * g                                h' = o * tanh(LN(c') + b'')
            LN(a) = gain * (a - mean(a)) / sqrt(var(a) + 1e-5)

        mean and var are over all 4*H numbers of W x and of R h, as in the paper ("all"), or over the H of
        each gate ("gate"); of c' over its H. The gains are ``gain_ih``, ``gain_hh`` [4*H], ``gain_ch`` [H];
        b is ``bias_ih``, b' ``bias_hh``, b'' ``bias_ch`` [H].
    """

    _own = MappingProxyType({"peephole": None, "coupled": False, "proj_size": 0, "layer_norm": None})

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        peephole: str | None = None,
        coupled: bool = False,
        proj_size: int = 0,
        layer_norm: str | None = None,
        **options: Any,
    ) -> None:
        self.peephole, self.coupled = peephole, _check.flag("coupled", coupled)
        self.layer_norm = layer_norm
        if peephole is not None:
            _check.choice("peephole", peephole, ("diagonal", "full"))
        if coupled and peephole is not None:
            raise ValueError(f"peephole: expected None because coupled is True, got {peephole!r}")
        norm, peepholes = _norm(layer_norm), {None: "", "diagonal": "_peephole", "full": "_full_peephole"}
        if norm or proj_size:
            option, free, got = ("layer_norm", None, layer_norm) if norm else ("proj_size", 0, proj_size)
            others = {
                "coupled is True": coupled,
                f"peephole is {peephole!r}": peephole is not None,
                f"proj_size is {proj_size!r}": norm and proj_size,
            }
            for other in [text for text, given in others.items() if given]:
                raise ValueError(f"{option}: expected {free} because {other}, got {_check.describe(got)}")
        kind = norm or ("_coupled" if coupled else "_projected" if proj_size else peepholes[peephole])
        super().__init__(
            f"lstm{kind}", ("h", "c"), input_size, hidden_size, num_layers, proj_size=proj_size, **options
        )


class DepthGatedLSTM(_Recurrent):
    """LSTMs with cell states joined by gates (Yao et al. 2015, arXiv:1508.03790). Above the first level::

        d = sigmoid(W x + b + w_c * c + w_l * e)      c' = f * c + i * g + d * e

    where e is c' of the level below in the same step and direction; the rest, and the first level, is as
    `LSTM`. Gates are in the order i, f, g, o, d: ``weight_ih`` [5*H, D*H], ``bias_ih`` [5*H], ``weight_hh``
    [4*H, H] and ``bias_hh`` [4*H], which d has no part in; ``weight_ch`` [2*H] is w_c, w_l. The state is (h,
    c). Other parameters and calls: see `Recurrent`.

    Parameters
    ----------
    num_layers : int
        At least two.
    """

    def __init__(self, input_size: int, hidden_size: int, num_layers: int = 2, **options: Any) -> None:
        _check.integer("num_layers", num_layers, 2)
        super().__init__("lstm_depth_gated", ("h", "c"), input_size, hidden_size, num_layers, **options)

    def _cell_of(self, level: int) -> str:
        return self.cell if level else "lstm"

    def _kinds_of(self, level: int, width: int) -> dict[str, Shape]:
        if level:
            return self._kinds(width)
        kinds = {**self._kinds(width), "weight_ih": (4 * self.hidden_size, width)}
        if self.bias:
            kinds["bias_ih"] = kinds["bias_hh"]
        del kinds["weight_ch"]
        return kinds

    def _pack(self, named: Mapping[str, Array]) -> Any:
        levels = super()._pack(named)
        return [*[part[:4] for part in levels[: self.directions]], *levels[self.directions :]]

    def _run(self, weights: Any, way: Way, call: Call, below: Any) -> LevelPass:
        gives = way.level < self.num_layers - 1
        return _DepthPass(self._cell_of(way.level), weights, way, call, below, gives)

    def prepare(self) -> Prepared:
        """Raise ValueError: a level cannot go through a sequence without the level below."""
        raise ValueError("prepare: expected levels that see y of the level below alone, got DepthGatedLSTM")


class GRU(_Recurrent):
    """Gated recurrent unit (Cho et al. 2014)::

        r, z = sigmoid(W x + b + R h + b')
        n = tanh(W x + b + r * (R h + b'))        or  n = tanh(W x + b + R (r * h) + b')
        h' = (1 - z) * n + z * h

    Gates are in PyTorch's order r, z, n; the state is (h,). Other parameters and calls: see `Recurrent`.

    Parameters
    ----------
    reset : {"after", "before"}
        Whether r falls on the product, as in PyTorch and cuDNN, or on h before it, as in the paper.
    layer_norm : {"all", "gate"}, optional
        Layer normalisation (Ba, Kiros and Hinton 2016, arXiv:1607.06450, supplement, where z is our 1 - z)::

            r, z = sigmoid(LN(W x) + b + LN(R h) + b')
            n = tanh(LN(W x) + b + r * (LN(R h) + b'))
            LN(a) = gain * (a - mean(a)) / sqrt(var(a) + 1e-5)

        mean and var are over the 2*H numbers of r and z together and the H of n, as in the paper ("all"), or
        over the H of each gate ("gate"). The gains are ``gain_ih`` and ``gain_hh`` [3*H]; b is ``bias_ih``,
        b' ``bias_hh``. With reset="after" only.
    """

    _own = MappingProxyType({"reset": "after", "layer_norm": None})

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        reset: str = "after",
        layer_norm: str | None = None,
        **options: Any,
    ) -> None:
        self.reset = _check.choice("reset", reset, ("after", "before"))
        self.layer_norm = layer_norm
        name, norm = "gru" if reset == "after" else "gru_reset_before", _norm(layer_norm)
        if norm and reset == "before":
            raise ValueError(f"layer_norm: expected None because reset is 'before', got {layer_norm!r}")
        super().__init__(name + norm, ("h",), input_size, hidden_size, num_layers, **options)


class _Minimal(_Recurrent):
    """A cell whose gates do not see h."""

    _own = MappingProxyType({"scan": False})

    def __init__(
        self, cell: str, input_size: int, hidden_size: int, num_layers: int, scan: bool, options: Any
    ) -> None:
        self.scan = _check.flag("scan", scan)
        super().__init__(cell, ("h",), input_size, hidden_size, num_layers, **options)
        if self.scan and any(self.zoneout):
            raise ValueError(f"zoneout: expected 0 because scan is True, got {self.zoneout}")

    @property
    def _one_pass(self) -> bool:
        return True

    def _run(self, weights: Any, way: Way, call: Call, below: LevelPass | None) -> LevelPass:
        if not self.scan:
            return super()._run(weights, way, call, below)
        if way.lengths is not None:
            raise ValueError("lengths: expected None because scan is True, got some")
        rows, steps = call.x.shape[:2] if way.batch_first else call.x.shape[1::-1]
        if (blocks := blocks_of(steps, rows)) == 1:
            return super()._run(weights, way, call, below)
        return ScanPass(self.cell, weights, way, call, blocks, self.hidden_size)


class MinGRU(_Minimal):
    """minGRU (Feng et al. 2024, arXiv:2410.01201), whose gates do not see h::

        z = sigmoid(W x + b)    n = W x + b    h' = (1 - z) * h + z * n

    Gates are in the order z, n; the state is (h,). Other parameters and calls: see `Recurrent`.

    Parameters
    ----------
    scan : bool
        Cut long sequences into blocks that run side by side, as rows of a batch; not with `lengths` or
        `zoneout`. Pays for few rows and many steps. Results differ from those of the loop, and of
        ``step()``, in the last bits.
    """

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, *, scan: bool = False, **options: Any
    ) -> None:
        super().__init__("min_gru", input_size, hidden_size, num_layers, scan, options)


class MinLSTM(_Minimal):
    """minLSTM (Feng et al. 2024, arXiv:2410.01201) with normalised gates, which do not see h::

        f, i = sigmoid(W x + b)    n = W x + b    h' = (f * h + i * n) / (f + i)

    Gates are in the order f, i, n; the state is (h,). Other parameters and calls: see `Recurrent`.

    Parameters
    ----------
    scan : bool
        As for `MinGRU`.
    """

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, *, scan: bool = False, **options: Any
    ) -> None:
        super().__init__("min_lstm", input_size, hidden_size, num_layers, scan, options)
