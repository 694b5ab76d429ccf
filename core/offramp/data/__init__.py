"""Data sets and streams: readers, splits and camera-digits, on numpy and Pillow alone."""

from offramp.data.camera import Frame, camera_frames
from offramp.data.catalog import LOADERS, load
from offramp.data.dataset import DataSet, Part, Parts, split
from offramp.data.images import fit_image, read_image
from offramp.data.request import Loader, Request

__all__ = [
    "LOADERS",
    "DataSet",
    "Frame",
    "Loader",
    "Part",
    "Parts",
    "Request",
    "camera_frames",
    "fit_image",
    "load",
    "read_image",
    "split",
]
