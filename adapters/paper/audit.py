"""The independent checker: a run's journal against the exchange's own truth, rule by rule.

It knows nothing of how the daemon decides: only the journal export and `/paper/truth` are read. A
clean run has no violation; each violation names the rule, whom it concerns, and the figures.

| rule | what it says | where |
|---|---|---|
| S1 S2 S5 | over-fill, exposure at each intent, one open child an execution | audit_rules |
| S3 S4 | journalled before received, ids unique, one attempt executes | audit_rules |
| S6 | one execution an accepted key, one verdict a signal | audit_signals |
| S7 S8 | rates and Retry-After, no refused order again and again | audit_signals |
| S9 | facts never go back, the journal has no gap | audit_conduct |
| S10 | trades booked once, complete, as made | audit_accounts |
| S11 S12 | silent until ready and in a halt; no child out of its time, slot or cap | audit_conduct |
| S13 S14 | guards cited and true; epochs and incarnations rise | audit_conduct |
| Q1 Q2 Q3 Q4 | books and balances agree; nothing unknown, orphaned or reserved | audit_accounts |
| Q4 | reports are the sums of the trades | audit_reports |
| Q6 | alerts are raised once and cleared once | audit_conduct |
| L1 L2 | executions end, unknowns are proven, each in its time | audit_progress |
| L3 L4 | trades are known though the stream was away, cancels are answered | audit_progress |

Not to be judged from these inputs, and checked elsewhere:

| rule | where |
|---|---|
| S7 questions and cancels in a Retry-After | tests of budget and adapter (the truth lists order requests only) |
| S8 filters at receive time | the paper exchange refuses what breaks a filter; here only repeats are seen |
| S9 hash chain | `journal verify` |
| S11 query answered before ready | the daemon's start-up tests (the truth lists order requests only) |
| S14 an older epoch's writes refused | the storage contract: two processes on one data directory |
| S15 no secret gets out | the canary tests of logs, journal, metrics and HTTP answers |
| Q5 no leaked actor, timer, thread or file | the runtime's and the process tests |
| Q7 a restart at rest does nothing | the crash tests: a second start, the same truth |
| Q8 same seed, same trace | the simulation tests compare two runs byte by byte |
| Q9 duplicated or permuted events change nothing | the ledger's state-machine tests |
| L5 SIGTERM ends in time | the process tests |
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

import orjson

from adapters.paper import audit_accounts as accounts
from adapters.paper import audit_conduct as conduct
from adapters.paper import audit_progress as progress
from adapters.paper import audit_reports as reports
from adapters.paper import audit_rules as rules
from adapters.paper import audit_signals as signals
from adapters.paper.audit_evidence import Evidence, read_evidence
from adapters.paper.audit_records import Json, Unreadable
from adapters.paper.audit_rules import Limits, Rule, Violation
from messages.money import ZERO, plain

__all__ = ["RULES", "Audit", "Limits", "Mode", "Unreadable", "Violation", "audit"]

Mode = Literal["safety", "converged"]
"""`safety`: only what must hold at every step; `converged`: the run has come to rest besides."""

RULES: tuple[tuple[str, Rule], ...] = (
    ("S1", rules.over_fill),
    ("S2", rules.exposure),
    ("S2", rules.exposure_at_venue),
    ("S3", rules.write_ahead),
    ("S4", rules.unique_ids),
    ("S4", rules.one_attempt_executes),
    ("S5", rules.one_open_child),
    ("S6", signals.one_execution_per_signal),
    ("S6", signals.one_verdict),
    ("S7", signals.rates),
    ("S8", signals.no_identical_refusals),
    ("S9", conduct.monotone),
    ("S9", conduct.without_gap),
    ("S10", accounts.trades_once),
    ("S10", accounts.closed_complete),
    ("S11", conduct.quiet_when_halted),
    ("S11", conduct.quiet_until_ready),
    ("S12", conduct.within_its_time),
    ("S12", conduct.within_its_slot),
    ("S12", conduct.catch_up),
    ("S12", conduct.no_burst),
    ("S13", conduct.guards_held),
    ("S13", rules.participation),
    ("S14", conduct.epochs_rise),
    ("S14", conduct.newest_incarnation),
    ("Q1", accounts.books_agree),
    ("Q1", accounts.every_trade_booked),
    ("Q1", accounts.balances_explained),
    ("Q2", accounts.nothing_unknown),
    ("Q3", accounts.no_orphan_open),
    ("Q4", accounts.nothing_reserved),
    ("Q4", reports.report_true),
    ("Q6", conduct.alerts_pair),
    ("L1", progress.executions_end),
    ("L2", progress.unknowns_resolved),
    ("L3", progress.trades_known),
    ("L4", progress.cancels_answered),
)
"""Every rule by its row of the invariants, in order; a row may need several."""


@dataclass(frozen=True, slots=True)
class Audit:
    """What the checker found: the broken rules, and how much there was to check."""

    mode: Mode
    violations: tuple[Violation, ...]
    figures: Mapping[str, int | str]

    @property
    def ok(self) -> bool:
        """Whether no rule is broken."""
        return not self.violations

    def broken(self) -> tuple[str, ...]:
        """The rules that are broken, each once, in the order of `RULES`."""
        return tuple(dict.fromkeys(violation.rule for violation in self.violations))

    def text(self) -> str:
        """Say it for people: one line of figures, then one line a violation."""
        count = len(self.violations)
        broken = f"{count} violation{'' if count == 1 else 's'}"
        verdict = "journal and exchange agree" if self.ok else broken
        figures = ", ".join(f"{value} {name.replace('_', ' ')}" for name, value in self.figures.items())
        lines = [f"audit ({self.mode}): {verdict}: {figures}"]
        lines += [f"  {v.rule:<4} {v.subject}: {v.text}" for v in self.violations]
        return "\n".join(lines)

    def to_json(self) -> str:
        """Say it for programs: `{"ok", "mode", "violations": [...], "figures": {...}}`."""
        return orjson.dumps(
            {
                "ok": self.ok,
                "mode": self.mode,
                "violations": [{"rule": v.rule, "subject": v.subject, "text": v.text} for v in self.violations],
                "figures": dict(self.figures),
            }
        ).decode()


def audit(
    journal: Iterable[Json],
    truth: Json,
    *,
    mode: Mode = "converged",
    limits: Limits | None = None,
    initial_balances: Mapping[str, Decimal] | None = None,
    verdicts: Mapping[str, Sequence[Json]] | None = None,
) -> Audit:
    """Compare a journal export (parsed lines) with the exchange's truth.

    `initial_balances` are by asset, free and locked together; without them balances are not judged.
    `verdicts` are the answers that each sender got, by any name of the signal; without them only the
    journal's own answers are. Raises `Unreadable` when either side lacks what it must have.
    """
    evidence = read_evidence(journal, truth, initial_balances=initial_balances, verdicts=verdicts or {})
    given = limits or Limits()
    violations = tuple(
        Violation(name, subject, text)
        for name, rule in RULES
        if mode == "converged" or name.startswith("S")
        for subject, text in rule(evidence, given)
    )
    return Audit(mode, violations, _figures(evidence))


def _figures(evidence: Evidence) -> dict[str, int | str]:
    kinds = Counter(line.kind for line in evidence.lines)
    booked = evidence.kinds("TradeBooked")
    quote = sum((t.amount("price") * t.amount("quantity") for t in booked), ZERO)
    return {
        "facts": len(evidence.lines),
        "executions": kinds["SignalAccepted"],
        "repeats": kinds["SignalDuplicate"] + kinds["SignalConflict"],
        "rejected": kinds["SignalRejected"],
        "children": kinds["ChildIntended"],
        "requests": len(evidence.requests),
        "orders": sum(map(len, evidence.orders.values())),
        "trades": len(booked),
        "quote_traded": plain(quote),
    }
