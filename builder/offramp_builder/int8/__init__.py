"""Heads in int8: the stages and branches that a device runs, quantised by ONNX Runtime's toolkit."""
