"""What a lake needs of the storage it lies in; another cloud is one more file with a class like these.

Rows are the engines' work: a store says where things are, how libraries reach them, and whether they may be written.
"""

from typing import Protocol

from retail_assets.lake.errors import Tried


class Store(Protocol):
    """The storage behind a lake's URI."""

    @property
    def is_local(self) -> bool:
        """Whether libraries read the files by path, without fetching them."""
        ...

    @property
    def storage_options(self) -> dict[str, str] | None:
        """Options for delta-rs; they hold secrets and never belong in metadata.

        Raises:
            PermanentFailure: the credentials are wrong, or no identity gives a token.
        """
        ...

    @property
    def hadoop_options(self) -> dict[str, str]:
        """Settings of Hadoop's driver; they hold secrets, as `storage_options` do."""
        ...

    def spark_uri(self, path: str) -> str:
        """The address of something in the lake as Spark wants it."""
        ...

    def probe(self) -> None:
        """Write and remove something of no size.

        Raises:
            PermanentFailure: the place cannot hold a lake.
            OSError, DeltaError: what the storage answers.
        """
        ...

    def tried(self, path: str) -> Tried:
        """The words for a failure on `path`."""
        ...
