"""Files of a remote lake, fetched whole for DuckDB's own Parquet reader.

A pyarrow dataset asks the storage for every column of every row group, and its rows pass through Arrow twice: a day on
Azurite took 1.2 times what bare delta-rs takes, a month 1.5 times (`python -m bench.lake` has the figures with fetched
files). Files of a Delta table never change, so each is fetched once.
"""

import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import RLock
from uuid import uuid4

from deltalake import DeltaTable
from deltalake.fs import DeltaStorageHandler

from retail_assets.engines import temporary
from retail_assets.engines.writing.evolution import physical_columns
from retail_assets.lake.lake import Lake
from retail_assets.tables.contract import Table

SCAN_BYTES = 256 * 2**20
"""A scan of more than this is left to the dataset, which fetches only the columns that are asked for."""

_FOLDER_BYTES = 2 * 2**30
_THREADS = 8


class FetchedFiles:
    """A folder of fetched files, which goes with the object or its process; threads may share it.

    Args:
        lake: where they come from.
        temp_folder: where the folder is made.
    """

    def __init__(self, lake: Lake, temp_folder: Path) -> None:
        self._lake = lake
        self._temp_folder = temp_folder
        self._held_bytes = 0
        self._made: tempfile.TemporaryDirectory[str] | None = None
        self._lock = RLock()

    def close(self) -> None:
        """Delete what was fetched."""
        with self._lock:
            if self._made is not None:
                self._made.cleanup()
            self._made, self._held_bytes = None, 0

    def of(self, table: Table, delta: DeltaTable, uris: Sequence[str]) -> list[str] | None:
        """Local paths of files of the table; None when they are too large to be fetched.

        Raises:
            PermanentFailure: the storage refuses, or the folder for temporary files cannot be written.
            TransientFailure: the storage cannot be reached.
        """
        sizes = delta._table.get_add_file_sizes()  # what delta-rs gives its own dataset
        depth = len(physical_columns(table)) + 1
        names = ["/".join(uri.split("/")[-depth:]) for uri in uris]
        if sum(sizes[name] for name in names) > SCAN_BYTES:
            return None
        folder = self._folder / table.path
        paths = [folder / name for name in names]
        if not all(path.exists() for path in paths):
            with self._lock:  # who waits here finds most of its files when it is let in
                missing = [name for name, path in zip(names, paths, strict=True) if not path.exists()]
                if self._held_bytes + sum(sizes[name] for name in missing) > _FOLDER_BYTES:
                    return None
                self._fetch_all(table, delta, missing, sizes, folder)
        return [str(path) for path in paths]

    @property
    def _folder(self) -> Path:
        with self._lock:
            if self._made is None:
                with temporary.writing(self._temp_folder):
                    folder = temporary.prepared(self._temp_folder)
                    self._made = tempfile.TemporaryDirectory(prefix=temporary.prefix("fetched"), dir=folder)
            return Path(self._made.name)

    def _fetch_all(
        self, table: Table, delta: DeltaTable, names: Sequence[str], sizes: Mapping[str, int], folder: Path
    ) -> None:
        storage = DeltaStorageHandler.from_table(delta._table, self._lake.storage_options, dict(sizes))
        with ThreadPoolExecutor(_THREADS) as pool:
            fetches = {name: pool.submit(self._fetch, storage, table, name, folder / name) for name in names}
        self._held_bytes += sum(sizes[name] for name, fetch in fetches.items() if not fetch.exception())
        for fetch in fetches.values():
            fetch.result()

    def _fetch(self, storage: DeltaStorageHandler, table: Table, name: str, path: Path) -> None:
        """Under another name until it is whole."""
        with self._lake.errors(table):
            content = storage.open_input_file(name).read()
        unfinished = path.with_name(f"{uuid4().hex}.unfinished")
        with temporary.writing(self._temp_folder):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                unfinished.write_bytes(content)
                unfinished.replace(path)
            except OSError:
                unfinished.unlink(missing_ok=True)
                raise
