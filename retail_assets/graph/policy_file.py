"""The file of order parameters, read once at start. What the parameters mean is inventory/parameters.py's."""

from pathlib import Path

import yaml

from retail_assets.failures import PermanentFailure
from retail_assets.inventory.parameters import PlanPolicy, Policies
from retail_assets.settings import Settings


def policies_of(file: Path | None, *, service_level: float) -> Policies:
    """Parameters of the file over the default service level; without a file that alone.

    Raises:
        PermanentFailure: the file cannot be read, is not UTF-8 or YAML, or names or holds something wrong.
    """
    plan = PlanPolicy(service_level=service_level)
    if file is None:
        return Policies(plan)
    try:
        read = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise PermanentFailure(f"The policies {file} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError as error:
        place = f"byte {error.start + 1}"
        raise PermanentFailure(f"The policies {file} are not UTF-8 at {place}: save the file as UTF-8.") from None
    except yaml.YAMLError as error:
        place = getattr(error, "problem_mark", None)
        line = "" if place is None else f" in line {place.line + 1}"
        raise PermanentFailure(f"The policies {file} are not YAML{line}.") from None
    return Policies.of(read, plan=plan)


def tried(settings: Settings, *, file: Path | None, service_level: float | None) -> Policies:
    """Parameters of a what-if run: another file or another level, the rest as set.

    Raises:
        PermanentFailure: the file or the level is wrong.
    """
    chosen = file or settings.policies
    if service_level is None:
        return policies_of(chosen, service_level=settings.service_level)
    base = policies_of(chosen, service_level=settings.service_level)
    return Policies(Policies.of({"default": {"service_level": service_level}}, plan=base.plan).plan, base.scopes)
