"""The parts of an Azure lake's URI: container, account, folder, and the host Hadoop and Synapse want."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from retail_assets.addresses import shown, unreadable
from retail_assets.failures import PermanentFailure

PUBLIC = "core.windows.net"


@dataclass(frozen=True)
class AzureAddress:
    """Where a lake lies in a storage account."""

    account: str
    container: str
    folder: str
    suffix: str = PUBLIC

    @property
    def host(self) -> str:
        return f"{self.account}.dfs.{self.suffix}"

    def within(self, path: str) -> str:
        """Path of something of the lake, from the container's root."""
        return f"{self.folder}/{path}" if self.folder else path


def azure_address(uri: str, account_name: str | None = None, *, suffix: str = PUBLIC) -> AzureAddress:
    """The parts of `abfss://container@account.dfs.core.windows.net/folder` or `az://container/folder`.

    Args:
        account_name: where the URI names none.
        suffix: of hosts, where the URI has none.

    Raises:
        PermanentFailure: another scheme, no container, or no account named anywhere.
    """
    try:
        parts = urlsplit(uri)
    except ValueError:
        raise unreadable(uri, "RETAIL_LAKE_URI") from None
    folder = parts.path.strip("/")
    if parts.scheme in ("abfss", "abfs") and parts.username and parts.hostname and ".dfs." in parts.hostname:
        account, _, own_suffix = parts.hostname.partition(".dfs.")
        return AzureAddress(account, parts.username, folder, own_suffix)
    if parts.scheme != "az" or not parts.netloc or "@" in parts.netloc:
        raise PermanentFailure(
            f"RETAIL_LAKE_URI is wrong: got {shown(uri)!r}; write it like "
            f"abfss://lake@account.dfs.{PUBLIC}/retail or az://lake/retail."
        )
    if not account_name:
        raise PermanentFailure(
            f"RETAIL_LAKE_URI {shown(uri)} names no storage account: add account_name to RETAIL_LAKE_CREDENTIALS, or "
            f"write abfss://{parts.netloc}@account.dfs.{PUBLIC}/{folder}."
        )
    return AzureAddress(account_name, parts.netloc, folder, suffix)
