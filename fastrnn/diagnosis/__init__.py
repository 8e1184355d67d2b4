"""Why a recurrent network does not learn: gradients that vanish or explode, gates that are stuck, cliffs.

>>> flow = fastrnn.diagnosis.gradient_flow(layer, x)     # flow.steps["h"][level, t, k]
>>> fastrnn.diagnosis.spectra(layer)                     # spectral radius and norm of recurrent matrices
>>> fastrnn.diagnosis.saturation(layer, x)               # share of open and shut gates
>>> fastrnn.diagnosis.gates(layer, x)                    # their values, ["f"][level, t, b, unit]
>>> plane = fastrnn.diagnosis.loss_plane(f, x, targets)  # the loss along two directions

All of them give arrays and leave the layer as it was; what has a ``plot`` needs ``pip install
'fastrnn[plot]'``.
"""

from ._flow import GradientFlow as GradientFlow
from ._flow import gradient_flow as gradient_flow
from ._plane import LossPlane as LossPlane
from ._plane import loss_plane as loss_plane
from ._weights import Saturation as Saturation
from ._weights import Spectrum as Spectrum
from ._weights import gates as gates
from ._weights import saturation as saturation
from ._weights import spectra as spectra
