"""Frames that wait as Arrow files until it is their turn."""

import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.feather

from retail_assets.engines.delta import as_arrow
from retail_assets.engines.protocol import Frame, SetAside


def in_file(frame: Frame, folder: Path | None = None) -> SetAside:
    """The frame in a temporary file, which goes when the frame was read or nobody waits for it any more.

    Args:
        folder: where the file lies; the system's folder for temporary files without it.
    """
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    file = tempfile.NamedTemporaryFile(prefix="retail-", suffix=".arrow", dir=folder)  # noqa: SIM115
    pyarrow.feather.write_feather(as_arrow(frame), file.name)

    def read() -> pa.Table:
        with file:
            return pyarrow.feather.read_table(file.name, memory_map=False)

    return read
