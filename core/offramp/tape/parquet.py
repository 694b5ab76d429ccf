"""The only place that meets pyarrow: columns to Parquet and back.

Numbers are stored plainly (no dictionary, zstd), lists with a fixed length, and every page carries a checksum.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offramp.errors import MissingExtraError, TapeError
from offramp.tape.columns import TEXT, Column

Array = NDArray[Any]
KEY = b"offramp.tape"
"""Where the header lies in the file's metadata."""


class Parquet:
    """Reads and writes; holds nothing but the library.

    Raises:
        MissingExtraError: pyarrow is not installed.
    """

    def __init__(self) -> None:
        try:
            import pyarrow as pa
            from pyarrow import parquet as pq
        except ImportError as error:
            raise MissingExtraError("pyarrow", "evaluation", "reading or writing a tape") from error
        self._pa: Any = pa
        self._pq: Any = pq

    def write(self, path: Path, header: str, columns: Sequence[tuple[Column, Array]]) -> None:
        """One row group, there entirely or not at all: written beside, forced to disk, then renamed."""
        arrays = [self._to_arrow(column, values) for column, values in columns]
        names = [column.name for column, _ in columns]
        table = self._pa.table(arrays, names=names).replace_schema_metadata({KEY: header})
        self._write_tables(path, table.schema, [table], path.parent)

    def merge(self, parts: Sequence[Path], path: Path, *, beside: Path) -> None:
        """Row groups of several files into one file, in their order; one row group is in memory at a time.

        What is not finished lies in the folder `beside`, on the same disk.
        """
        schema = self._reading(parts[0], lambda: self._open(parts[0]).schema_arrow)
        self._write_tables(path, schema, map(self._table, parts), beside)

    def is_sound(self, path: Path) -> bool:
        """Whether every page of the file can be read."""
        try:
            self._table(path)
        except TapeError:
            return False
        return True

    def header(self, path: Path) -> tuple[str, int, list[str]]:
        """The header's text, the number of rows and the names of the columns.

        Raises:
            TapeError: Not a Parquet file, or none of ours.
        """

        def look() -> tuple[str, int, list[str]]:
            file = self._open(path)
            text = (file.schema_arrow.metadata or {}).get(KEY)
            if text is None:
                raise TapeError(f"{path} is a Parquet file but no tape: it has no {KEY.decode()} header")
            return text.decode(), file.metadata.num_rows, file.schema_arrow.names

        found: tuple[str, int, list[str]] = self._reading(path, look)
        return found

    def read(self, path: Path, column: Column) -> Array:
        """One column as a read-only array: [N], or [N, width].

        Raises:
            TapeError: The column is corrupt or of another type than the header says.
        """

        def decode() -> Any:
            return self._open(path).read([column.name], use_threads=False).column(0).combine_chunks()

        array = self._reading(path, decode)
        if column.dtype == TEXT:
            values: Array = np.array(array.to_pylist(), dtype=np.str_)
            values.flags.writeable = False
            return values
        flat = array.flatten() if column.width else array
        # A view on what Arrow decoded: no second copy.
        values = flat.to_numpy(zero_copy_only=True)
        if values.dtype != np.dtype(column.dtype) or len(values) != len(array) * max(column.width, 1):
            raise TapeError(f"{path}: the column {column.name} holds {array.type}, not {column.dtype} x {column.width}")
        return values.reshape(len(array), column.width) if column.width else values

    def _to_arrow(self, column: Column, values: Array) -> Any:
        if column.dtype == TEXT:
            return self._pa.array(values.tolist(), self._pa.string())
        flat = self._pa.array(values.reshape(-1))
        return self._pa.FixedSizeListArray.from_arrays(flat, column.width) if column.width else flat

    def _table(self, path: Path) -> Any:
        return self._reading(path, lambda: self._open(path).read(use_threads=False))

    def _write_tables(self, path: Path, schema: Any, tables: Iterable[Any], folder: Path) -> None:
        try:
            with _replacing(path, folder) as beside, self._writer(beside, schema) as writer:
                for table in tables:
                    writer.write_table(table, row_group_size=table.num_rows)
        except OSError as error:
            raise TapeError(f"{path} cannot be written: {error}") from error

    def _open(self, path: Path) -> Any:
        # pre_buffer reads whole row groups ahead; mapped, only the pages of the columns asked for are touched.
        return self._pq.ParquetFile(path, memory_map=True, pre_buffer=False, page_checksum_verification=True)

    def _writer(self, path: Path, schema: Any) -> Any:
        text = [field.name for field in schema if field.type == self._pa.string()]
        return self._pq.ParquetWriter(
            path,
            schema,
            compression="zstd",
            # Names repeat; numbers do not.
            use_dictionary=text,
            write_statistics=False,
            write_page_checksum=True,
        )

    def _reading(self, path: Path, act: Callable[[], Any]) -> Any:
        try:
            return act()
        except FileNotFoundError as error:
            raise TapeError(f"there is no tape at {path}; record one with `offramp evaluate record`") from error
        except (self._pa.ArrowException, OSError) as error:
            raise TapeError(f"{path} is no tape, or a corrupt one ({error}); record it again") from error


@contextmanager
def _replacing(path: Path, folder: Path) -> Iterator[Path]:
    """A path in `folder` which becomes `path` when all went well, and vanishes when not."""
    # The process id, so that two recorders of one part do not write into one file.
    beside = folder / f".{path.name}.{os.getpid()}.tmp"
    try:
        yield beside
        # The content must be on disk before the name points to it, or a power cut leaves an empty file.
        with beside.open("rb") as file:
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
