"""What Dagster loads: the only module that reads the settings when it is imported."""

from retail_assets.graph.build import build_definitions
from retail_assets.settings import load_settings

defs = build_definitions(load_settings())
