"""The log is one event per line, the same for everybody who logs, and holds no secret."""

import json
import logging

import pytest
import structlog

from bot import log


@pytest.fixture(autouse=True)
def restored():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def lines(capsys):
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_events_and_foreign_messages_come_out_the_same_way(capsys):
    log.configure("info", "json")
    structlog.get_logger("bot.rollout").info("deployment_started", deployment_id="dep_1")
    logging.getLogger("dbos").warning("engine %s", "says")
    ours, foreign = lines(capsys)
    assert (ours["event"], ours["deployment_id"], ours["level"], ours["logger"]) == (
        "deployment_started",
        "dep_1",
        "info",
        "bot.rollout",
    )
    assert (foreign["event"], foreign["level"], foreign["logger"]) == ("engine says", "warning", "dbos")
    assert ours.keys() - {"deployment_id"} == foreign.keys()


@pytest.mark.parametrize(
    "fields",
    [
        {"token": "xoxb-123-abc"},
        {"header": "Bearer xapp-1-A0-secret"},
        {"url": "postgresql://opsbot:xapp-pass@127.0.0.1/opsbot"},
        {"url": "postgresql://opsbot:p@127.0.0.1/opsbot"},
        {"nested": {"list": ["a", "key-of-pagerduty"]}},
        {"error": ValueError("key-of-pagerduty is wrong")},
    ],
)
@pytest.mark.parametrize("form", ["json", "console"])
def test_no_secret_is_written(capsys, fields, form):
    log.configure("info", form, ["key-of-pagerduty"])
    structlog.get_logger("bot").info("said", **fields)
    text = capsys.readouterr().err
    assert "***" in text
    for secret in ("xoxb-", "xapp-", ":p@", "key-of-pagerduty"):
        assert secret not in text


def test_a_traceback_holds_no_secret(capsys):
    log.configure("info", "json", ["key-of-pagerduty"])
    try:
        int("xoxb-1-secret and key-of-pagerduty")
    except ValueError:
        structlog.get_logger("bot").exception("broke")
        logging.getLogger("slack_sdk").exception("broke too")
    text = capsys.readouterr().err
    assert text.count("ValueError") >= 2
    assert "xoxb-" not in text
    assert "key-of-pagerduty" not in text


def test_below_the_level_nothing_is_written_and_vendors_are_quiet(capsys):
    log.configure("info", "json")
    structlog.get_logger("bot").debug("detail")
    logging.getLogger("dbos").info("Initializing")
    logging.getLogger("alembic.runtime.migration").info("Running upgrade")
    assert lines(capsys) == []


def test_bound_context_is_on_every_line(capsys):
    log.configure("info", "json")
    with structlog.contextvars.bound_contextvars(deployment_id="dep_1"):
        structlog.get_logger("bot").info("step_began")
        logging.getLogger("vendor").warning("hm")
    assert [line["deployment_id"] for line in lines(capsys)] == ["dep_1", "dep_1"]
