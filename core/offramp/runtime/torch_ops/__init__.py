"""ONNX operators as torch functions, and graphs of them as programs.

No module here imports torch when it is imported: a board has none, and imports everything else of the core.
"""
