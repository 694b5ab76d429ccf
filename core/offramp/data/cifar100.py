"""`cifar100:FOLDER`: CIFAR-100 with its 100 fine labels, in either published version; neither is unpickled.

train.bin  test.bin     the binary version: coarse label, fine label, picture
train  test             the python version, read by its opcodes
"""

from pathlib import Path

from offramp.data.cifar import Batch, joined, read_binary, read_python
from offramp.data.dataset import DataSet
from offramp.data.request import Request
from offramp.errors import DataError

LABELS = tuple(
    """
    apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle
    bowl boy bridge bus butterfly camel can castle caterpillar cattle
    chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur
    dolphin elephant flatfish forest fox girl hamster house kangaroo keyboard
    lamp lawn_mower leopard lion lizard lobster man maple_tree motorcycle mountain
    mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree
    plain plate poppy porcupine possum rabbit raccoon ray road rocket
    rose sea seal shark shrew skunk skyscraper snail snake spider
    squirrel streetcar sunflower sweet_pepper table tank telephone television tiger tractor
    train trout tulip turtle wardrobe whale willow_tree wolf woman worm
    """.split()  # noqa: SIM905 - ten lines that one can read, instead of a hundred
)
"""In the publisher's order."""


def load_cifar100(path: str, _request: Request, /) -> DataSet:
    """50,000 + 10,000 pictures of shape (32, 32, 3).

    Raises:
        DataError: One of the two files is missing or damaged.
    """
    folder = Path(path)
    for place in (folder, folder / "cifar-100-binary", folder / "cifar-100-python"):
        if (place / "train.bin").is_file():
            return joined("cifar100", LABELS, [_read_binary(place / "train.bin")], _read_binary(place / "test.bin"))
        if (place / "train").is_file():
            return joined("cifar100", LABELS, [_read_python(place / "train")], _read_python(place / "test"))
    raise DataError(
        f"{folder} holds no CIFAR-100; give a folder with train.bin and test.bin, or with the python version's train "
        f"and test"
    )


def _read_binary(path: Path) -> Batch:
    return read_binary(path, labels=2)


def _read_python(path: Path) -> Batch:
    return read_python(path, key="fine_labels")
