"""Files of a remote lake, fetched whole for DuckDB's own Parquet reader.

A pyarrow dataset asks the storage for every column of every row group, and its rows pass through Arrow twice: a day on
Azurite took 1.2 times what bare delta-rs takes, a month 1.5 times (`python -m bench.lake` has the figures with fetched
files). Files of a Delta table never change, so each is fetched once.
"""

import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from uuid import uuid4

from deltalake import DeltaTable
from deltalake.fs import DeltaStorageHandler

from retail_assets.engines.evolution import physical_columns
from retail_assets.resources.lake import Lake
from retail_assets.tables.contract import Table

SCAN_BYTES = 256 * 2**20
"""A scan of more than this is left to the dataset, which fetches only the columns that are asked for."""

_FOLDER_BYTES = 2 * 2**30
_THREADS = 8


class FetchedFiles:
    """A folder of fetched files, which goes with the object.

    Args:
        lake: where they come from.
        temp_folder: where the folder is made.
    """

    def __init__(self, lake: Lake, temp_folder: Path) -> None:
        self._lake = lake
        self._temp_folder = temp_folder
        self._held_bytes = 0

    @cached_property
    def _folder(self) -> tempfile.TemporaryDirectory[str]:
        self._temp_folder.mkdir(parents=True, exist_ok=True)
        return tempfile.TemporaryDirectory(prefix="fetched-", dir=self._temp_folder)

    def close(self) -> None:
        """Delete what was fetched."""
        if "_folder" in self.__dict__:
            self._folder.cleanup()
            del self.__dict__["_folder"]
            self._held_bytes = 0

    def of(self, table: Table, delta: DeltaTable, uris: Sequence[str]) -> list[str] | None:
        """Local paths of files of the table; None when they are too large to be fetched.

        Raises:
            PermanentFailure, TransientFailure: the storage refuses or cannot be reached.
        """
        sizes = delta._table.get_add_file_sizes()  # what delta-rs gives its own dataset
        depth = len(physical_columns(table)) + 1
        names = ["/".join(uri.split("/")[-depth:]) for uri in uris]
        missing = [name for name in names if not self._path(table, name).exists()]
        wanted, new = (sum(sizes[name] for name in some) for some in (names, missing))
        if wanted > SCAN_BYTES or self._held_bytes + new > _FOLDER_BYTES:
            return None
        storage = DeltaStorageHandler.from_table(delta._table, self._lake.storage_options, sizes)
        with self._lake.errors(table), ThreadPoolExecutor(_THREADS) as pool:
            list(pool.map(lambda name: self._fetch(storage, table, name), missing))
        self._held_bytes += new
        return [str(self._path(table, name)) for name in names]

    def _path(self, table: Table, name: str) -> Path:
        return Path(self._folder.name) / table.path / name

    def _fetch(self, storage: DeltaStorageHandler, table: Table, name: str) -> None:
        """Under another name until it is whole."""
        path, content = self._path(table, name), storage.open_input_file(name).read()
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f"{uuid4().hex}.unfinished")
        unfinished.write_bytes(content)
        unfinished.replace(path)
