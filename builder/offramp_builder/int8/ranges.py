"""What every value of a network ranges over, by ONNX Runtime's calibrators."""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import onnx
import onnxruntime
from onnxruntime.quantization import CalibraterBase, CalibrationDataReader, MinMaxCalibrater, TensorsData
from onnxruntime.quantization.calibrate import EntropyCalibrater, PercentileCalibrater

from offramp.records import Array
from offramp.runtime.session import open_session
from offramp.runtime.threads import ensure_threads
from offramp_builder.int8.whole import Whole, only_logits

METHODS: Mapping[str, Callable[..., CalibraterBase]] = {
    "minmax": MinMaxCalibrater,
    "percentile": partial(PercentileCalibrater, num_bins=2048, percentile=99.99),
    "entropy": partial(EntropyCalibrater, num_bins=128, num_quantized_bins=128),
}
"""All that a value ever was; all but a ten-thousandth of that; what loses least, as Kullback and Leibler have it."""
_BATCH = 16
"""All values of so many samples are in memory at once: 0.5 GB for MobileNetV2 at 224 pixels."""


def ranges_of(whole: Whole, samples: Array, method: str) -> TensorsData:
    """By name of the value, as one of `METHODS` finds them over samples [N, *shape]."""
    (name,) = whole.features[0]
    with tempfile.TemporaryDirectory() as folder:
        place, augmented = Path(folder, "network.onnx"), Path(folder, "augmented.onnx")
        onnx.save(only_logits(whole), place)
        calibrator = METHODS[method](place, augmented_model_path=augmented)
        calibrator.augment_graph()
        calibrator.infer_session = shared_session(str(augmented))
        for first in range(0, len(samples), _BATCH):
            # One batch a call: the calibrator keeps all values of a call until its end.
            calibrator.collect_data(_Batch({name: samples[first : first + _BATCH]}))
        return calibrator.compute_data()


def shared_session(model: str | bytes) -> onnxruntime.InferenceSession:
    """On the process's one pool of threads; those that calibrators open themselves may not be beside it."""
    ensure_threads()
    options = onnxruntime.SessionOptions()
    options.use_per_session_threads = False
    return open_session(model, options)


class _Batch(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, inputs: Mapping[str, Array]) -> None:
        self._waiting: Iterator[Mapping[str, Array]] = iter((inputs,))

    def get_next(self) -> Mapping[str, Array] | None:
        return next(self._waiting, None)
