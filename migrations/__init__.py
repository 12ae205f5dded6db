"""Alembic's migrations of the bot's own tables; `bot/schema.py` runs them."""

# Every module that defines tables: what the migrations must add up to.
TABLES = (
    "bot.audit",
    "bot.outbox",
    "bot.lease",
    "commands.approval.tables",
    "commands.rollout.tables",
    "escalation.tables",
)
