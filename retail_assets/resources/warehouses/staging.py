"""The folder of the lake where Synapse finds files to load, reached through dagster-azure's ADLS2 resource."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from retail_assets.lake.azure.address import PUBLIC, azure_address
from retail_assets.lake.azure.credentials import (
    AccountKey,
    Identity,
    SasToken,
    ServicePrincipal,
    SignIn,
    lake_credentials,
)

if TYPE_CHECKING:
    from dagster_azure.adls2 import ADLS2Resource

FOLDER = "_staging/warehouse"


@dataclass(frozen=True)
class LakeStaging:
    """Container and folder of the lake. Signs in as the lake does; nothing is opened yet.

    Args:
        credentials: JSON of RETAIL_LAKE_CREDENTIALS; None for the default Azure credential.
        resource: in place of the one made from the credentials.
    """

    account: str
    container: str
    folder: str
    endpoint_suffix: str = PUBLIC
    credentials: str | None = field(default=None, repr=False)
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
        return self._client().get_file_system_client(self.container)

    def _client(self) -> Any:
        sign_in = lake_credentials(self.credentials).sign_in
        if self.resource is None and isinstance(sign_in, ServicePrincipal):  # ADLS2Resource takes no principal
            from azure.storage.filedatalake import DataLakeServiceClient

            url = f"https://{self.account}.dfs.{self.endpoint_suffix}"
            return DataLakeServiceClient(url, credential=sign_in.azure_credential())
        return (self.resource or self._default_resource()).adls2_client

    def _default_resource(self) -> "ADLS2Resource":
        from dagster_azure.adls2 import ADLS2Resource  # slow, only Synapse needs it

        credential = _credential(lake_credentials(self.credentials).sign_in)
        return ADLS2Resource(storage_account=self.account, credential=credential, endpoint_suffix=self.endpoint_suffix)

    def _inside(self, path: str) -> str:
        return f"{self.folder}/{path}" if self.folder else path


def _credential(sign_in: SignIn) -> Any:
    """The resource's credential for a way of signing in."""
    from dagster_azure.adls2 import ADLS2DefaultAzureCredential, ADLS2Key, ADLS2SASToken

    if isinstance(sign_in, AccountKey):
        return ADLS2Key(key=sign_in.account_key)
    if isinstance(sign_in, SasToken):
        return ADLS2SASToken(token=sign_in.token)
    named = isinstance(sign_in, Identity) and sign_in.client_id
    return ADLS2DefaultAzureCredential(kwargs={"managed_identity_client_id": named} if named else {})


def lake_staging(lake_uri: str, credentials: str | None = None) -> LakeStaging | None:
    """Staging in the lake of an `abfss://container@account.dfs…/folder` URI; None for any other lake."""
    parts = urlsplit(lake_uri)
    if parts.scheme not in ("abfss", "abfs") or not parts.hostname or not parts.username:
        return None
    found = azure_address(lake_uri)
    return LakeStaging(found.account, found.container, found.folder, found.suffix, credentials=credentials)
