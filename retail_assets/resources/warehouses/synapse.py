"""Azure Synapse as warehouse: a dedicated pool loads files of the lake, a serverless one shows the lake itself.

A dedicated pool reads no Delta tables, hence Parquet files staged beside them and COPY INTO with the workspace's
managed identity; CREATE TABLE and COPY INTO stay outside the transaction, which a dedicated pool demands.
"""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pyarrow.parquet
import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine

from retail_assets.resources.warehouses.backend import SCHEMA
from retail_assets.resources.warehouses.relational import (
    RelationalBackend,
    RelationalTransaction,
    ddl_text,
    sql_table,
)
from retail_assets.resources.warehouses.rows import CheckedRows
from retail_assets.resources.warehouses.sqlserver import host_of, naive_utc
from retail_assets.resources.warehouses.staging import FOLDER, LakeStaging
from retail_assets.tables.contract import Column, Table
from retail_assets.tables.warehouse import PUBLISHED
from retail_assets.windows import Window


class DedicatedTransaction(RelationalTransaction):
    def insert(self, table: Table, rows: CheckedRows) -> None:
        if rows.staged_in is None:
            raise ValueError(f"{table.path}: rows reach a dedicated pool through its staging table only")
        self._connection.exec_driver_sql(insert_statement(table, rows.staged_in))


class ServerlessTransaction(RelationalTransaction):
    """The view shows what the lake holds, so nothing moves; the count still proves that it shows these rows."""

    def delete(self, table: Table, window: Window | None) -> int:
        return 0

    def insert(self, table: Table, rows: CheckedRows) -> None:
        for _ in rows.bounded_chunks():  # the view would cut a text that is too long
            pass


class SynapseBackend(RelationalBackend):
    """What both pools share: a lake they read, and DDL outside of transactions."""

    def __init__(self, url: URL, *, staging: LakeStaging) -> None:
        super().__init__(url, host=host_of(url))
        self._staging = staging

    def _ddl_connection(self) -> AbstractContextManager[Connection]:
        return self._connect().execution_options(isolation_level="AUTOCOMMIT").connect()

    def _build_engine(self) -> Engine:
        # A failed statement has already ended the transaction in Synapse, and rolling back again is error 111214.
        return sa.create_engine(self._url, poolclass=sa.NullPool, ignore_no_transaction_on_rollback=True)


class SynapseDedicated(SynapseBackend):
    """A dedicated SQL pool."""

    transaction_class = DedicatedTransaction

    def create_statements(self, table: Table) -> list[str]:
        return [f"{ddl_text(sql_table(table), self._connect())}\n{layout_clause(table)}"]

    @contextmanager
    def staged(self, table: Table, rows: CheckedRows) -> Iterator[None]:
        name = f"staging_{table.name}_{uuid4().hex[:8]}"
        path = f"{FOLDER}/{name}"
        try:
            self._upload(table, rows, path)
            with self._translated(), self._ddl_connection() as connection:
                for statement in self.staging_statements(table, name=name, path=path):
                    connection.exec_driver_sql(statement)
            rows.staged_in = name
            yield
        finally:
            with self._translated(), self._ddl_connection() as connection:
                connection.exec_driver_sql(drop_statement(name))
            self._staging.remove(path)

    def staging_statements(self, table: Table, *, name: str, path: str) -> list[str]:
        heap = ddl_text(sql_table(replace(table, name=name)), self._connect())
        return [
            f"{heap}\nWITH (HEAP, DISTRIBUTION = ROUND_ROBIN)",
            copy_statement(name, self._staging.url(f"{path}/*.parquet")),
        ]

    def _upload(self, table: Table, rows: CheckedRows, path: str) -> None:
        schema = naive_utc(table.schema.empty_table()).schema
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "rows.parquet"
            with pyarrow.parquet.ParquetWriter(file, schema) as writer:
                for chunk in rows.bounded_chunks():
                    writer.write_table(naive_utc(chunk))
            self._staging.upload(file, path=f"{path}/rows.parquet")


class SynapseServerless(SynapseBackend):
    """A serverless pool: a view over the Delta table of each published table."""

    transaction_class = ServerlessTransaction

    def create_statements(self, table: Table) -> list[str]:
        location = self._staging.url(LAKE_PATHS[table.name])
        return [view_statement(table, location, self._connect())]

    def add_statements(self, table: Table, columns: Sequence[Column]) -> list[str]:
        """A view holds no rows: it is made anew."""
        if not columns:
            return []
        return [f"DROP VIEW [{SCHEMA}].[{table.name}]", *self.create_statements(table)]


LAKE_PATHS = {table.name: table.path for table in PUBLISHED}


def layout_clause(table: Table) -> str:
    """Facts are spread by product, so that their joins stay on one node; small tables are copied to every node.

    Never partitioned by day: a columnstore spread over 60 distributions would hold some 500 rows a segment.
    """
    if table.is_replicated:
        distribution = "REPLICATE"
    else:
        distribution = "HASH([product_id])" if "product_id" in table.column_names else "ROUND_ROBIN"
    return f"WITH (CLUSTERED COLUMNSTORE INDEX, DISTRIBUTION = {distribution})"


def copy_statement(name: str, address: str) -> str:
    """Columns are matched by position; the staged file is written in the contract's order."""
    return (
        f"COPY INTO [{SCHEMA}].[{name}] FROM '{_quoted(address)}' "
        "WITH (FILE_TYPE = 'PARQUET', CREDENTIAL = (IDENTITY = 'Managed Identity'), MAXERRORS = 0)"
    )


def insert_statement(table: Table, source: str) -> str:
    columns = ", ".join(f"[{name}]" for name in table.column_names)
    return f"INSERT INTO [{SCHEMA}].[{table.name}] ({columns}) SELECT {columns} FROM [{SCHEMA}].[{source}]"


def drop_statement(name: str) -> str:
    return f"IF OBJECT_ID('{SCHEMA}.{name}') IS NOT NULL DROP TABLE [{SCHEMA}].[{name}]"


def view_statement(table: Table, location: str, engine: Engine) -> str:
    """A view with the contract's types; OPENROWSET would otherwise guess varchar(8000) for every text."""
    typed = ", ".join(
        f"[{column.name}] {column.type.compile(dialect=engine.dialect)}" for column in sql_table(table).columns
    )
    names = ", ".join(f"[{name}]" for name in table.column_names)
    return (
        f"CREATE VIEW [{SCHEMA}].[{table.name}] AS SELECT {names} FROM "
        f"OPENROWSET(BULK '{_quoted(location)}/', FORMAT = 'DELTA') WITH ({typed}) AS lake_rows"
    )


def _quoted(text: str) -> str:
    return text.replace("'", "''")
