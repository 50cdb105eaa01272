"""The lake on a real blob service: every way of signing in, every way to be refused, and a network that breaks.

What delta-rs wrote is read back with Microsoft's client and pyarrow.
"""

import logging
from collections.abc import Callable
from datetime import date
from pathlib import Path
from uuid import uuid4

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from retail_assets.engines.writing import committing, spool
from retail_assets.engines.writing.delta import overwrite, overwrite_window
from retail_assets.failures import PermanentFailure, TransientFailure
from retail_assets.lake.azure import store as azure_store
from retail_assets.lake.lake import Lake
from retail_assets.windows import Window
from retail_assets_tests.integration.azurite import ACCOUNT, Azurite, running_azurite
from retail_assets_tests.integration.delta_files import committed, stored
from retail_assets_tests.integration.proxy import Proxy, proxied
from retail_assets_tests.unit.lake_frames import MONTHLY, WHOLE, rows

DAY = date(2024, 1, 29)
SPAN = Window(DAY, date(2024, 2, 3))
JANUARY, NEXT = Window(date(2024, 1, 1), date(2024, 1, 31)), date(2024, 1, 30)
MARCH = Window(date(2024, 3, 1), date(2024, 3, 2))
WRONG_KEY = "YzRuNHJ5LXdyb25nLWtleQ=="
CUTS = 16
HURRIED = {"max_retries": "2", "retry_timeout": "5s", "backoff_config.init_backoff": "50ms"}


@pytest.fixture
def container(request: pytest.FixtureRequest, azurite: Azurite) -> str:
    """A container of the test's own."""
    name = f"t{abs(hash(request.node.nodeid)):x}"
    azurite.lake(name)
    return name


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that is gone is given up after a few tries."""
    for name, value in HURRIED.items():
        monkeypatch.setitem(azure_store.RETRIES, name, value)
    monkeypatch.setattr(committing, "_pause", lambda _: None)


def _written_and_read(azurite: Azurite, lake: Lake, container: str) -> None:
    """Create, replace a window, read: the rows by another reader, none of the lake's secrets in what was written."""
    lake.check_writable()
    overwrite_window(lake, MONTHLY, rows(SPAN.days(), count=1), SPAN)
    overwrite_window(lake, MONTHLY, rows([DAY], count=2), Window(DAY, DAY))
    expected = [2 if day == DAY else 1 for day in SPAN.days() for _ in range(2)]
    client = azurite.container(container)
    assert stored(client, MONTHLY).column("line_count").to_pylist() == expected
    with duckdb.connect() as connection:
        connection.register("found", lake.require(MONTHLY).to_pyarrow_dataset())
        assert connection.sql("SELECT sum(line_count) FROM found").fetchall() == [(sum(expected),)]
    left = {blob.name.split("/")[1] for blob in client.list_blobs()}
    assert left == {"test"}, "the probe of check_writable is gone"


@pytest.mark.parametrize(
    "uri", ["az://{container}/retail", "abfss://{container}@{account}.dfs.core.windows.net/retail"]
)
def test_an_account_key_reads_and_writes(azurite: Azurite, container: str, uri: str) -> None:
    lake = Lake(uri.format(container=container, account=ACCOUNT), azurite.credentials)
    _written_and_read(azurite, lake, container)


def test_rows_that_go_through_files_arrive(
    azurite: Azurite, container: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is written by Arrow, in parts of a multipart upload, and committed by delta-rs."""
    monkeypatch.setattr(spool, "MANY_ROWS", 1)
    lake = azurite.lake(container)
    products = [uuid4().hex for _ in range(200_000)]  # more than one part of an upload, whatever the compression
    overwrite_window(lake, MONTHLY, rows([DAY], products=products).to_reader(10_000), JANUARY, folder=tmp_path)
    overwrite_window(lake, MONTHLY, rows([NEXT], count=2).to_reader(), Window(NEXT, NEXT), folder=tmp_path)
    found = stored(azurite.container(container), MONTHLY)
    assert sorted(found.column("product_id").to_pylist()) == sorted([*products, "a", "b"])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("prefix", ["", "?"])
def test_a_sas_reads_and_writes(azurite: Azurite, container: str, prefix: str) -> None:
    credentials = azurite.credentials_with(sas_token=prefix + azurite.sas(container))
    _written_and_read(azurite, Lake(f"az://{container}/retail", credentials), container)


def test_a_table_at_the_containers_root(azurite: Azurite, container: str) -> None:
    lake = Lake(f"az://{container}", azurite.credentials)
    overwrite(lake, WHOLE, rows([DAY]))
    assert stored(azurite.container(container), WHOLE, folder=".").num_rows == 0, "not below a folder"
    assert len(list(azurite.container(container).list_blobs(name_starts_with="test/whole/_delta_log/"))) == 2


def test_data_outlives_the_server() -> None:
    with running_azurite() as azurite:
        overwrite(azurite.lake("lake"), WHOLE, rows([DAY]))
        azurite.stop()
        azurite.start()
        assert stored(azurite.container("lake"), WHOLE).num_rows == 2


def _refused(said: str, azurite: Azurite, container: str) -> dict[str, tuple[Lake, str]]:
    """Lakes that the service refuses, and what their users read."""
    uri = f"az://{container}/retail"

    def lake(**sign_in: object) -> Lake:
        return Lake(uri, azurite.credentials_with(**sign_in))

    wrong = "it is wrong, expired or of another account; correct RETAIL_LAKE_CREDENTIALS."
    sas = f"The lake {uri} refuses the sign-in with a SAS token: {wrong}"
    cases = {
        "wrong key": (lake(account_key=WRONG_KEY), f"The lake {uri} refuses the sign-in with an account key: {wrong}"),
        "wrong SAS": (lake(sas_token=azurite.sas(container, key=WRONG_KEY)), sas),
        "expired SAS": (lake(sas_token=azurite.sas(container, hours=-1)), sas),
        "SAS of another container": (lake(sas_token=azurite.sas("another")), sas),
        "SAS that only reads": (
            lake(sas_token=azurite.sas(container, permission="rl")),
            f"No permission on {{path}} in the lake {uri} for a SAS token: make a SAS that allows read, add, create, "
            "write, delete and list.",
        ),
        "missing container": (
            Lake("az://nowhere/retail", azurite.credentials),
            "The lake az://nowhere/retail does not exist: create the container or change RETAIL_LAKE_URI.",
        ),
    }
    return {name: (found, text.format(path=said)) for name, (found, text) in cases.items()}


REFUSALS = sorted(_refused("", Azurite([], Path(), "http"), "none"))


def _secrets(lake: Lake, azurite: Azurite) -> list[str]:
    """What no text may hold: keys, and the signature of a SAS as it is and as it stands in an address."""
    options = lake.storage_options or {}
    signatures = [part for part in options.get("sas_token", "").split("&") if part.startswith("sig=")]
    return [azurite.key, WRONG_KEY, "sig=", *signatures]


@pytest.mark.parametrize("case", REFUSALS)
def test_a_refusal_is_one_sentence_at_the_start(azurite: Azurite, container: str, case: str) -> None:
    lake, sentence = _refused("files", azurite, container)[case]
    with pytest.raises(PermanentFailure) as raised:
        lake.check_writable()
    assert str(raised.value) == sentence


@pytest.mark.parametrize("case", REFUSALS)
def test_a_refusal_is_one_sentence_in_a_run_and_the_table_is_untouched(
    azurite: Azurite, container: str, case: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    overwrite(azurite.lake(container), WHOLE, rows([DAY], count=1))
    before = committed(azurite.container(container), WHOLE)
    lake, sentence = _refused("test/whole", azurite, container)[case]
    with pytest.raises(PermanentFailure) as raised:
        overwrite(lake, WHOLE, rows([DAY], count=2))
    assert str(raised.value) == sentence
    assert committed(azurite.container(container), WHOLE) == before
    printed = capfd.readouterr()
    seen = f"{raised.value!r} {lake!r} {vars(lake).get('_credentials')!r} {caplog.text} {printed.out} {printed.err}"
    assert not [secret for secret in _secrets(lake, azurite) if secret in seen]


def test_a_container_that_is_missing_is_not_taken_for_a_table_that_is(azurite: Azurite) -> None:
    with pytest.raises(PermanentFailure, match="does not exist: create the container"):
        Lake("az://nowhere/retail", azurite.credentials).open(WHOLE)


@pytest.mark.parametrize("name", ["account key", "SAS"])
def test_no_secret_is_written_with_a_table(azurite: Azurite, container: str, name: str) -> None:
    sign_in = {"account key": {"account_key": azurite.key}, "SAS": {"sas_token": azurite.sas(container)}}[name]
    lake = Lake(f"az://{container}/retail", azurite.credentials_with(**sign_in))
    overwrite_window(lake, MONTHLY, rows(SPAN.days()), SPAN)
    client = azurite.container(container)
    everything = b"\n".join(client.download_blob(blob.name).readall() for blob in client.list_blobs())
    assert b"delta-rs" in everything and b"commitInfo" in everything
    for secret in [*_secrets(lake, azurite), *sign_in.values(), ACCOUNT, "127.0.0.1"]:
        assert secret.encode() not in everything


@pytest.mark.parametrize(
    ("broken", "cause"),
    [
        (Proxy.refuse, "the connection (was refused|failed)"),
        (Proxy.hold, "(no answer came in time|the connection failed)"),
    ],
    ids=["refuses", "says nothing"],
)
def test_a_host_that_does_not_answer_may_answer_later(
    azurite: Azurite,
    container: str,
    hurried: None,
    monkeypatch: pytest.MonkeyPatch,
    broken: Callable[[Proxy], None],
    cause: str,
) -> None:
    monkeypatch.setitem(azure_store.RETRIES, "timeout", "1s")
    with proxied(azurite.port) as proxy:
        lake = azurite.lake(container, port=proxy.port)
        broken(proxy)
        for path, attempt in (
            ("files", lake.check_writable),
            ("test/whole", lambda: lake.open(WHOLE)),
            ("test/whole", lambda: overwrite(lake, WHOLE, rows([DAY]))),
        ):
            with pytest.raises(TransientFailure, match=f"^The lake {lake.uri} failed on {path}: {cause}\\.$"):
                attempt()
        proxy.allow()
        overwrite(lake, WHOLE, rows([DAY]))
    assert stored(azurite.container(container), WHOLE).num_rows == 2


def test_a_short_break_is_not_noticed(azurite: Azurite, container: str) -> None:
    """The connection is reset under a request; it is sent again by itself."""
    with proxied(azurite.port) as proxy:
        lake = azurite.lake(container, port=proxy.port)
        overwrite(lake, WHOLE, rows([DAY], count=1))
        proxy.refuse()
        proxy.allow()
        overwrite(lake, WHOLE, rows([DAY], count=2))
    assert stored(azurite.container(container), WHOLE).column("line_count").to_pylist() == [2, 2]


def _few(count: int) -> pa.Table:
    return rows(MARCH.days(), count=count)


def _many(count: int) -> pa.Table:
    """Some eight megabytes that do not shrink, so that a file goes up in several pieces."""
    chance = np.random.default_rng(count)
    size = 800_000
    return pa.table(
        {
            "business_date": pa.array([MARCH.first] * size, pa.date32()),
            "product_id": pa.array(np.char.add("p", chance.permutation(10**6)[:size].astype(str))),
            "line_count": pa.array(np.full(size, count)),
            "sold_units": pa.array(chance.random(size)),
        }
    )


def _bytes_of_a_small_write(azurite: Azurite, container: str) -> dict[str, int]:
    """What replacing the window moves, so that a test can cut it anywhere."""
    with proxied(azurite.port) as proxy:
        lake = azurite.lake(container, port=proxy.port)
        overwrite_window(lake, MONTHLY, _few(1), MARCH)
        before = proxy.passed
        overwrite_window(lake, MONTHLY, _few(2), MARCH)
        return {name: count - before[name] for name, count in proxy.passed.items()}


def _cut(azurite: Azurite, container: str, frame: Callable[[int], pa.Table], **after: int) -> bool:
    """Cut a replacement after so many bytes; whether its commit was already made. The table is never a mixture."""
    client = azurite.container(container)
    with proxied(azurite.port) as proxy:
        lake = azurite.lake(container, port=proxy.port)
        overwrite_window(lake, MONTHLY, frame(1), MARCH)
        before = committed(client, MONTHLY)
        proxy.cut_after(**after)
        with pytest.raises(TransientFailure) as raised:
            overwrite_window(lake, MONTHLY, frame(2), MARCH)
        assert proxy.passed["cut"] > 0
        assert len(str(raised.value).splitlines()) == 1 and azurite.key not in str(raised.value)
        proxy.allow()
        is_made = committed(client, MONTHLY) != before
        assert stored(client, MONTHLY).equals(_sorted(frame(2 if is_made else 1)))
        overwrite_window(lake, MONTHLY, frame(3), MARCH)
    assert stored(client, MONTHLY).equals(_sorted(frame(3)))
    return is_made


@pytest.mark.parametrize("direction", ["sent", "answered"])
def test_a_network_cut_anywhere_leaves_the_table_whole(
    azurite: Azurite, container: str, hurried: None, direction: str
) -> None:
    """Every request of a small write is cut or loses its answer once; the last ones come after the commit."""
    whole = _bytes_of_a_small_write(azurite, container)[direction]
    made = [_cut(azurite, f"{container}-{step}", _few, **{direction: whole * step // CUTS}) for step in range(1, CUTS)]
    assert made == sorted(made) and not made[0] and made[-1], "first no commit is made, in the end one is"


def test_a_network_cut_midway_through_a_big_file_leaves_the_table_whole(
    azurite: Azurite, container: str, hurried: None
) -> None:
    assert not _cut(azurite, container, _many, sent=4_000_000)
    sizes = [blob.size for blob in azurite.container(container).list_blobs() if blob.name.endswith(".parquet")]
    assert min(sizes) > 6_000_000


def _sorted(frame: pa.Table) -> pa.Table:
    return frame.cast(MONTHLY.schema).sort_by([(name, "ascending") for name in MONTHLY.key])
