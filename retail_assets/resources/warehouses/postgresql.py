"""PostgreSQL as warehouse: rows go in by COPY, as CSV that Arrow writes, which Python code could not keep up with."""

import io

import psycopg
import pyarrow as pa
import pyarrow.csv
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, OperationalError

from retail_assets.resources.warehouses.backend import SCHEMA
from retail_assets.resources.warehouses.relational import RelationalBackend, RelationalTransaction
from retail_assets.resources.warehouses.rows import CheckedRows
from retail_assets.tables.contract import Table

# Arrow quotes every text and leaves a null bare, which is how COPY tells an empty text from NULL.
_CSV = pyarrow.csv.WriteOptions(include_header=False)


class PostgreSQLTransaction(RelationalTransaction):
    def insert(self, table: Table, rows: CheckedRows) -> None:
        driver = self._connection.connection.driver_connection
        assert driver is not None  # the pool gives live connections only
        statement = copy_statement(table)
        try:
            with driver.cursor() as cursor, cursor.copy(statement) as copy:
                for chunk in rows.chunks():
                    copy.write(csv_of(chunk))
        except psycopg.Error as error:  # COPY goes past SQLAlchemy, which would wrap it
            wrapped = OperationalError if isinstance(error, psycopg.OperationalError) else DBAPIError
            raise wrapped(statement, None, error) from None


class PostgreSQL(RelationalBackend):
    transaction_class = PostgreSQLTransaction

    def __init__(self, url: URL) -> None:
        super().__init__(url, host=f"{url.host or 'localhost'}:{url.port or 5432}")


def csv_of(chunk: pa.Table) -> memoryview:
    buffer = io.BytesIO()
    pyarrow.csv.write_csv(chunk, buffer, _CSV)
    return buffer.getbuffer()


def copy_statement(table: Table) -> str:
    columns = ", ".join(f'"{name}"' for name in table.column_names)
    return f'COPY {SCHEMA}."{table.name}" ({columns}) FROM STDIN (FORMAT csv)'
