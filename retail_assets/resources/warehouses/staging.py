"""The folder of the lake where Synapse finds files to load, reached through dagster-azure's ADLS2 resource."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from dagster_azure.adls2 import ADLS2Resource

FOLDER = "_staging/warehouse"


@dataclass(frozen=True)
class LakeStaging:
    """Container and folder of the lake. Signs in with the default Azure credential; nothing is opened yet."""

    account: str
    container: str
    folder: str
    endpoint_suffix: str = "core.windows.net"
    resource: "ADLS2Resource | None" = field(default=None, repr=False)

    def url(self, path: str) -> str:
        """Address of a file or folder of the lake as Synapse wants it.

        The dfs endpoint, because COPY INTO of Parquet with a managed identity needs that one:
        https://learn.microsoft.com/sql/t-sql/statements/copy-into-transact-sql
        """
        return f"https://{self.account}.dfs.{self.endpoint_suffix}/{self.container}/{self._inside(path)}"

    def upload(self, file: Path, *, path: str) -> None:
        client = self._files.get_file_client(self._inside(path))
        with file.open("rb") as stream:
            client.upload_data(stream, overwrite=True)

    def remove(self, path: str) -> None:
        """Delete a folder with its files."""
        self._files.delete_directory(self._inside(path))

    @cached_property
    def _files(self) -> Any:
        resource = self.resource or self._default_resource()
        return resource.adls2_client.get_file_system_client(self.container)

    def _default_resource(self) -> "ADLS2Resource":
        from dagster_azure.adls2 import ADLS2DefaultAzureCredential, ADLS2Resource  # slow, only Synapse needs it

        credential = ADLS2DefaultAzureCredential(kwargs={})
        return ADLS2Resource(storage_account=self.account, credential=credential, endpoint_suffix=self.endpoint_suffix)

    def _inside(self, path: str) -> str:
        return f"{self.folder}/{path}" if self.folder else path


def lake_staging(lake_uri: str) -> LakeStaging | None:
    """Staging in the lake of an `abfss://container@account.dfs…/folder` URI; None for any other lake."""
    parts = urlsplit(lake_uri)
    if parts.scheme not in ("abfss", "abfs") or not parts.hostname or not parts.username:
        return None
    account, _, suffix = parts.hostname.partition(".dfs.")
    return LakeStaging(
        account=account,
        container=parts.username,
        folder=parts.path.strip("/"),
        endpoint_suffix=suffix or "core.windows.net",
    )
