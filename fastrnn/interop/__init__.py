"""Models and weights of other libraries: the only place that permutes gates.

`fastrnn.interop.onnx` writes and reads ONNX graphs, `fastrnn.interop.keras` weights as Keras has them. Those
of PyTorch need no conversion: ``layer.load_params(module.state_dict())``, and `fastrnn.torch` has modules.
"""
