"""Where the lake is and how to reach it: table URIs, storage options, errors in one sentence.

Reading and writing rows is the engines' work. What one storage does differently is its store's: `local.py`, `azure/`.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError

from retail_assets.addresses import shown
from retail_assets.failures import PermanentFailure, RetailError
from retail_assets.lake.azure.store import AzureStore
from retail_assets.lake.errors import storage_failure
from retail_assets.lake.local import LocalStore, is_folder
from retail_assets.lake.store import Store
from retail_assets.settings import Settings
from retail_assets.tables.contract import Table

_REDACTION = "spark.redaction.regex"
_SECRET_NAMES = "(?i)secret|password|token|access[.]?key|account[.]key"
"""Settings Spark hides in its pages and logs: its own choice, and fs.azure.account.key, which it shows."""


def store_of(uri: str, credentials: str | None) -> Store:
    """The store of a URI, by its scheme; another cloud's is chosen here."""
    return LocalStore(uri) if is_folder(uri) else AzureStore(uri, credentials)


class Lake:
    """The lake at a URI.

    Args:
        uri: folder, `abfss://` or `az://` URI.
        credentials: JSON of RETAIL_LAKE_CREDENTIALS; None for the default Azure credential, ignored for folders.
    """

    def __init__(self, uri: str, credentials: str | None = None) -> None:
        self.uri = uri.rstrip("/")
        self._store = store_of(self.uri, credentials)

    def __repr__(self) -> str:
        return f"Lake({shown(self.uri)!r})"

    @property
    def is_local(self) -> bool:
        return self._store.is_local

    @property
    def storage_options(self) -> dict[str, str] | None:
        """Options for delta-rs; they hold secrets and never belong in metadata.

        Raises:
            PermanentFailure: the credentials are wrong, or no identity gives a token.
        """
        return self._store.storage_options

    @property
    def hadoop_options(self) -> dict[str, str]:
        """Settings of a Spark session that reads the lake; they hold secrets, as `storage_options` do."""
        options = self._store.hadoop_options
        spark = {f"spark.hadoop.{name}": value for name, value in options.items()}
        return {_REDACTION: _SECRET_NAMES, **spark} if spark else {}

    def table_uri(self, table: Table) -> str:
        return f"{self.uri}/{table.path}"

    def spark_table_uri(self, table: Table) -> str:
        """The table's address for Spark."""
        return self._store.spark_uri(table.path)

    def open(self, table: Table) -> DeltaTable | None:
        """The newest version of a table, or None where it was never written.

        Raises:
            PermanentFailure: the lake refuses (permission, credentials).
            TransientFailure: the lake cannot be reached.
        """
        with self.errors(table):
            try:
                return DeltaTable(self.table_uri(table), storage_options=self.storage_options)
            except TableNotFoundError:
                return None

    def require(self, table: Table) -> DeltaTable:
        """As `open`.

        Raises:
            PermanentFailure: the table was never written.
        """
        found = self.open(table)
        if found is None:
            raise PermanentFailure(
                f"The table {table.path} does not exist in {shown(self.uri)} yet: materialise it first."
            )
        return found

    @contextmanager
    def errors(self, table: Table) -> Iterator[None]:
        """Storage errors as one sentence that names the table and the lake."""
        with self._errors(table.path):
            yield

    def failure(self, table: Table, text: str) -> RetailError:
        """The sentence for a storage error of another library, such as Hadoop's driver in Spark."""
        return storage_failure(text, self._store.tried(table.path))

    def check_writable(self) -> None:
        """Fail before any work when the lake cannot be written.

        Raises:
            PermanentFailure: no permission, wrong credentials, no such container, a file in the way, or a name
                delta-rs cannot hold.
            TransientFailure: the storage cannot be reached.
        """
        with self._errors("files"):
            self._store.probe()

    @contextmanager
    def _errors(self, path: str) -> Iterator[None]:
        try:
            yield
        except PermissionError:
            raise self._store.tried(path).refused from None
        except (OSError, DeltaError) as error:
            raise storage_failure(str(error), self._store.tried(path)) from None


def open_lake(settings: Settings) -> Lake:
    return Lake(settings.lake, settings.lake_credentials_secret)
