"""A lake in a folder."""

from dataclasses import dataclass
from pathlib import Path

from retail_assets.addresses import shown
from retail_assets.failures import PermanentFailure
from retail_assets.lake.errors import Tried

_UNUSABLE = set("[]^|%#?")
"""delta-rs 1.6 panics on a local path with one of these, or reads it as part of a URL."""


def is_folder(uri: str) -> bool:
    return "://" not in uri or uri.startswith("file://")


@dataclass(frozen=True)
class LocalStore:
    """A folder, as a path or a `file://` URI."""

    uri: str
    is_local: bool = True
    storage_options: None = None

    @property
    def hadoop_options(self) -> dict[str, str]:
        return {}

    def spark_uri(self, path: str) -> str:
        return f"{self.uri}/{path}"

    def probe(self) -> None:
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

    def tried(self, path: str) -> Tried:
        return Tried(shown(self.uri), path)
