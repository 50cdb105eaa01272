"""Frames that wait as Arrow files until it is their turn."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.feather

from retail_assets.engines import temporary
from retail_assets.engines.protocol import Frame, Spilled
from retail_assets.engines.writing.delta import as_arrow
from retail_assets.transforms.lineage import ColumnSources


def in_file(frame: Frame, folder: Path | None = None, *, sources: Callable[[], ColumnSources] = dict) -> Spilled:
    """The frame in a temporary file, which goes when the frame was read or nobody waits for it any more.

    Args:
        folder: where the file lies; the system's folder for temporary files without it.
        sources: finds the columns that the frame's columns come from.

    Raises:
        PermanentFailure: the folder cannot be written.
    """
    rows = as_arrow(frame)
    with temporary.writing(folder or Path(tempfile.gettempdir())):
        made = temporary.prepared(folder) if folder else None
        file = tempfile.NamedTemporaryFile(prefix=temporary.prefix("rows"), dir=made)  # noqa: SIM115
        pyarrow.feather.write_feather(rows, file.name)

    def read() -> pa.Table:
        with file:
            return pyarrow.feather.read_table(file.name, memory_map=False)

    return Spilled(read, sources)
