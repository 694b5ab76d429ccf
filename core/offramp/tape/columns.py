"""The columns of a tape, in the order of the file.

    id index group truth stream subset                    what each sample is
    VOICE/logits  VOICE/classes (top k only)  VOICE/scores    what each voice said
    bytes/SPLIT/CODEC                                     how large its payload is

# k logits kept, S fused scores
"""

from dataclasses import dataclass

from offramp.tape.header import TapeHeader

TEXT = "text"
"""The dtype of a column of strings."""

SAMPLE_COLUMNS = ("id", "index", "group", "truth", "stream", "subset")


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    name: str
    dtype: str
    """numpy name, or TEXT."""
    width: int = 0
    """Numbers per sample; 0 for one number rather than a list of them."""


def columns_of(header: TapeHeader) -> list[Column]:
    columns = [
        Column(name="id", dtype="int64"),
        Column(name="index", dtype="int64"),
        Column(name="group", dtype="int64"),
        Column(name="truth", dtype="int32"),
        Column(name="stream", dtype=TEXT),
        Column(name="subset", dtype=TEXT),
    ]
    for voice in header.voices:
        columns.append(
            Column(name=logits_column(voice), dtype="float16" if header.top_k else "float32", width=header.kept)
        )
        if header.top_k:
            columns.append(
                Column(
                    name=classes_column(voice),
                    dtype="uint16" if header.classes <= 1 << 16 else "uint32",
                    width=header.kept,
                )
            )
        if header.has_scores(voice):
            columns.append(Column(name=scores_column(voice), dtype="float32", width=len(header.scores)))
    columns.extend(Column(name=bytes_column(entry.split, entry.codec), dtype="uint32") for entry in header.codecs)
    return columns


def logits_column(voice: str) -> str:
    return f"{voice}/logits"


def classes_column(voice: str) -> str:
    return f"{voice}/classes"


def scores_column(voice: str) -> str:
    return f"{voice}/scores"


def bytes_column(split: int, codec: str) -> str:
    return f"bytes/{split}/{codec}"
