"""A home folder belongs to one lake and one warehouse, because what was materialised is known per folder."""

import shutil

import pytest

from retail_assets.failures import PermanentFailure
from retail_assets.launch import _same_places
from retail_assets.settings import Settings


def _settings(home, **places) -> Settings:
    settings = Settings(home=home, **places)
    settings.folder.mkdir(parents=True, exist_ok=True)
    return settings


def test_the_same_places_are_taken_again(tmp_path):
    _same_places(_settings(tmp_path / "home"))
    _same_places(_settings(tmp_path / "home"))


@pytest.mark.parametrize(
    ("variable", "place"),
    [("RETAIL_LAKE_URI", {"lake_uri": "other/lake"}), ("RETAIL_WAREHOUSE_URL", {"warehouse_url": "duckdb:///other"})],
)
def test_another_place_is_refused_by_name(tmp_path, variable, place):
    _same_places(_settings(tmp_path / "home"))
    with pytest.raises(PermanentFailure, match=f"holds the runs of another {variable}: set it back"):
        _same_places(_settings(tmp_path / "home", **place))


def test_a_folder_may_move_with_what_lies_in_it(tmp_path):
    _same_places(_settings(tmp_path / "home"))
    shutil.move(tmp_path / "home", tmp_path / "moved")
    _same_places(_settings(tmp_path / "moved"))


def test_a_password_may_change(tmp_path):
    for password in ("old", "new"):
        _same_places(_settings(tmp_path / "home", warehouse_url=f"postgresql+psycopg://loader:{password}@server/db"))
