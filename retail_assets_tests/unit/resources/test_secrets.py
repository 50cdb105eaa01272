"""Secrets from a fake vault: the value comes back, and each refusal says what to do."""

from types import SimpleNamespace

import pytest

from retail_assets.failures import PermanentFailure, TransientFailure
from retail_assets.resources.secrets import read_secret

exceptions = pytest.importorskip("azure.core.exceptions", reason="pip install 'retail-assets[azure]'")
VAULT = "https://shop.vault.azure.net"


class FakeVault:
    """Secrets in, names asked for recorded; a value that is an exception is raised."""

    def __init__(self, **secrets):
        self.secrets = secrets
        self.asked = []

    def __call__(self, vault_url):
        assert vault_url == VAULT
        return self

    def get_secret(self, name):
        self.asked.append(name)
        value = self.secrets[name]
        if isinstance(value, Exception):
            raise value
        return SimpleNamespace(value=value)


def test_the_value_comes_back():
    vault = FakeVault(source="sqlite:///shop.db")
    assert read_secret(VAULT, "source", client_factory=vault) == "sqlite:///shop.db"
    assert vault.asked == ["source"]


def test_without_a_vault():
    with pytest.raises(PermanentFailure) as raised:
        read_secret(None, "source")
    assert str(raised.value) == (
        "kv:source needs RETAIL_KEY_VAULT_URL, which is not set; for example "
        "RETAIL_KEY_VAULT_URL=https://my-vault.vault.azure.net."
    )


def _status(code):
    error = exceptions.HttpResponseError("(Code) Words of the vault.\nMore words.")
    error.status_code = code
    return error


@pytest.mark.parametrize(
    ("error", "failure", "message"),
    [
        (exceptions.ResourceNotFoundError("gone"), PermanentFailure, "There is no secret source in"),
        (exceptions.ClientAuthenticationError("no"), PermanentFailure, "sign in with az login or give the machine"),
        (_status(403), PermanentFailure, "grant the identity the role Key Vault Secrets User"),
        (_status(400), PermanentFailure, "(Code) Words of the vault; correct the name."),
        (_status(429), TransientFailure, "cannot be reached now: (Code) Words of the vault; try again"),
        (_status(503), TransientFailure, "cannot be reached now: (Code) Words of the vault; try again"),
        (exceptions.ServiceRequestError("no route to host"), TransientFailure, "now: no route to host; try again"),
        (ValueError("not a vault address"), PermanentFailure, "RETAIL_KEY_VAULT_URL is wrong: got 'https://shop"),
        ("", PermanentFailure, "The secret source in https://shop.vault.azure.net is empty; give it a value."),
    ],
)
def test_each_refusal_is_one_sentence(error, failure, message):
    with pytest.raises(failure) as raised:
        read_secret(VAULT, "source", client_factory=FakeVault(source=error))
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_an_address_that_is_none():
    with pytest.raises(PermanentFailure) as raised:
        read_secret("shop.vault", "source")
    assert str(raised.value) == (
        "RETAIL_KEY_VAULT_URL is wrong: got 'shop.vault'; write it like https://my-vault.vault.azure.net."
    )
