"""A Slack on loopback: Web API, Socket Mode, signed HTTP, a browser page, and hands for tests and stories."""

from bot.sandbox.slack.local import LocalSlack
from bot.sandbox.slack.plain import plain_text
from bot.sandbox.slack.records import Ack, Limits, Message

__all__ = ["Ack", "Limits", "LocalSlack", "Message", "plain_text"]
