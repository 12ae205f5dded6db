"""Deployments, the lease of an environment, what is known of releases, approvals, incidents."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

MOMENT = sa.TIMESTAMP(timezone=True)


def upgrade() -> None:
    _deployment()
    _approval()
    _incident()


def _deployment() -> None:
    op.create_table(
        "deployment",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("environment", sa.String(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("dry_run", sa.Boolean(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("body", JSONB(), nullable=False),
    )
    op.create_index("ix_deployment_state", "deployment", ["state"])
    op.create_index("deployment_environment_created", "deployment", ["environment", "created_at"])
    op.create_table(
        "environment_lease",
        sa.Column("environment", sa.String(), primary_key=True),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("holder", sa.String(), nullable=True),
        sa.Column("held", sa.Boolean(), nullable=False),
        sa.Column("since", MOMENT, nullable=False),
        sa.Column("intent", JSONB(), nullable=True),
    )
    op.create_table(
        "release",
        sa.Column("environment", sa.String(), primary_key=True),
        sa.Column("version", sa.String(), primary_key=True),
        sa.Column("standing", sa.String(), nullable=False),
        sa.Column("deployment", sa.String(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
    )


def _approval() -> None:
    op.create_table(
        "approval",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("plan_hash", sa.String(), nullable=False),
        sa.Column("policy", JSONB(), nullable=False),
        sa.Column("asked_by", sa.String(), nullable=False),
        sa.Column("asked_by_email", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
    )
    op.create_index(
        "approval_one_open", "approval", ["subject"], unique=True, postgresql_where=sa.text("state = 'open'")
    )
    op.create_index("approval_subject_created", "approval", ["subject", "created_at"])
    op.create_table(
        "approval_vote",
        sa.Column("approval", sa.String(), sa.ForeignKey("approval.id"), primary_key=True),
        sa.Column("person", sa.String(), primary_key=True),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("email", sa.String(), nullable=False),
        sa.Column("choice", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
    )


def _incident() -> None:
    op.create_table(
        "incident",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("dedup_key", sa.String(), nullable=False),
        sa.Column("severity", sa.String(), nullable=False),
        sa.Column("environment", sa.String(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("card", sa.String(), nullable=False),
        sa.Column("deployment", sa.String(), nullable=False),
        sa.Column("ladder", JSONB(), nullable=False),
        sa.Column("opened_at", MOMENT, nullable=False),
    )
    unresolved = sa.text("state <> 'resolved'")
    op.create_index("incident_one_open", "incident", ["dedup_key"], unique=True, postgresql_where=unresolved)
    op.create_index("incident_open_in", "incident", ["environment"], postgresql_where=unresolved)
    op.create_table(
        "incident_event",
        sa.Column("id", sa.BigInteger(), sa.Identity(), primary_key=True),
        sa.Column("incident", sa.String(), sa.ForeignKey("incident.id"), nullable=False),
        sa.Column("key", sa.String(), nullable=False, unique=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("detail", JSONB(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
    )
    op.create_index("ix_incident_event_incident", "incident_event", ["incident"])


def downgrade() -> None:
    names = ("incident_event", "incident", "approval_vote", "approval", "release", "environment_lease", "deployment")
    for table in names:
        op.drop_table(table)
