"""Reads `kv:NAME` settings from Azure Key Vault.

The Azure libraries are imported only when a vault is used: they are an extra and take seconds to load.
"""

from collections.abc import Callable
from typing import Any, Protocol

from retail_assets.addresses import shown
from retail_assets.failures import PermanentFailure, RetailError, TransientFailure, first_line

_EXTRA = "install the azure extra: pip install 'retail-assets[azure]'"


class SecretClient(Protocol):
    """The part of the Key Vault client that is used."""

    def get_secret(self, name: str) -> Any: ...


def read_secret(
    vault_url: str | None, name: str, *, client_factory: Callable[[str], SecretClient] | None = None
) -> str:
    """Value of a secret, read as the default Azure identity (managed identity, environment, az login).

    Raises:
        PermanentFailure: no vault set, no such secret, no permission, no identity, or an empty secret.
        TransientFailure: the vault cannot be reached or is overloaded.
    """
    if vault_url is None:
        raise PermanentFailure(
            f"kv:{name} needs RETAIL_KEY_VAULT_URL, which is not set; for example "
            "RETAIL_KEY_VAULT_URL=https://my-vault.vault.azure.net."
        )
    if not vault_url.startswith("https://") or shown(vault_url) != vault_url:
        raise PermanentFailure(
            f"RETAIL_KEY_VAULT_URL is wrong: got {shown(vault_url)!r}; write it like https://my-vault.vault.azure.net."
        )
    azure_error = _azure_error()
    try:
        value = (client_factory or _default_client)(vault_url).get_secret(name).value
    except azure_error as error:
        raise _failure(error, vault_url, name) from None
    except ValueError as error:
        raise PermanentFailure(f"RETAIL_KEY_VAULT_URL is wrong: got {vault_url!r}, {first_line(error)}.") from None
    if not value:
        raise PermanentFailure(f"The secret {name} in {vault_url} is empty; give it a value.")
    return value


def _azure_error() -> type[Exception]:
    try:
        from azure.core.exceptions import AzureError
    except ModuleNotFoundError:
        raise PermanentFailure(f"RETAIL_KEY_VAULT_URL needs the Azure libraries; {_EXTRA}.") from None
    return AzureError


def _default_client(vault_url: str) -> SecretClient:
    try:
        from azure.identity import DefaultAzureCredential
        from azure.keyvault.secrets import SecretClient as KeyVaultClient
    except ModuleNotFoundError:
        raise PermanentFailure(f"RETAIL_KEY_VAULT_URL needs the Azure libraries; {_EXTRA}.") from None
    return KeyVaultClient(vault_url=vault_url, credential=DefaultAzureCredential())


def _failure(error: Exception, vault_url: str, name: str) -> RetailError:
    from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceNotFoundError

    if isinstance(error, ResourceNotFoundError):
        return PermanentFailure(f"There is no secret {name} in {vault_url}; create it or correct kv:{name}.")
    if isinstance(error, ClientAuthenticationError):
        return PermanentFailure(
            f"kv:{name} cannot be read from {vault_url}: no Azure identity was accepted; sign in with az login or "
            "give the machine a managed identity."
        )
    status = error.status_code if isinstance(error, HttpResponseError) else None
    if status == 403:
        return PermanentFailure(
            f"kv:{name} cannot be read from {vault_url}: access is denied; grant the identity the role Key Vault "
            "Secrets User."
        )
    if status is not None and 400 <= status < 500 and status not in (408, 429):
        return PermanentFailure(f"kv:{name} cannot be read from {vault_url}: {first_line(error)}; correct the name.")
    return TransientFailure(
        f"The key vault {vault_url} cannot be reached now: {first_line(error)}; try again, and if it stays check "
        "RETAIL_KEY_VAULT_URL and the network."
    )
