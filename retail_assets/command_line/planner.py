"""What a command-line run has to do: which days and weeks are missing, in which order, and doing it.

Runs execute in this process against the persistent instance, so the UI shows them afterwards. What is
already materialised is not made again unless asked.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import dagster as dg

from retail_assets.assets.restating import RESTATE_TAG
from retail_assets.checks.failed import FailedCheck, failed_checks, one_line
from retail_assets.failures import PermanentFailure, RetailError, TransientFailure
from retail_assets.graph import jobs
from retail_assets.graph.schedules import trailing
from retail_assets.nights import missed
from retail_assets.nights.due import demand_days_after
from retail_assets.runs.at_work import LAUNCHED_BY, runs_in_a_command
from retail_assets.runs.run_tags import range_tags, window_of
from retail_assets.runs.slots import free_ended
from retail_assets.settings import Settings
from retail_assets.tables.contract import ContractViolation, Table
from retail_assets.tables.forecast import DAILY_FORECASTS, FORECAST_ACCURACY
from retail_assets.transforms.extraction import ACCEPT_EMPTY_TAG
from retail_assets.windows import MIN_FORECAST_DAYS, MIN_TRAINING_DAYS, ONE_DAY, Window, runs_of

RETRAIN_EVERY = timedelta(weeks=4)
_UNFINISHED = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
_CHECK_FAILED = "DagsterAssetCheckFailedError"
_EXPECTED = {kind.__name__ for kind in (PermanentFailure, TransientFailure, ContractViolation)} | {_CHECK_FAILED}
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass(frozen=True)
class Step:
    """One run: a job over a window of days, or for the week that starts on `window.first`.

    A run without a window makes tables without partitions. `only` names the tables, all of the job when empty.
    """

    job: str
    window: Window | None
    only: tuple[Table, ...] = ()

    @property
    def title(self) -> str:
        if self.window is None:
            return f"{self.job} {len(self.only)} whole tables"
        return f"{self.job} {self.window.first if self.job == jobs.TRAIN else self.window}"

    @property
    def tags(self) -> dict[str, str]:
        """Tags of the partitions; a week is named by its partition key instead."""
        return {} if self.window is None or self.job == jobs.TRAIN else range_tags(self.window)

    @property
    def partition_key(self) -> str | None:
        return self.window.first.isoformat() if self.window and self.job == jobs.TRAIN else None


@dataclass(frozen=True)
class Planner:
    """Finds the missing partitions of the wanted days.

    Args:
        instance: knows what was materialised.
        settings: first date, trailing and backfill days.
        wanted: business dates asked for.
        again: also what is there already.
        restate: also forecasts that were published live.
        accept_empty: stored days may become empty.
    """

    instance: dg.DagsterInstance
    settings: Settings
    wanted: Window
    again: bool = False
    restate: bool = False
    accept_empty: bool = False

    def ingests(self) -> list[Step]:
        """Missing business dates, each run with the trailing days before it for late and corrected lines.

        Tables without partitions have runs of their own: inside a range run Dagster plans each of them once a
        partition (measured: 101,389 planned events instead of 24,869 for 1,913 days).
        """
        missing = runs_of(self._missing(jobs.INGEST, self.wanted))
        if not missing:
            return []
        days = tuple(jobs.partitioned(jobs.INGEST))
        return [
            Step(jobs.INGEST, None, only=tuple(jobs.before_days())),
            *(Step(jobs.INGEST, self._with_trailing(run), only=days) for run in missing),
            *(Step(jobs.INGEST, run, only=jobs.DEMAND) for run in self._looking_back_on(missing)),
            Step(jobs.INGEST, None, only=jobs.AFTER_DAYS),
        ]

    def _looking_back_on(self, ingested: list[Window]) -> list[Window]:
        """Days that stand and whose demand was estimated without the days that are ingested now."""
        there = self._materialised(jobs.DEMAND)
        behind = {day for run in ingested for day in demand_days_after(run, there)}
        return runs_of(behind - {day for run in ingested for day in run.days()})

    def trainings(self) -> list[Step]:
        """A version for the newest missing as-of date, and one every four weeks back to the oldest."""
        days = self._as_of_days()
        if not days:
            return []
        mondays, monday = [], days[-1] - timedelta(days=days[-1].weekday())
        while True:
            mondays.append(monday)
            if monday <= days[0]:
                break
            monday -= RETRAIN_EVERY
        trainable = [m for m in mondays if (m - self._first_ingested()).days >= MIN_TRAINING_DAYS]
        done = set() if self.again else self._done(jobs.TRAIN, jobs.partitioned(jobs.TRAIN))
        return [Step(jobs.TRAIN, Window(m, m)) for m in sorted(trainable) if m not in done]

    def publications(self) -> list[Step]:
        """Missing as-of dates among the last `forecast_backfill_days`, and the score of re-read days."""
        days = self._as_of_days()
        stands = set() if self.again or self.restate else self._materialised(DAILY_FORECASTS)
        steps = [Step(jobs.PUBLISH, run, only=tables) for run, tables in missed.unpublished(days, stands=stands)]
        return [*steps, *self._rescored(days)]

    def _rescored(self, days: list[date]) -> list[Step]:
        """Days before the first new one that were read again."""
        if not days or days[0] == self._publishable().first:
            return []
        behind = self._with_trailing(Window(days[0], days[0]))
        first, last = max(behind.first, self._publishable().first), days[0] - ONE_DAY
        return [Step(jobs.PUBLISH, Window(first, last), only=(FORECAST_ACCURACY,))] if first <= last else []

    def _publishable(self) -> Window:
        """Of days before a model can be trained only the newest."""
        earliest = self._first_ingested() + timedelta(days=MIN_TRAINING_DAYS)
        backfill = self.wanted.last - timedelta(days=self.settings.forecast_backfill_days - 1)
        return Window(min(max(self.wanted.first, backfill, earliest), self.wanted.last), self.wanted.last)

    def _as_of_days(self) -> list[date]:
        if (self.wanted.last - self._first_ingested()).days + 1 < MIN_FORECAST_DAYS:
            return []
        return self._missing(jobs.PUBLISH, self._publishable())

    def _first_ingested(self) -> date:
        return min(self._materialised(jobs.partitioned(jobs.INGEST)), default=self.wanted.first)

    def _with_trailing(self, window: Window) -> Window:
        first = trailing(
            window.first, trailing_days=self.settings.trailing_days, first_date=self.settings.first_date
        ).first
        return Window(first, window.last)

    def _missing(self, job: str, window: Window) -> list[date]:
        done = set() if self.again else self._done(job, jobs.partitioned(job))
        return [day for day in window.days() if day not in done]

    def _done(self, job: str, tables: Sequence[Table]) -> set[date]:
        """Partitions that every table has, less those of the job's last run if it did not succeed.

        Tables without partitions have no partition to miss; the last run tells whether they were made.
        """
        done = missed.ingested(self.instance).days if job == jobs.INGEST else self._materialised(tables)
        last = self.instance.get_runs(filters=dg.RunsFilter(job_name=job), limit=1)
        if not last or last[0].status is dg.DagsterRunStatus.SUCCESS:
            return done
        window = window_of(last[0])
        return done - ({max(done)} if window is None and done else set(window.days() if window else ()))

    def _materialised(self, tables: Sequence[Table]) -> set[date]:
        return missed.materialised_days(self.instance, tables)


def execute(
    step: Step, planner: Planner, definitions: dg.Definitions, *, warn: Callable[[FailedCheck], None] | None = None
) -> None:
    """Run a step to its end.

    Args:
        warn: takes the checks that failed as warnings, also of a step that fails.

    Raises:
        PermanentFailure, TransientFailure: the cause, in one sentence.
        KeyboardInterrupt: the run was interrupted.
    """
    tags = {**LAUNCHED_BY, **step.tags}
    allowed = {RESTATE_TAG: planner.restate, ACCEPT_EMPTY_TAG: planner.accept_empty}
    tags |= {tag: "true" for tag, is_allowed in allowed.items() if is_allowed}
    result = definitions.resolve_job_def(step.job).execute_in_process(
        instance=planner.instance,
        tags=tags,
        partition_key=step.partition_key,
        asset_selection=[dg.AssetKey(table.asset_key) for table in step.only] or None,
        run_config=_QUIET,
        raise_on_error=False,
    )
    found = failed_checks(result.get_asset_check_evaluations())
    for check in found:
        if warn and not check.is_serious:
            warn(check)
    if not result.success:
        raise _cause(result, step, one_line(found))


def close_abandoned(instance: dg.DagsterInstance) -> int:
    """Runs of an interrupted command are ended and their slots freed, so that nothing shows or waits for them.

    Only for a command that is alone at work in its home: every unfinished run of a command there is abandoned.
    """
    running = instance.get_runs(filters=dg.RunsFilter(statuses=_UNFINISHED, tags=LAUNCHED_BY))
    abandoned = [run for run in running if runs_in_a_command(run)]
    for run in abandoned:
        instance.report_run_canceled(run, message="The command was interrupted; a later run carries on.")
    free_ended(instance)
    return len(abandoned)


def _cause(result: dg.ExecuteInProcessResult, step: Step, checks: str) -> RetailError:
    """The first failure as a sentence, of the class that says whether trying again can help; `checks` that failed."""
    failures = [event for event in result.all_events if event.is_step_failure]
    if not failures and _was_interrupted(result):
        raise KeyboardInterrupt
    if not failures:
        return PermanentFailure(
            f"The run {step.title} failed before its first step; open run {result.run_id} in the UI."
        )
    kind, sentence = _root(failures[0].step_failure_data.error)
    if kind == "DagsterExecutionInterruptedError":
        raise KeyboardInterrupt
    if kind == _CHECK_FAILED and checks:
        return PermanentFailure(f"{step.title} stopped: {checks}")
    if kind not in _EXPECTED:
        sentence = f"{kind}: {sentence} (the whole trace is in run {result.run_id} of make ui)"
    kind_of = TransientFailure if kind == TransientFailure.__name__ else PermanentFailure
    return kind_of(f"{step.title}, {failures[0].step_key}: {sentence}")


def _was_interrupted(result: dg.ExecuteInProcessResult) -> bool:
    """Whether an interrupt ended the run outside its steps, as while one waits for a slot."""
    ends = [event for event in result.all_events if event.event_type is dg.DagsterEventType.RUN_FAILURE]
    return any(_root(event.job_failure_data.error)[0] == KeyboardInterrupt.__name__ for event in ends)


def _root(error: object) -> tuple[str, str]:
    """Class name and message of the innermost cause."""
    while getattr(error, "cause", None) is not None:
        error = error.cause  # pyright: ignore
    name = str(getattr(error, "cls_name", "")).split(".")[-1]
    message = str(getattr(error, "message", error)).strip().split(": ", 1)
    text = message[-1] if message[0].endswith(name) else ": ".join(message)
    return name, " ".join(text.split())


def in_order(planner: Planner) -> Iterable[tuple[str, Callable[[], list[Step]]]]:
    """Stages; each plans when the one before it has run."""
    return ((jobs.INGEST, planner.ingests), (jobs.TRAIN, planner.trainings), (jobs.PUBLISH, planner.publications))
