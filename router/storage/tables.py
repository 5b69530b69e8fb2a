"""The tables. Rows stay inside this package; times are seconds since 1970."""

# SQLAlchemy declares __tablename__ and metadata in ways that no plain value fits.
# pyright: reportAssignmentType=false, reportIncompatibleVariableOverride=false

from typing import Any, ClassVar

from sqlalchemy import JSON, BigInteger, Column, Index, LargeBinary, MetaData, Text, UniqueConstraint, text
from sqlmodel import Field, SQLModel

NAMING = {
    "ix": "ix_%(column_0_N_label)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
SHARED = "owner_id IS NULL"


class Table(SQLModel):
    metadata: ClassVar[MetaData] = MetaData(naming_convention=NAMING)


class RevisionRow(Table, table=True):
    """One row, counted up by every change that routers on the same database must hear of."""

    __tablename__ = "revision"
    id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    value: int = Field(sa_type=BigInteger)


class SealedRow(Table, table=True):
    """A secret of the routers themselves, sealed."""

    __tablename__ = "sealed_secrets"
    purpose: str = Field(primary_key=True)
    sealed: str = Field(sa_type=Text)


class UserRow(Table, table=True):
    __tablename__ = "users"
    id: str = Field(primary_key=True)
    name: str = Field(unique=True)
    enabled: bool
    created_at: float


class ApiKeyRow(Table, table=True):
    __tablename__ = "api_keys"
    id: str = Field(primary_key=True)
    user_id: str = Field(foreign_key="users.id", ondelete="CASCADE", index=True)
    name: str
    prefix: str
    digest: bytes = Field(unique=True, sa_type=LargeBinary)
    scopes: list[str] = Field(sa_type=JSON)
    models: list[str] | None = Field(sa_column=Column("models", JSON(none_as_null=True), nullable=True))
    priority: str
    requests_per_minute: int | None = Field(sa_type=BigInteger)
    tokens_per_minute: int | None = Field(sa_type=BigInteger)
    tokens_per_day: int | None = Field(sa_type=BigInteger)
    created_at: float
    expires_at: float | None
    revoked_at: float | None


class PreferencesRow(Table, table=True):
    __tablename__ = "preferences"
    user_id: str = Field(primary_key=True, foreign_key="users.id", ondelete="CASCADE")
    default_backend: str
    default_model: str
    fallback_to_claude: bool
    use_local_for_code: bool


class BackendRow(Table, table=True):
    """A backend that was added at run time; one without an owner is everybody's."""

    __tablename__ = "backends"
    __table_args__ = (
        UniqueConstraint("owner_id", "name"),
        Index("uq_backends_shared", "name", unique=True, sqlite_where=text(SHARED), postgresql_where=text(SHARED)),
    )
    id: str = Field(primary_key=True)
    owner_id: str | None = Field(foreign_key="users.id", ondelete="CASCADE")
    name: str
    kind: str
    url: str = Field(sa_type=Text)
    enabled: bool
    sealed_api_key: str | None = Field(sa_type=Text)
    sealed_headers: str | None = Field(sa_type=Text)
    options: dict[str, Any] = Field(sa_type=JSON)
    created_at: float
    updated_at: float


class BackendModelRow(Table, table=True):
    """A model that a backend was seen to have; backends of the settings file have rows here too."""

    __tablename__ = "backend_models"
    backend: str = Field(primary_key=True)
    name: str = Field(primary_key=True)
    size: int | None = Field(sa_type=BigInteger)
    details: dict[str, Any] = Field(sa_type=JSON)
    last_seen: float
    selected: bool


class AllowlistRow(Table, table=True):
    __tablename__ = "allowlist"
    __table_args__ = (UniqueConstraint("network", "allows"),)
    id: str = Field(primary_key=True)
    network: str
    allows: str
    created_at: float


class UsageRow(Table, table=True):
    """One request; `uid` is the router's own, for a client may send one request id twice. `day` is one of UTC."""

    __tablename__ = "usage_records"
    __table_args__ = (
        Index("ix_usage_records_day_key_id", "day", "key_id"),
        Index("ix_usage_records_started_at", "started_at"),
    )
    uid: str = Field(primary_key=True)
    request_id: str
    key_id: str
    day: int
    started_at: float
    operation: str
    asked: str
    backend: str
    model: str
    stream: bool
    status: int
    outcome: str
    attempts: int
    prompt_tokens: int | None = Field(sa_type=BigInteger)
    completion_tokens: int | None = Field(sa_type=BigInteger)
    cached_tokens: int | None = Field(sa_type=BigInteger)
    reasoning_tokens: int | None = Field(sa_type=BigInteger)
    estimated: bool
    first_token_s: float | None
    duration_s: float


class CalibrationRow(Table, table=True):
    """How true counts compare with estimated ones for one model of one backend."""

    __tablename__ = "calibration"
    backend: str = Field(primary_key=True)
    model: str = Field(primary_key=True)
    ratio: float
    samples: int = Field(sa_type=BigInteger)
    updated_at: float
