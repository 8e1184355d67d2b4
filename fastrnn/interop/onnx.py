"""ONNX graphs of layers and models, written and read; needs ``pip install 'fastrnn[onnx]'``.

>>> fastrnn.interop.onnx.save(model, "model.onnx", lengths=True)
>>> layers = fastrnn.interop.onnx.load("model.onnx")
"""

from fastrnn.interop._onnx_export import export as export
from fastrnn.interop._onnx_export import save as save
from fastrnn.interop._onnx_import import load as load
from fastrnn.interop._onnx_inputs import inputs as inputs
