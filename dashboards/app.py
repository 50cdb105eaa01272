"""The planner's application: its pages and nothing else.

Start it with `streamlit run dashboards/app.py`, or with `launch` from the command line. The pages are in views/:
a folder called pages beside this file would make Streamlit serve its files by itself and lose linked pages.
"""

import os
import sys
from pathlib import Path
from typing import NoReturn

import streamlit as st

from dashboards import access
from dashboards.views import demand, models, replenishment

TITLE = "Retail planning"


def main() -> None:
    st.set_page_config(page_title=TITLE, page_icon=":material/inventory_2:", layout="wide")
    # The first page is the one at /
    first = st.Page(replenishment.page, title="Replenishment", icon=":material/local_shipping:", default=True)
    others = [
        st.Page(demand.page, title="Demand", icon=":material/show_chart:", url_path="demand"),
        st.Page(models.page, title="Models", icon=":material/leaderboard:", url_path="models"),
    ]
    navigation = st.navigation([first, *others])
    access.ask_name()
    navigation.run()


def launch(*, port: int, address: str = "localhost") -> NoReturn:
    """Become `streamlit run` on this file: the same process, so that signals and exit codes are Streamlit's own."""
    command = [sys.executable, "-m", "streamlit", "run", str(Path(__file__).resolve())]
    options = [f"--server.port={port}", f"--server.address={address}", "--server.headless=true"]
    os.execv(sys.executable, [*command, *options])


if __name__ == "__main__":
    main()
