"""The demo retailer in a real PostgreSQL holds the same rows as in SQLite, and goes on from them."""

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from retail_assets.demo.retailer import write_days
from retail_assets.demo.schema import metadata
from retail_assets.demo.world import DemoSize
from retail_assets.failures import TransientFailure
from retail_assets.sources.mapping import load_mapping
from retail_assets_tests.integration.postgresql import running_postgresql

START = date(2025, 11, 24)
SIZE = DemoSize(stores=2, products=10, customers=20, opening_after_days=15)


def _comparable(value: Any) -> Any:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value.isoformat()
    return value.strftime("%Y-%m-%d %H:%M:%S.%f") if isinstance(value, datetime) else value


def _contents(url: str) -> dict[str, list[tuple]]:
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        rows = {
            table.name: connection.execute(sa.select(table).order_by(*table.primary_key.columns)).all()
            for table in metadata.sorted_tables
        }
    engine.dispose()
    return {name: [tuple(map(_comparable, row)) for row in table] for name, table in rows.items()}


def test_postgresql_holds_the_rows_that_sqlite_holds(tmp_path: Path) -> None:
    on_sqlite = f"sqlite:///{tmp_path / 'source.db'}"
    through = START + timedelta(days=44)
    write_days(on_sqlite, start=START, through=through, size=SIZE)
    with running_postgresql() as on_postgresql:
        for end in (START + timedelta(days=30), through):
            write_days(on_postgresql, start=START, through=end, size=SIZE)
        assert _contents(on_postgresql) == _contents(on_sqlite)
        _check_mapping(on_postgresql)


def _check_mapping(url: str) -> None:
    """Every query of the mapping runs, and the feed's wrong values are still in it."""
    engine = sa.create_engine(url)
    window = {"start": START, "end": START + timedelta(days=44)}
    with engine.connect() as connection:
        for name, binding in load_mapping("demo").entities.items():
            parameters = window if ":start" in binding.query else {}
            rows = connection.execute(sa.text(binding.query), parameters).all()
            assert rows, name
            if name == "sales":
                assert {row.quantity for row in rows} >= {"1", "two", None}
    engine.dispose()


def test_a_server_that_is_away_is_a_transient_failure_without_the_password() -> None:
    url = "postgresql+psycopg://retail:secret-word@127.0.0.1:1/retail?connect_timeout=1"
    with pytest.raises(
        TransientFailure,
        match="The demo's database .* cannot be used now: .*; try again, and if it stays check RETAIL_SOURCE_URL",
    ) as caught:
        write_days(url, start=START, through=START, size=SIZE)
    assert "secret-word" not in str(caught.value)
