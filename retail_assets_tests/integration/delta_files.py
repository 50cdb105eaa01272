"""Reads a Delta table of a container without any Delta library: its log as JSON, its files as Parquet."""

import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
from azure.storage.blob import ContainerClient

from retail_assets.tables.contract import Table


def committed(container: ContainerClient, table: Table, *, folder: str = "retail") -> list[list[dict]]:
    """The actions of every commit, oldest first; a log with a checkpoint is more than this reads."""
    log = f"{folder}/{table.path}/_delta_log/"
    names = sorted(blob.name for blob in container.list_blobs(name_starts_with=log))
    assert not any("checkpoint" in name for name in names)
    texts = [container.download_blob(name).readall().decode() for name in names if name.endswith(".json")]
    return [[json.loads(line) for line in text.splitlines()] for text in texts]


def stored(container: ContainerClient, table: Table, *, folder: str = "retail") -> pa.Table:
    """The rows of the newest version, sorted by the table's key."""
    files: set[str] = set()
    for action in (action for commit in committed(container, table, folder=folder) for action in commit):
        if "add" in action:
            files.add(action["add"]["path"])
        if "remove" in action:
            files.discard(action["remove"]["path"])
    blobs = [container.download_blob(f"{folder}/{table.path}/{file}").readall() for file in sorted(files)]
    parts = [pq.ParquetFile(io.BytesIO(blob)).read(columns=table.column_names) for blob in blobs]
    rows = pa.concat_tables([part.cast(table.schema) for part in parts]) if parts else table.schema.empty_table()
    return rows.sort_by([(name, "ascending") for name in table.key])
