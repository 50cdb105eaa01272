"""Where the lake is and how to reach it: table URIs, storage options, errors in one sentence.

Reading and writing rows is the engines' work; what is not a table (staged files) goes through `staging`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from uuid import uuid4

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError
from deltalake.fs import DeltaStorageHandler

from retail_assets.addresses import shown
from retail_assets.failures import PermanentFailure, RetailError
from retail_assets.lake.address import AzureAddress, azure_address
from retail_assets.lake.credentials import LakeCredentials, lake_credentials
from retail_assets.lake.errors import Tried, storage_failure
from retail_assets.settings import Settings
from retail_assets.tables.contract import Table

_UNUSABLE = set("[]^|%#?")
"""delta-rs 1.6 panics on a local path with one of these, or reads it as part of a URL."""

RETRIES = {
    "max_retries": "12",
    "retry_timeout": "45s",
    "connect_timeout": "10s",
    "timeout": "30s",
    "backoff_config.init_backoff": "200ms",
    "backoff_config.max_backoff": "5s",
    "backoff_config.base": "3",
}
"""A host that is gone fails within a minute: a request is tried for 45 seconds, and the last try takes 30 at most.

object_store's own default is three minutes: https://docs.rs/object_store/latest/object_store/struct.RetryConfig.html
"""

_REDACTION = "spark.redaction.regex"
_SECRET_NAMES = "(?i)secret|password|token|access[.]?key|account[.]key"
"""Settings Spark hides in its pages and logs: its own choice, and fs.azure.account.key, which it shows."""


class Lake:
    """The lake at a URI.

    Args:
        uri: folder, `abfss://` or `az://` URI.
        credentials: JSON of RETAIL_LAKE_CREDENTIALS; None for the default Azure credential, ignored for folders.
    """

    def __init__(self, uri: str, credentials: str | None = None) -> None:
        self.uri = uri.rstrip("/")
        self._text = credentials

    def __repr__(self) -> str:
        return f"Lake({shown(self.uri)!r})"

    @property
    def is_local(self) -> bool:
        return "://" not in self.uri or self.uri.startswith("file://")

    @cached_property
    def _credentials(self) -> LakeCredentials:
        return lake_credentials(self._text)

    @property
    def _address(self) -> AzureAddress:
        return azure_address(self.uri, self._credentials.account_name, suffix=self._credentials.suffix)

    @property
    def storage_options(self) -> dict[str, str] | None:
        """Options for delta-rs; they hold secrets and never belong in metadata.

        Raises:
            PermanentFailure: the credentials are wrong, or no identity gives a token.
        """
        if self.is_local:
            return None
        return {**RETRIES, "account_name": self._address.account, **self._credentials.delta_options()}

    @property
    def hadoop_options(self) -> dict[str, str]:
        """Settings of a Spark session that reads the lake; they hold secrets, as `storage_options` do."""
        if self.is_local:
            return {}
        options = self._credentials.hadoop_options(self._address.host)
        return {_REDACTION: _SECRET_NAMES, **{f"spark.hadoop.{name}": value for name, value in options.items()}}

    def table_uri(self, table: Table) -> str:
        return f"{self.uri}/{table.path}"

    def spark_table_uri(self, table: Table) -> str:
        """The table's address for Spark, whose driver wants the account in it."""
        if self.is_local:
            return self.table_uri(table)
        address = self._address
        return f"{self._credentials.hadoop_scheme}://{address.container}@{address.host}/{address.within(table.path)}"

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
        return storage_failure(text, self._tried(table.path))

    def check_writable(self) -> None:
        """Fail before any work when the lake cannot be written.

        Raises:
            PermanentFailure: no permission, wrong credentials, no such container, a file in the way, or a name
                delta-rs cannot hold.
            TransientFailure: the storage cannot be reached.
        """
        if self.is_local:
            self._check_folder()
        else:
            self._check_container()

    def _check_folder(self) -> None:
        unusable = sorted(_UNUSABLE & set(self.uri))
        if unusable:
            raise PermanentFailure(
                f"RETAIL_LAKE_URI {shown(self.uri)} contains {' '.join(unusable)}, which Delta tables cannot have in "
                "their path; choose another folder."
            )
        folder = Path(self.uri.removeprefix("file://"))
        try:
            folder.mkdir(parents=True, exist_ok=True)
            probe = folder / ".writable"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise PermanentFailure(
                f"RETAIL_LAKE_URI {shown(self.uri)} cannot be written: {error.strerror}; choose a folder you may "
                "write to."
            ) from None

    def _check_container(self) -> None:
        """Writes, lists and removes an empty file under a name of its own, as two runs may check at once."""
        name = f".writable-{uuid4().hex[:8]}"
        with self._errors("files"):
            storage = DeltaStorageHandler(self.uri, self.storage_options)
            storage.open_output_stream(name).close()
            storage.get_file_info([name])
            storage.delete_file(name)

    @contextmanager
    def _errors(self, path: str) -> Iterator[None]:
        try:
            yield
        except PermissionError:
            raise self._tried(path).refused from None
        except (OSError, DeltaError) as error:
            raise storage_failure(str(error), self._tried(path)) from None

    def _tried(self, path: str) -> Tried:
        if self.is_local:
            return Tried(shown(self.uri), path)
        sign_in = self._credentials.sign_in
        return Tried(shown(self.uri), path, sign_in.label, sign_in.grant)


def open_lake(settings: Settings) -> Lake:
    return Lake(settings.lake, settings.lake_credentials_secret)
