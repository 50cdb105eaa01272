"""The DDL of every warehouse table and of the application database, so that a changed column shows in review.

Refresh the stored text after a wanted change: `python -m retail_assets_tests.unit.warehouse_ddl`.
"""

from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.dialects import mssql, postgresql, sqlite
from sqlalchemy.engine import make_url

from retail_assets.resources import app_database
from retail_assets.resources.warehouses import duckdb
from retail_assets.resources.warehouses.postgresql import PostgreSQL
from retail_assets.resources.warehouses.relational import RelationalBackend
from retail_assets.resources.warehouses.sqlserver import SQLServer
from retail_assets.resources.warehouses.staging import LakeStaging
from retail_assets.resources.warehouses.synapse import SynapseDedicated, SynapseServerless
from retail_assets.tables.contract import Table
from retail_assets.tables.warehouse import PUBLISHED

FILE = Path(__file__).with_name("warehouse_ddl.sql")
STAGING = LakeStaging(account="acme", container="lake", folder="retail")
MICROSOFT = make_url("mssql+pyodbc://u:p@h/d?driver=D")


def backends() -> dict[str, RelationalBackend]:
    return {
        "PostgreSQL": PostgreSQL(make_url("postgresql+psycopg://u:p@h/d")),
        "SQL Server": SQLServer(MICROSOFT),
        "Synapse dedicated": SynapseDedicated(MICROSOFT, staging=STAGING),
        "Synapse serverless": SynapseServerless(MICROSOFT, staging=STAGING),
    }


def text() -> str:
    return "\n".join(_statements()) + "\n"


def _statements() -> Iterator[str]:
    for table in PUBLISHED:
        yield from _section(f"DuckDB: {table.path}", duckdb.create_statement(table))
    for name, backend in backends().items():
        for table in PUBLISHED:
            yield from _section(f"{name}: {table.path}", *backend.create_statements(table), *_staging(backend, table))
    for dialect in (sqlite.dialect(), postgresql.dialect(), mssql.dialect()):
        for table in app_database.METADATA.sorted_tables:
            ddl = str(sa.schema.CreateTable(table).compile(dialect=dialect)).strip()
            yield from _section(f"application database on {dialect.name}: {table.name}", ddl)


def _staging(backend: RelationalBackend, table: Table) -> list[str]:
    if not isinstance(backend, SynapseDedicated):
        return []
    return backend.staging_statements(table, name=f"staging_{table.name}", path=f"staging/{table.name}")


def _section(title: str, *statements: str) -> Iterator[str]:
    yield f"-- {title}"
    for statement in statements:
        yield "\n".join(line.rstrip() for line in statement.splitlines()) + ";"
    yield ""


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
    print(f"written {FILE.name}")
