"""The page as a whole, for readers and as JSON."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from collections.abc import Sequence as Arguments
from dataclasses import asdict

from helpers.doctor import machine, model, packages
from helpers.doctor.finding import NG, Finding, install_again
from helpers.language import LANGUAGES, say, set_language


def examine() -> Iterator[Finding]:
    """Check everything in turn; each finding comes as soon as it is known. Takes some seconds, changes nothing."""
    yield from _guarded("python", machine.check_python)
    yield from _guarded("packages", packages.check_packages)
    yield from _guarded("device", machine.check_device)
    yield from _guarded("memory", machine.check_memory)
    yield from _guarded("disk", machine.check_disk)
    yield from _guarded("network", machine.check_network)
    yield from _guarded("font", packages.check_font)
    yield from _guarded("widgets", packages.check_widgets)
    yield from _guarded("tokenizer", model.check_tokenizer)
    yield from _guarded("model", model.check_model)


def diagnose() -> list[Finding]:
    """Print the page line by line and return its findings."""
    findings = []
    for finding in examine():
        findings.append(finding)
        print(finding, flush=True)
    wrong = sum(finding.status == NG for finding in findings)
    print(
        say(
            f"[NG] が {wrong} 個あります。上から順に、→ のあとを試してください。",
            f"{wrong} × [NG]: follow the steps after the arrows, from the top.",
        )
        if wrong
        else say("ここでレッスンを動かせます。", "The lessons can run here.")
    )
    return findings


def main(arguments: Arguments[str] | None = None) -> int:
    """Run the command; returns the exit status: 1 if something keeps the lessons from running, else 0."""
    language = argparse.ArgumentParser(add_help=False)
    language.add_argument(
        "--lang", choices=LANGUAGES, help=say("表示の言葉", "the language of the page")
    )
    # Before anything is said, --help included.
    if chosen := language.parse_known_args(arguments)[0].lang:
        set_language(chosen)
    parser = argparse.ArgumentParser(
        prog="python -m helpers.doctor",
        parents=[language],
        description=say(
            "ここでレッスンを動かせるかどうかを調べます。何も変えません。",
            "Check whether the lessons can run here. Changes nothing.",
        ),
    )
    parser.add_argument(
        "--json",
        action="store_true",
        help=say("結果を JSON だけで出力します", "print the result as JSON and nothing else"),
    )
    as_json = parser.parse_args(arguments).json
    findings = list(examine()) if as_json else diagnose()
    ok = all(finding.status != NG for finding in findings)
    if as_json:
        answer = {"ok": ok, "findings": [asdict(finding) for finding in findings]}
        print(json.dumps(answer, ensure_ascii=False, indent=1))
    return 0 if ok else 1


def _guarded(name: str, look: Callable[[], Iterator[Finding] | Finding]) -> Iterator[Finding]:
    """What `look` finds. A broken installation can raise anything at all: that is a finding, not the end."""
    try:
        found = look()
        yield from [found] if isinstance(found, Finding) else found
    except Exception as error:
        what = " ".join(f"{type(error).__name__}: {error}".split())
        yield Finding(name, NG, what[:300], install_again())
