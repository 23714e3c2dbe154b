"""Commands on a running daemon: what `run.py send`, `status`, `report` and the like do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson
from rich.console import Console, RenderableType

from adapters import exits
from adapters.client import Client, Verb
from adapters.terminal import executions_table, report_view, signal_of, status_line, verdict_line

if TYPE_CHECKING:
    from adapters.doctor import Finding

WIDTH: Final = 120
WAIT_SECONDS: Final = 7 * 86_400.0
_GOOD = frozenset({"accepted", "duplicate"})


def as_json(value: object) -> None:
    """Write one JSON document and a newline to standard output."""
    print(orjson.dumps(value, option=orjson.OPT_INDENT_2, default=str).decode())


def one_line(value: object) -> None:
    """Write one JSON document on one line, at once."""
    print(orjson.dumps(value, default=str).decode(), flush=True)


def send(client: Client, signal: Mapping[str, object], *, wait: bool, json: bool) -> int:
    """Send a signal and say its verdict; with `wait` also the report. 0 for accepted and duplicate."""
    _, verdict = client.send(signal)
    answer: dict[str, Any] = dict(verdict)
    execution = str(verdict.get("execution_id") or verdict.get("duplicate_of") or "")
    if not json:
        print(verdict_line(verdict), flush=True)  # Before the waiting, also into a pipe.
    if wait and execution:
        view = client.wait(execution, WAIT_SECONDS)
        answer["report"] = view["report"]
        if not json:
            show(report_view(_report_of(view), execution, signal_of(view)))
    if json:
        as_json(answer)
    return exits.OK if verdict.get("status") in _GOOD else exits.ERROR


def status(client: Client, *, json: bool) -> int:
    """Say how the daemon stands and what it works on."""
    stands = client.status()
    worked_on = [view for view in client.executions() if view.get("state") != "CLOSED"]
    if json:
        # To /readyz not being ready is a refusal with a reason; to who asks how it stands it is an answer.
        told = {name: value for name, value in stands.items() if name != "reason"}
        as_json({**told, "status": str(stands.get("readiness")).lower(), "executions": worked_on})
    else:
        show(status_line(stands))
        show(executions_table(worked_on) if worked_on else "nothing is being worked")
    return exits.OK


def executions(client: Client, *, json: bool) -> int:
    """List the executions."""
    listed = client.executions()
    if json:
        as_json({"executions": listed})
    else:
        show(executions_table(listed))
    return exits.OK


def report(view: Mapping[str, Any], *, json: bool, html: Path | None = None) -> int:
    """Show an execution's report, or write it as a page to `html`; 1 while there is none."""
    if html is not None and view.get("report") is not None:
        from adapters.report_page import report_page

        html.write_text(report_page(view), encoding="utf-8")
        if not json:
            print(f"the report is written to {html}")
            return exits.OK
    if json:
        as_json(dict(view))
    elif view.get("report") is None:
        show(executions_table([view]))
    else:
        show(report_view(_report_of(view), str(view.get("execution_id", "")), signal_of(view)))
    if view.get("report") is None:
        raise exits.Exit(exits.ERROR, f"{view.get('execution_id')} has no report yet: it is {view.get('state')}")
    return exits.OK


def command(client: Client, execution: str, verb: Verb, body: Mapping[str, object], *, json: bool) -> int:
    """Pause, resume, cancel or amend an execution."""
    answer = client.command(execution, verb, body)
    if json:
        as_json(answer)
    else:
        print(f"{verb}: {answer.get('detail') or 'done'}")
    return exits.OK if answer.get("done", True) else exits.ERROR


def halting(answer: Mapping[str, object], *, json: bool) -> int:
    """Say what became of a halt, or of its end."""
    if json:
        as_json(dict(answer))
    else:
        print("trading is halted: no new order goes out" if answer.get("status") == "halted" else "trading goes on")
    return exits.OK


def facts_in(facts: int, file: Path, text: str = "{facts} facts are in {file}", *, json: bool) -> None:
    """Say how many facts a journal, or a copy of one, has."""
    if json:
        as_json({"facts": facts, "file": str(file)})
    else:
        print(text.format(facts=facts, file=file))


def findings(found: Sequence[Finding], *, json: bool) -> int:
    """Say what `doctor` found; 1 if anything is not good."""
    if json:
        as_json([asdict(finding) for finding in found])
    else:
        width = max(len(finding.what) for finding in found)
        for finding in found:
            print(f"{'ok ' if finding.good else 'BAD'}  {finding.what:{width}}  {finding.detail}")
    return exits.OK if all(finding.good for finding in found) else exits.ERROR


def try_sample(body: bytes, template: str | None, written: Mapping[str, object]) -> int:
    """Print what becomes of a body by a template of the configuration; 1 if any of it is refused."""
    from adapters.intake.signals import decode_body, signal_object, verdict_object
    from adapters.intake.template_tables import template_tables
    from adapters.intake.templates import templates_of
    from messages.signal import Verdict

    templates = templates_of(template_tables(written)[0])
    if template is not None and template not in templates:
        raise exits.Exit(exits.USAGE, f"no template {template}; there are {', '.join(sorted(templates))}")
    read = decode_body(body) if template is None else templates[template].decode(body)
    items = (read,) if isinstance(read, Verdict) else read.items
    for item in items:
        as_json(verdict_object(item) if isinstance(item, Verdict) else signal_object(item))
    return exits.ERROR if any(isinstance(item, Verdict) for item in items) else exits.OK


def show(what: RenderableType) -> None:
    """Print something that rich can draw."""
    wide_enough().print(what)


def wide_enough(*, stderr: bool = False) -> Console:
    """Make a console as wide as the terminal, or as wide as our tables need where there is none."""
    terminal = Console(stderr=stderr)
    return terminal if terminal.is_terminal else Console(stderr=stderr, width=WIDTH)


def _report_of(view: Mapping[str, object]) -> Mapping[str, object]:
    report = view.get("report")
    return report if isinstance(report, Mapping) else {}
