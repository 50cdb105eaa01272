"""Signing in with tokens, on an Azurite with TLS that wants them. It reads a token and does not verify who signed it.

The token endpoint is played on loopback for the service principal; the other identities are played by a credential.
"""

import base64
import datetime as dt
import ipaddress
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs

import pytest

from retail_assets.engines.writing.delta import overwrite
from retail_assets.failures import PermanentFailure, RetailError, TransientFailure
from retail_assets.lake.azure import store as azure_store
from retail_assets.lake.lake import Lake
from retail_assets_tests.integration.azurite import Azurite, running_azurite
from retail_assets_tests.integration.delta_files import stored
from retail_assets_tests.unit.lake_frames import WHOLE, rows

pytest.importorskip("cryptography", reason="pip install 'retail-assets[azure]'")
DAY = dt.date(2024, 1, 29)
SECRET = "c4n4ry-secret"
IGNORED = "ignore:Unverified HTTPS request"  # of Microsoft's client, which reads back


def _token(*, seconds: int = 3600, audience: str = "https://storage.azure.com") -> str:
    """A token of the form Entra ID gives; nobody signed it."""
    now = int(time.time())
    claims = {
        "aud": audience,
        "iss": "https://sts.windows.net/tenant/",
        "nbf": now - 7200,
        "iat": now - 7200,
        "exp": now + seconds,
    }
    parts = [json.dumps(part).encode() for part in ({"alg": "RS256", "typ": "JWT"}, claims)]
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in [*parts, b"signature"])


def _certificate(folder: Path) -> list[str]:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = (
        made.serial_number(1).not_valid_before(now - dt.timedelta(days=1)).not_valid_after(now + dt.timedelta(days=1))
    )
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = made.add_extension(address, critical=False).sign(key, hashes.SHA256())
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return ["--cert", str(folder / "cert.pem"), "--key", str(folder / "key.pem")]


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    certificate = _certificate(tmp_path_factory.mktemp("certificate"))
    with running_azurite("--oauth", "basic", *certificate, scheme="https") as server:
        yield server


@pytest.fixture(autouse=True)
def _own_certificate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(azure_store.RETRIES, "allow_invalid_certificates", "true")
    monkeypatch.setitem(azure_store.RETRIES, "max_retries", "1")


class Login(HTTPServer):
    """Entra ID's token endpoint: what was asked of it, and what it answers."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _LoginRequest)
        self.asked: list[tuple[str, dict[str, list[str]]]] = []
        self.answer: tuple[int, dict[str, Any]] = (200, {"access_token": _token(), "expires_in": 3600})


class _LoginRequest(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        login: Any = self.server
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        login.asked.append((self.path, form))
        status, answer = login.answer
        body = json.dumps({"token_type": "Bearer", **answer}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing on the terminal."""


@pytest.fixture
def login() -> Iterator[Login]:
    with Login() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def _principal(strict: Azurite, login: Login, container: str) -> Lake:
    strict.lake(container)
    sign_in = {"tenant_id": "tenant", "client_id": "client", "client_secret": SECRET}
    host = f"http://127.0.0.1:{login.server_port}"
    given = {**json.loads(strict.credentials_with(**sign_in)), "authority_host": host, "allow_http": True}
    return Lake(f"az://{container}/retail", json.dumps(given))


@pytest.mark.filterwarnings(IGNORED)
def test_a_service_principal_reads_and_writes(strict: Azurite, login: Login) -> None:
    lake = _principal(strict, login, "principal")
    lake.check_writable()
    overwrite(lake, WHOLE, rows([DAY]))
    assert stored(strict.container("principal"), WHOLE).num_rows == 2
    path, form = login.asked[0]
    assert path == "/tenant/oauth2/v2.0/token"
    assert form == {
        "client_id": ["client"],
        "client_secret": [SECRET],
        "scope": ["https://storage.azure.com/.default"],
        "grant_type": ["client_credentials"],
    }


@pytest.mark.filterwarnings(IGNORED)
def test_a_wrong_secret_of_a_principal_is_one_sentence(strict: Azurite, login: Login) -> None:
    lake = _principal(strict, login, "wrong-principal")
    login.answer = (401, {"error": "invalid_client", "error_description": f"AADSTS7000215: Invalid: {SECRET}"})
    with pytest.raises(PermanentFailure) as raised:
        lake.check_writable()
    assert str(raised.value) == (
        "The lake az://wrong-principal/retail refuses the sign-in with a service principal: it is wrong, expired or of "
        "another account; correct RETAIL_LAKE_CREDENTIALS."
    )


def _identity(monkeypatch: pytest.MonkeyPatch, name: str, token: str) -> list[str]:
    """The scopes that were asked of azure-identity's credential of that name."""
    asked: list[str] = []

    class Credential:
        def __init__(self, **_: object) -> None:
            pass

        def get_token(self, scope: str) -> Any:
            asked.append(scope)
            return SimpleNamespace(token=token)

    monkeypatch.setattr(f"azure.identity.{name}", Credential)
    return asked


IDENTITIES = [({}, "DefaultAzureCredential"), ({"managed_identity": True}, "ManagedIdentityCredential")]


@pytest.mark.filterwarnings(IGNORED)
@pytest.mark.parametrize(("sign_in", "name"), IDENTITIES, ids=["default", "managed"])
def test_an_identity_reads_and_writes(
    strict: Azurite, monkeypatch: pytest.MonkeyPatch, sign_in: dict[str, Any], name: str
) -> None:
    container = name.lower()
    strict.lake(container)
    asked = _identity(monkeypatch, name, _token())
    lake = Lake(f"az://{container}/retail", strict.credentials_with(**sign_in))
    lake.check_writable()
    overwrite(lake, WHOLE, rows([DAY]))
    assert stored(strict.container(container), WHOLE).num_rows == 2
    assert len(asked) > 1 and set(asked) == {"https://storage.azure.com/.default"}


def _said(strict: Azurite, monkeypatch: pytest.MonkeyPatch, token: str) -> RetailError:
    strict.lake("refusing")
    _identity(monkeypatch, "DefaultAzureCredential", token)
    with pytest.raises(RetailError) as raised:
        Lake("az://refusing/retail", strict.credentials_with()).check_writable()
    assert token not in str(raised.value)
    return raised.value


@pytest.mark.filterwarnings(IGNORED)
@pytest.mark.parametrize("token", [_token(audience="https://vault.azure.net"), "no token"], ids=["audience", "form"])
def test_a_token_that_is_not_accepted_is_one_sentence(
    strict: Azurite, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    said = _said(strict, monkeypatch, token)
    assert isinstance(said, PermanentFailure)
    assert str(said) == (
        "The lake az://refusing/retail refuses the sign-in with the default Azure credential: it is wrong, expired or "
        "of another account; correct RETAIL_LAKE_CREDENTIALS."
    )


@pytest.mark.filterwarnings(IGNORED)
def test_a_token_that_ran_out_is_worth_another_try(strict: Azurite, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next opening of a table asks for a new one."""
    said = _said(strict, monkeypatch, _token(seconds=-60))
    assert isinstance(said, TransientFailure)
    assert str(said) == "The sign-in to the lake az://refusing/retail ran out during work on files; try again."
