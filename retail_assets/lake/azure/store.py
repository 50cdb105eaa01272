"""A lake in an Azure storage account, or in Azurite."""

from dataclasses import dataclass, field
from functools import cached_property
from uuid import uuid4

from deltalake.fs import DeltaStorageHandler

from retail_assets.addresses import shown
from retail_assets.lake.azure.address import AzureAddress, azure_address
from retail_assets.lake.azure.credentials import LakeCredentials, lake_credentials
from retail_assets.lake.errors import Tried

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


@dataclass(frozen=True)
class AzureStore:
    """A container of a storage account.

    Args:
        uri: `abfss://` or `az://`.
        credentials_text: JSON of RETAIL_LAKE_CREDENTIALS; None for the default Azure credential.
    """

    uri: str
    credentials_text: str | None = field(default=None, repr=False)
    is_local: bool = False

    @cached_property
    def _credentials(self) -> LakeCredentials:
        return lake_credentials(self.credentials_text)

    @property
    def _address(self) -> AzureAddress:
        return azure_address(self.uri, self._credentials.account_name, suffix=self._credentials.suffix)

    @property
    def storage_options(self) -> dict[str, str]:
        return {**RETRIES, "account_name": self._address.account, **self._credentials.delta_options()}

    @property
    def hadoop_options(self) -> dict[str, str]:
        return self._credentials.hadoop_options(self._address.host)

    def spark_uri(self, path: str) -> str:
        """Hadoop's driver wants the account in the address."""
        address = self._address
        return f"{self._credentials.hadoop_scheme}://{address.container}@{address.host}/{address.within(path)}"

    def probe(self) -> None:
        """Writes, lists and removes an empty file under a name of its own, as two runs may check at once."""
        name = f".writable-{uuid4().hex[:8]}"
        storage = DeltaStorageHandler(self.uri, self.storage_options)
        storage.open_output_stream(name).close()
        storage.get_file_info([name])
        storage.delete_file(name)

    def tried(self, path: str) -> Tried:
        sign_in = self._credentials.sign_in
        return Tried(shown(self.uri), path, sign_in.label, sign_in.grant)
