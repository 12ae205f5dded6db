"""Audit log, outbox, live cards, leases of the processes that run workflows."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

MOMENT = sa.TIMESTAMP(timezone=True)


def upgrade() -> None:
    _audit()
    _card()
    _outbox()
    op.create_table(
        "executor_lease",
        sa.Column("executor", sa.String(), primary_key=True),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
    )


def _audit() -> None:
    op.create_table(
        "audit",
        sa.Column("id", sa.BigInteger(), sa.Identity(), primary_key=True),
        sa.Column("at", MOMENT, nullable=False, server_default=sa.func.now()),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("origin", sa.String(), nullable=False),
        sa.Column("detail", JSONB(), nullable=False),
    )
    op.create_index("ix_audit_subject", "audit", ["subject"])
    op.execute("""
        CREATE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'the audit log is append-only: % is refused', TG_OP USING ERRCODE = 'insufficient_privilege';
        END $$
    """)
    op.execute("""
        CREATE TRIGGER audit_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
        FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only()
    """)


def _card() -> None:
    op.create_table(
        "card",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("ts", sa.String(), nullable=True),
        sa.Column("rev", sa.Integer(), nullable=False),
        sa.Column("sent_rev", sa.Integer(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False, server_default=sa.func.now()),
        sa.Column("sent_at", MOMENT, nullable=True),
        sa.Column("next_at", MOMENT, nullable=False, server_default=sa.func.now()),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("claim", sa.String(), nullable=True),
    )
    op.create_index("ix_card_stale", "card", ["next_at"], postgresql_where=sa.text("rev > sent_rev"))


def _outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger(), sa.Identity(), primary_key=True),
        sa.Column("key", sa.String(), nullable=False, unique=True),
        sa.Column("lane", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("card", sa.String(), nullable=True),
        sa.Column("payload", JSONB(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False, server_default=sa.func.now()),
        sa.Column("next_at", MOMENT, nullable=False, server_default=sa.func.now()),
        sa.Column("done_at", MOMENT, nullable=True),
        sa.Column("claim", sa.String(), nullable=True),
        sa.Column("answer", sa.String(), nullable=False),
    )
    pending = sa.text("state = 'pending'")
    op.create_index("ix_outbox_due", "outbox", ["lane", "next_at"], postgresql_where=pending)
    op.create_index("ix_outbox_card", "outbox", ["card", "id"], postgresql_where=pending)


def downgrade() -> None:
    for table in ("executor_lease", "outbox", "card", "audit"):
        op.drop_table(table)
    op.execute("DROP FUNCTION audit_is_append_only()")
