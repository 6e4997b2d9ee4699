"""Network definitions in plain PyTorch: what the exporters turn into ONNX and TFLite."""
