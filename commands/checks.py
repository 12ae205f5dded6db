"""What one check found, and what many findings add up to. Unknown is neither good nor bad."""

import enum
from collections.abc import Iterable
from dataclasses import dataclass


class Verdict(enum.StrEnum):
    """The answer of one check."""

    PASS = "pass"  # noqa: S105 - a verdict, no secret
    WARN = "warn"
    FAIL = "fail"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One check's answer: `code` is stable for machines, `evidence` is the sentence with the number and its limit."""

    check: str
    verdict: Verdict
    code: str
    evidence: str


def passed(check: str, evidence: str, *, code: str = "ok") -> Finding:
    """Return a finding that is good."""
    return Finding(check=check, verdict=Verdict.PASS, code=code, evidence=evidence)


def warned(check: str, code: str, evidence: str) -> Finding:
    """Return a finding that people should see and that stops nothing."""
    return Finding(check=check, verdict=Verdict.WARN, code=code, evidence=evidence)


def failed(check: str, code: str, evidence: str) -> Finding:
    """Return a finding that stops the course."""
    return Finding(check=check, verdict=Verdict.FAIL, code=code, evidence=evidence)


def unknown(check: str, code: str, evidence: str) -> Finding:
    """Return a finding that could not be made."""
    return Finding(check=check, verdict=Verdict.UNKNOWN, code=code, evidence=evidence)


def stopping(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return what forbids to go on: failures, and checks that could not be made."""
    return tuple(finding for finding in findings if finding.verdict in {Verdict.FAIL, Verdict.UNKNOWN})


def count(findings: Iterable[Finding]) -> dict[Verdict, int]:
    """Return how many findings there are of each verdict."""
    found = list(findings)
    return {verdict: sum(1 for finding in found if finding.verdict is verdict) for verdict in Verdict}
