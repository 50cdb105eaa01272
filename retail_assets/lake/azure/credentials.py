"""How to sign in to a lake on Azure: RETAIL_LAKE_CREDENTIALS, as options for delta-rs and for Hadoop's ABFS driver.

A way of signing in is one class here. Secrets stay in fields that are not printed; the dictionaries that hold them
are made at the moment of use.
"""

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any, Protocol
from urllib.parse import urlsplit

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict

from retail_assets.failures import PermanentFailure, TransientFailure
from retail_assets.lake.azure.address import PUBLIC

_VARIABLE = "RETAIL_LAKE_CREDENTIALS"
_SCOPE = "https://storage.azure.com/.default"
_OAUTH2 = "org.apache.hadoop.fs.azurebfs.oauth2"
_LOGIN = "https://login.microsoftonline.com"
_HADOOP_RETRIES = {"fs.azure.io.retry.max.retries": "6"}
"""A minute or two; Hadoop's own 30 tries are more than ten."""


class SignIn(Protocol):
    """One way of signing in."""

    @property
    def label(self) -> str:
        """What a sentence calls it."""
        ...

    @property
    def grant(self) -> str:
        """What to do when it is accepted but may not do something."""
        ...

    def delta_options(self) -> dict[str, str]:
        """Options of delta-rs 1.6 (object_store's `AzureConfigKey`)."""
        ...

    def hadoop_options(self, host: str) -> dict[str, str]:
        """Settings of hadoop-azure 3.5 for the account at `host`."""
        ...


@dataclass(frozen=True)
class AccountKey:
    account_key: str = field(repr=False)
    label = "an account key"
    grant = "let this network through the firewall of the storage account"

    def __post_init__(self) -> None:
        try:
            base64.b64decode(self.account_key, validate=True)
        except (binascii.Error, ValueError):
            raise PermanentFailure(
                f"{_VARIABLE} is wrong: account_key is not base64; copy it from the storage account's access keys, "
                'for example {"account_key": "…=="}.'
            ) from None

    def delta_options(self) -> dict[str, str]:
        return {"account_key": self.account_key}

    def hadoop_options(self, host: str) -> dict[str, str]:
        return {f"fs.azure.account.auth.type.{host}": "SharedKey", f"fs.azure.account.key.{host}": self.account_key}


@dataclass(frozen=True)
class SasToken:
    sas_token: str = field(repr=False)
    label = "a SAS token"
    grant = "make a SAS that allows read, add, create, write, delete and list"

    def __post_init__(self) -> None:
        if "sig=" not in self.sas_token:
            raise PermanentFailure(
                f"{_VARIABLE} is wrong: sas_token has no signature; copy the whole token, for example "
                '{"sas_token": "sv=…&sp=racwdl&se=…&sig=…"}.'
            )

    @property
    def token(self) -> str:
        return self.sas_token.removeprefix("?")

    def delta_options(self) -> dict[str, str]:
        return {"sas_token": self.token}

    def hadoop_options(self, host: str) -> dict[str, str]:
        return {f"fs.azure.account.auth.type.{host}": "SAS", f"fs.azure.sas.fixed.token.{host}": self.token}


_ROLE = "give it the role Storage Blob Data Contributor, or let this network through the account's firewall"


@dataclass(frozen=True)
class ServicePrincipal:
    tenant_id: str
    client_id: str
    client_secret: str = field(repr=False)
    authority_host: str = _LOGIN
    label = "a service principal"
    grant = _ROLE

    def delta_options(self) -> dict[str, str]:
        return {
            "tenant_id": self.tenant_id,
            "client_id": self.client_id,
            "client_secret": self.client_secret,
            "authority_host": self.authority_host,
        }

    def hadoop_options(self, host: str) -> dict[str, str]:
        return {
            f"fs.azure.account.auth.type.{host}": "OAuth",
            f"fs.azure.account.oauth.provider.type.{host}": f"{_OAUTH2}.ClientCredsTokenProvider",
            f"fs.azure.account.oauth2.client.endpoint.{host}": f"{self.authority_host}/{self.tenant_id}/oauth2/token",
            f"fs.azure.account.oauth2.client.id.{host}": self.client_id,
            f"fs.azure.account.oauth2.client.secret.{host}": self.client_secret,
        }

    def azure_credential(self) -> Any:
        """For the Azure SDK."""
        return _identity("ClientSecretCredential")(
            self.tenant_id, self.client_id, self.client_secret, authority=self.authority_host
        )


@dataclass(frozen=True)
class Identity:
    """A token of azure-identity, asked for anew whenever a table is opened.

    delta-rs's own managed identity knows only the address of virtual machines, not the one that container apps and
    functions have in IDENTITY_ENDPOINT: it reads no variable without the prefix AZURE_.
    """

    client_id: str | None = None
    credential_factory: Callable[[], Any] | None = field(default=None, repr=False, compare=False)
    label = "the default Azure credential"
    grant = _ROLE

    def delta_options(self) -> dict[str, str]:
        return {"bearer_token": self._token()}

    def hadoop_options(self, host: str) -> dict[str, str]:
        """The JVM has no default credential; the nearest is the managed identity of the machine."""
        named = {f"fs.azure.account.oauth2.client.id.{host}": self.client_id} if self.client_id else {}
        return {
            f"fs.azure.account.auth.type.{host}": "OAuth",
            f"fs.azure.account.oauth.provider.type.{host}": f"{_OAUTH2}.MsiTokenProvider",
            **named,
        }

    @cached_property
    def _credential(self) -> Any:
        """One object, which keeps its token and renews it some minutes before it ends."""
        return (self.credential_factory or self._default_factory)()

    def _default_factory(self) -> Any:
        return _identity("DefaultAzureCredential")()

    def _token(self) -> str:
        credential = self._credential
        from azure.core.exceptions import AzureError, ClientAuthenticationError

        try:
            return str(credential.get_token(_SCOPE).token)
        except ClientAuthenticationError:  # also when no identity is found at all
            raise PermanentFailure(
                f"The lake cannot be reached: {self.label} gives no token; sign in with az login, give the machine a "
                f"managed identity, or set {_VARIABLE}."
            ) from None
        except AzureError as error:
            raise TransientFailure(
                f"The lake cannot be reached: {self.label} gives no token now ({type(error).__name__}); try again."
            ) from None


@dataclass(frozen=True)
class ManagedIdentity(Identity):
    label = "a managed identity"

    def _default_factory(self) -> Any:
        return _identity("ManagedIdentityCredential")(client_id=self.client_id)


@dataclass(frozen=True)
class LakeCredentials:
    """What RETAIL_LAKE_CREDENTIALS says.

    Args:
        sign_in: how.
        account_name: needed where the lake's URI does not name the account.
        endpoint: another address of the blob service, such as `http://127.0.0.1:10000/devstoreaccount1` of Azurite.
        allow_http: whether that address may be without TLS.
    """

    sign_in: SignIn
    account_name: str | None = None
    endpoint: str | None = None
    allow_http: bool = False

    def delta_options(self) -> dict[str, str]:
        options = self.sign_in.delta_options()
        if self.account_name:
            options["account_name"] = self.account_name
        if self.endpoint:
            options["azure_endpoint"] = self.endpoint
        if self.allow_http:
            options["allow_http"] = "true"
        return options

    @property
    def is_emulated(self) -> bool:
        """An emulator has the account in the path; Azure has it in the host."""
        return self.endpoint is not None and bool(urlsplit(self.endpoint).path.strip("/"))

    @property
    def suffix(self) -> str:
        """What follows `account.blob.` in the endpoint, where another cloud is meant."""
        host = urlsplit(self.endpoint).hostname if self.endpoint else None
        return (host or "").partition(".blob.")[2] or PUBLIC

    @property
    def hadoop_scheme(self) -> str:
        return "abfs" if self.allow_http else "abfss"

    def hadoop_options(self, host: str) -> dict[str, str]:
        """Settings of hadoop-azure for the account at `host`, without the prefix `spark.hadoop.`"""
        return {**_HADOOP_RETRIES, **self._hadoop_endpoint(), **self.sign_in.hadoop_options(host)}

    def _hadoop_endpoint(self) -> dict[str, str]:
        """Emulators speak the blob service's language and know no hierarchy (HADOOP-19179).

        Java's own HTTP client, because the other one is made with a TLS factory that only an https address sets up.
        """
        if not self.is_emulated:
            return {}
        return {
            "fs.azure.abfs.endpoint": urlsplit(self.endpoint or "").netloc,
            "fs.azure.always.use.https": "false" if self.allow_http else "true",
            "fs.azure.account.hns.enabled": "false",
            "fs.azure.fns.account.service.type": "BLOB",
            "fs.azure.networking.library": "JDK_HTTP_URL_CONNECTION",
        }


def lake_credentials(text: str | None) -> LakeCredentials:
    """The credentials of a setting; None for the default Azure credential.

    Raises:
        PermanentFailure: one sentence that names keys, never values.
    """
    given = _given(text) if text is not None else _Given()
    if {"endpoint", "azure_endpoint"} <= set(given):
        raise _wrong("endpoint and azure_endpoint are the same; give one")
    endpoint, allow_http = given.get("azure_endpoint", given.get("endpoint")), given.get("allow_http", False)
    if endpoint and not allow_http and urlsplit(endpoint).scheme == "http":
        raise _wrong('the endpoint is http://, which needs "allow_http": true')
    return LakeCredentials(
        sign_in=_sign_in(given),
        account_name=given.get("account_name"),
        endpoint=endpoint.rstrip("/") if endpoint else None,
        allow_http=allow_http,
    )


_Text = Annotated[str | None, AfterValidator(lambda text: text or None)]
_Flag = Annotated[bool, Field(strict=False)]


@with_config(ConfigDict(extra="forbid", strict=True, str_strip_whitespace=True, hide_input_in_errors=True))
class _Given(TypedDict, total=False):
    """Keys of RETAIL_LAKE_CREDENTIALS."""

    account_key: _Text
    account_name: _Text
    allow_http: _Flag
    authority_host: _Text
    azure_endpoint: _Text
    client_id: _Text
    client_secret: _Text
    endpoint: _Text
    managed_identity: _Flag
    sas_token: _Text
    tenant_id: _Text


_JSON = TypeAdapter(_Given)
_COMMON = {"account_name", "endpoint", "azure_endpoint", "allow_http"}
_PRINCIPAL = {"tenant_id", "client_id", "client_secret"}
_CHOICE = (
    "give one of account_key; sas_token; tenant_id, client_id and client_secret; managed_identity (with a client_id "
    "where there are several)"
)
_EXAMPLE = '{"account_key": "…"}'


def _given(text: str) -> _Given:
    try:
        return _JSON.validate_json(text)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False, include_context=False)
    unknown = {str(fault["loc"][0]) for fault in faults if fault["type"] == "extra_forbidden"}
    if unknown:
        raise _wrong(f"{_listed(unknown)} is not a key of it; known are {', '.join(sorted(_Given.__annotations__))}")
    if not faults[0]["loc"]:
        raise PermanentFailure(f"{_VARIABLE} is not a JSON object; for example {_EXAMPLE}.")
    kind = "not a text" if faults[0]["type"] == "string_type" else "neither true nor false"
    raise _wrong(f"{faults[0]['loc'][0]} is {kind}")


def _sign_in(given: _Given) -> SignIn:
    names = set(given) - _COMMON
    if not names:
        return Identity()
    if names == {"account_key"}:
        return AccountKey(_required(given, "account_key"))
    if names == {"sas_token"}:
        return SasToken(_required(given, "sas_token"))
    if names - {"authority_host"} == _PRINCIPAL:
        tenant, client, secret = (_required(given, name) for name in ("tenant_id", "client_id", "client_secret"))
        return ServicePrincipal(tenant, client, secret, given.get("authority_host") or _LOGIN)
    if names - {"client_id"} == {"managed_identity"} and given.get("managed_identity"):
        return ManagedIdentity(given.get("client_id"))
    raise _wrong(f"{_listed(names)} is not one whole way of signing in; {_CHOICE}")


def _required(given: _Given, name: str) -> str:
    value = given.get(name)
    if not value:
        raise _wrong(f"{name} is empty")
    return str(value)


def _listed(names: set[str]) -> str:
    """Keys as a sentence shows them; what does not look like a key may be a secret in the wrong place."""
    return ", ".join(sorted(name if re.fullmatch(r"[A-Za-z_]{1,40}", name) else "(hidden)" for name in names))


def _wrong(what: str) -> PermanentFailure:
    return PermanentFailure(f"{_VARIABLE} is wrong: {what}; for example {_EXAMPLE}.")


def _identity(name: str) -> Any:
    try:
        import azure.identity
    except ModuleNotFoundError:
        raise PermanentFailure(
            "Signing in to the lake needs the Azure libraries; install the azure extra: "
            "pip install 'retail-assets[azure]'."
        ) from None
    return getattr(azure.identity, name)
