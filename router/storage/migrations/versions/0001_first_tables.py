"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "revision",
        sa.Column("id", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("value", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_revision"),
    )
    op.execute("INSERT INTO revision (id, value) VALUES (1, 0)")
    op.create_table(
        "sealed_secrets",
        sa.Column("purpose", sa.String, nullable=False),
        sa.Column("sealed", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("purpose", name="pk_sealed_secrets"),
    )
    _people()
    _backends()
    _usage()
    op.create_table(
        "allowlist",
        sa.Column("id", sa.String, nullable=False),
        sa.Column("network", sa.String, nullable=False),
        sa.Column("allows", sa.String, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_allowlist"),
        sa.UniqueConstraint("network", "allows", name="uq_allowlist_network_allows"),
    )


def _people() -> None:
    op.create_table(
        "users",
        sa.Column("id", sa.String, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
        sa.UniqueConstraint("name", name="uq_users_name"),
    )
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String, nullable=False),
        sa.Column("user_id", sa.String, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("prefix", sa.String, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("scopes", sa.JSON, nullable=False),
        sa.Column("models", sa.JSON, nullable=True),
        sa.Column("priority", sa.String, nullable=False),
        sa.Column("requests_per_minute", sa.BigInteger, nullable=True),
        sa.Column("tokens_per_minute", sa.BigInteger, nullable=True),
        sa.Column("tokens_per_day", sa.BigInteger, nullable=True),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("expires_at", sa.Float, nullable=True),
        sa.Column("revoked_at", sa.Float, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
        sa.UniqueConstraint("digest", name="uq_api_keys_digest"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_api_keys_user_id", ondelete="CASCADE"),
    )
    op.create_index("ix_api_keys_user_id", "api_keys", ["user_id"])
    op.create_table(
        "preferences",
        sa.Column("user_id", sa.String, nullable=False),
        sa.Column("default_backend", sa.String, nullable=False),
        sa.Column("default_model", sa.String, nullable=False),
        sa.Column("fallback_to_claude", sa.Boolean, nullable=False),
        sa.Column("use_local_for_code", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("user_id", name="pk_preferences"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_preferences_user_id", ondelete="CASCADE"),
    )


def _backends() -> None:
    op.create_table(
        "backends",
        sa.Column("id", sa.String, nullable=False),
        sa.Column("owner_id", sa.String, nullable=True),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("sealed_api_key", sa.Text, nullable=True),
        sa.Column("sealed_headers", sa.Text, nullable=True),
        sa.Column("options", sa.JSON, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("updated_at", sa.Float, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_backends"),
        sa.UniqueConstraint("owner_id", "name", name="uq_backends_owner_id_name"),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name="fk_backends_owner_id", ondelete="CASCADE"),
    )
    shared = sa.text("owner_id IS NULL")
    op.create_index(
        "uq_backends_shared", "backends", ["name"], unique=True, sqlite_where=shared, postgresql_where=shared
    )
    op.create_table(
        "backend_models",
        sa.Column("backend", sa.String, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=True),
        sa.Column("details", sa.JSON, nullable=False),
        sa.Column("last_seen", sa.Float, nullable=False),
        sa.Column("selected", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("backend", "name", name="pk_backend_models"),
    )


def _usage() -> None:
    op.create_table(
        "usage_records",
        sa.Column("uid", sa.String, nullable=False),
        sa.Column("request_id", sa.String, nullable=False),
        sa.Column("key_id", sa.String, nullable=False),
        sa.Column("day", sa.Integer, nullable=False),
        sa.Column("started_at", sa.Float, nullable=False),
        sa.Column("operation", sa.String, nullable=False),
        sa.Column("asked", sa.String, nullable=False),
        sa.Column("backend", sa.String, nullable=False),
        sa.Column("model", sa.String, nullable=False),
        sa.Column("stream", sa.Boolean, nullable=False),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("outcome", sa.String, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("prompt_tokens", sa.BigInteger, nullable=True),
        sa.Column("completion_tokens", sa.BigInteger, nullable=True),
        sa.Column("cached_tokens", sa.BigInteger, nullable=True),
        sa.Column("reasoning_tokens", sa.BigInteger, nullable=True),
        sa.Column("estimated", sa.Boolean, nullable=False),
        sa.Column("first_token_s", sa.Float, nullable=True),
        sa.Column("duration_s", sa.Float, nullable=False),
        sa.PrimaryKeyConstraint("uid", name="pk_usage_records"),
    )
    op.create_index("ix_usage_records_day_key_id", "usage_records", ["day", "key_id"])
    op.create_index("ix_usage_records_started_at", "usage_records", ["started_at"])
    op.create_table(
        "calibration",
        sa.Column("backend", sa.String, nullable=False),
        sa.Column("model", sa.String, nullable=False),
        sa.Column("ratio", sa.Float, nullable=False),
        sa.Column("samples", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.Float, nullable=False),
        sa.PrimaryKeyConstraint("backend", "model", name="pk_calibration"),
    )
