"""The zoo: networks that `zoo:NAME` names, and what each was made for."""

from offramp.data.beats import PATIENT, WINDOW
from offramp.records import SampleSpec
from offramp.registry import Catalogue
from offramp_builder.zoo.beat_cnn import beat_cnn
from offramp_builder.zoo.camera_cnn import camera_cnn
from offramp_builder.zoo.ds_cnn import ds_cnn
from offramp_builder.zoo.ecg_cnn import ecg_cnn
from offramp_builder.zoo.factory import ZooEntry
from offramp_builder.zoo.mobilenet import mobilenet_v2
from offramp_builder.zoo.resnet import resnet18, resnet_cifar
from offramp_builder.zoo.vit import vit_small


def _image(side: int) -> SampleSpec:
    return SampleSpec(kind="image", shape=(side, side, 3), dtype="uint8")


_SOUND = SampleSpec(kind="audio", shape=(16_000,), dtype="int16")
_BEAT = SampleSpec(kind="ecg", shape=(256,), dtype="float32")
_BEAT_OF_PATIENT = SampleSpec(kind="ecg", shape=(WINDOW + PATIENT,), dtype="float32")

_CIFAR = [
    (
        f"resnet{layers}",
        ZooEntry(
            factory=resnet_cifar(layers), sample=_image(32), classes=10, summary=f"CIFAR ResNet of {layers} layers"
        ),
    )
    for layers in (8, 14, 20, 32, 44, 56, 110)
]

ZOO: Catalogue[ZooEntry] = Catalogue(
    "network in the zoo",
    [
        ("camera_cnn", ZooEntry(factory=camera_cnn, sample=_image(96), classes=10, summary="the demo's network")),
        *_CIFAR,
        ("resnet18", ZooEntry(factory=resnet18, sample=_image(224), classes=1000, summary="ResNet-18")),
        ("mobilenet_v2", ZooEntry(factory=mobilenet_v2, sample=_image(224), classes=1000, summary="MobileNetV2")),
        ("vit_small", ZooEntry(factory=vit_small, sample=_image(32), classes=10, summary="a small transformer")),
        ("ds_cnn", ZooEntry(factory=ds_cnn, sample=_SOUND, classes=12, summary="spoken words, 1 s at 16 kHz")),
        ("ecg_cnn", ZooEntry(factory=ecg_cnn, sample=_BEAT, classes=5, summary="ECG beats, one lead")),
        (
            "beat_cnn",
            ZooEntry(factory=beat_cnn, sample=_BEAT_OF_PATIENT, classes=5, summary="ECG beats beside the patient's"),
        ),
    ],
)
