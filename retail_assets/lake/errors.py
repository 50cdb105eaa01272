"""What a storage's error text means: one sentence, and whether trying again can help.

Texts are delta-rs's, object_store's and Hadoop's; what they carry (addresses with signatures, request ids, XML) is
never passed on.
"""

import re
from dataclasses import dataclass

from retail_assets.failures import PermanentFailure, RetailError, TransientFailure

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_NOISE = re.compile(r"<\?xml.*|https?://\S+|[?&]?\b(?:sig|sv|se|sp)=\S+|REDACTED", re.DOTALL)

# Azure's codes: https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes
_SIGN_IN = re.compile(
    r"AuthenticationFailed|InvalidAuthenticationInfo|failed to authenticate|NoAuthenticationInformation"
    r"|401 Unauthorized|AADSTS\d+|invalid_client|Invalid Access Key|SAS query pair|InvalidAuthorizationHeader"
)
_EXPIRED = re.compile(r"token is expired|Lifetime validation failed")
_REFUSED = re.compile(
    r"Permission denied|AuthorizationFailure|AuthorizationPermissionMismatch|InsufficientAccountPermissions"
    r"|AuthorizationProtocolMismatch|AuthorizationSourceIPMismatch|AccountIsDisabled|403 Forbidden|, 403, "
)
_IN_THE_WAY = re.compile(r"Not a directory|Invalid table location")
_GONE = re.compile(
    r"ContainerNotFound|FilesystemNotFound|container does not exist|filesystem does not exist|Invalid path"
)
_LASTING = re.compile(r"No space left on device|failed validation check|[Uu]nsupported reader feature")
_ADDRESS = re.compile(r"did not match any known pattern|URL scheme is not allowed")

# What the network did, by the words that say so; the first that is found.
_CAUSES = (
    ("the host is not known", r"dns error|failed to lookup|UnknownHost|Name or service not known"),
    ("the connection was refused", r"[Cc]onnection refused"),
    ("no answer came in time", r"timed out"),
    ("the connection was cut", r"[Cc]onnection (reset|closed)|[Bb]roken pipe|incomplete message|unexpected EOF"),
    ("the connection failed", r"error sending request|client error|error decoding response|HTTP error"),
)
_STATUS = re.compile(r"\b((?:429|5\d\d) [A-Z][A-Za-z]+(?: [A-Z][a-z]+)*)")


@dataclass(frozen=True)
class Tried:
    """What was tried when it failed, for the sentence.

    Args:
        lake: URI of the lake.
        path: the table, or what else.
        sign_in: such as `an account key`; None for a folder.
        grant: what to do when access is refused.
    """

    lake: str
    path: str
    sign_in: str | None = None
    grant: str = "grant write access or change RETAIL_LAKE_URI"

    @property
    def refused(self) -> PermanentFailure:
        by = f" for {self.sign_in}" if self.sign_in else ""
        return PermanentFailure(f"No permission on {self.path} in the lake {self.lake}{by}: {self.grant}.")


def storage_failure(text: str, tried: Tried) -> RetailError:
    """The failure an error text stands for."""
    plain = _COLOURS.sub("", text)
    if _EXPIRED.search(plain):
        return TransientFailure(f"The sign-in to the lake {tried.lake} ran out during work on {tried.path}; try again.")
    if _SIGN_IN.search(plain):
        return PermanentFailure(
            f"The lake {tried.lake} refuses the sign-in with {tried.sign_in or 'these credentials'}: it is wrong, "
            "expired or of another account; correct RETAIL_LAKE_CREDENTIALS."
        )
    if _REFUSED.search(plain):
        return tried.refused
    if _IN_THE_WAY.search(plain):
        return PermanentFailure(
            f"A file stands where {tried.path} belongs in the lake {tried.lake}: move it or change RETAIL_LAKE_URI."
        )
    if _GONE.search(plain):
        return PermanentFailure(
            f"The lake {tried.lake} does not exist: create the container or change RETAIL_LAKE_URI."
        )
    if _ADDRESS.search(plain):
        return PermanentFailure(
            f"The lake {tried.lake} has an address that is not understood: write RETAIL_LAKE_URI as az://lake/path and "
            "give account_name and endpoint in RETAIL_LAKE_CREDENTIALS."
        )
    kind = PermanentFailure if _LASTING.search(plain) else TransientFailure
    return kind(f"The lake {tried.lake} failed on {tried.path}: {_cause(plain)}.")


def _cause(plain: str) -> str:
    status = _STATUS.search(plain)
    if status:
        return f"it answered {status[1]}"
    for cause, words in _CAUSES:
        if re.search(words, plain):
            return cause
    lines = [line.strip(" \t:↳") for line in _NOISE.sub("", plain).splitlines()]
    return next((line for line in lines if line), "without a reason")[:200].rstrip(".")
