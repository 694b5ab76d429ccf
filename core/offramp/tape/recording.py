"""A recording: parts that survive a kill, then one tape.

    TAPE.parts/header.json          which recording this is
    TAPE.parts/part-00000.parquet   the first samples, written entirely or not at all
    TAPE.parts/part-00001.parquet   … in any order, by one process or several
    TAPE                            one row group a part, once all of them are there; the folder is gone then

Killed and resumed, it gives the same tape, byte for byte: what a part holds depends on its number alone.
"""

import os
import shutil
from pathlib import Path
from typing import Self

from offramp.errors import TapeError
from offramp.tape.header import TapeHeader, differences, header_from_json, header_to_json
from offramp.tape.parquet import Parquet
from offramp.tape.rows import TapeRows, encode

HEADER = "header.json"


class Recording:
    """A tape in the making. Several processes may hold the same one and write different parts."""

    def __init__(self, path: Path, header: TapeHeader) -> None:
        """Use `Recording.start`."""
        self.path = path
        self.header = header
        self._parquet = Parquet()
        self._text = header_to_json(header)

    @classmethod
    def start(cls, path: str | Path, header: TapeHeader) -> Self:
        """Begin a recording, or go on with the one that was begun at this path with the same header.

        Raises:
            TapeError: Another recording lies there; the message says in what it differs.
        """
        recording = cls(Path(path), header)
        if recording.path.exists():
            recording._refuse_another(recording.path, recording._parquet.header(recording.path)[0])
            # Killed between the tape's birth and its parts' end.
            shutil.rmtree(recording.folder, ignore_errors=True)
            return recording
        recording.folder.mkdir(parents=True, exist_ok=True)
        note = recording.folder / HEADER
        if note.exists():
            recording._refuse_another(note, note.read_text(encoding="utf-8"))
        else:
            beside = note.with_suffix(f".{os.getpid()}.tmp")
            beside.write_text(recording._text, encoding="utf-8")
            beside.replace(note)
        return recording

    @property
    def folder(self) -> Path:
        return self.path.with_name(self.path.name + ".parts")

    @property
    def is_finished(self) -> bool:
        return self.path.exists()

    def missing(self) -> list[int]:
        """Numbers of the parts that are still to be recorded; `header.part_range` says which samples each holds.

        A part that cannot be read, or is of another header, counts as missing: it is written again.
        """
        if self.is_finished:
            return []
        return [part for part in range(self.header.parts) if not self._is_there(part)]

    def write(self, part: int, rows: TapeRows) -> None:
        """Store one part; it is on disk when this returns.

        Raises:
            TapeError: The rows are not what the header promises.
        """
        first, stop = self.header.part_range(part)
        self._parquet.write(self._file(part), self._text, encode(rows, self.header, stop - first))

    def finish(self) -> Path:
        """Put the parts together into the tape and remove them; does nothing when that was done before.

        Raises:
            TapeError: A part is missing, or cannot be read; such a part is removed, so that it is recorded again.
        """
        if self.is_finished:
            return self.path
        missing = self.missing()
        if missing:
            raise TapeError(
                f"{len(missing)} of {self.header.parts} parts of {self.path} are not recorded, such as part "
                f"{missing[0]}; run the recording again to go on with it"
            )
        parts = [self._file(part) for part in range(self.header.parts)]
        try:
            self._parquet.merge(parts, self.path, beside=self.folder)
        except TapeError as error:
            bad = [part for part in parts if not self._parquet.is_sound(part)]
            for part in bad:
                part.unlink(missing_ok=True)
            removed = f"; removed {', '.join(part.name for part in bad)}, run the recording again" if bad else ""
            raise TapeError(f"{error}{removed}") from error
        shutil.rmtree(self.folder)
        return self.path

    def _file(self, part: int) -> Path:
        return self.folder / f"part-{part:05d}.parquet"

    def _is_there(self, part: int) -> bool:
        if not self._file(part).exists():
            return False
        first, stop = self.header.part_range(part)
        try:
            text, rows, _ = self._parquet.header(self._file(part))
        except TapeError:
            return False
        return text == self._text and rows == stop - first

    def _refuse_another(self, place: Path, text: str) -> None:
        if text != self._text:
            found = differences(header_from_json(text, str(place)), self.header)
            raise TapeError(
                f"{place} is of another recording ({'; '.join(found[:3])}); name another file, or delete that one"
            )
