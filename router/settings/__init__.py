"""What a person writes in `turnout.yaml`: pydantic models, every unknown key an error."""

from pydantic import Field, ValidationError, model_validator

from router.settings.backends import BackendSettings, GroupSettings
from router.settings.checks import cross_check
from router.settings.fields import BackendName, Section
from router.settings.models import AliasSettings, RoutingSettings
from router.settings.serving import AuthSettings, DatabaseSettings, HealthSettings, QueueSettings, ServerSettings


class Settings(Section):
    """The whole file."""

    server: ServerSettings = Field(default_factory=ServerSettings, description="Listening.")
    auth: AuthSettings = Field(default_factory=AuthSettings, description="Callers.")
    backends: dict[BackendName, BackendSettings] = Field(
        default_factory=dict, description="Model servers by name.", json_schema_extra={"additionalProperties": False}
    )
    groups: dict[str, GroupSettings] = Field(
        default_factory=dict, description="Backends that share a GPU, by a name for it."
    )
    models: dict[str, AliasSettings] = Field(default_factory=dict, description="Aliases by name.")
    routing: RoutingSettings = Field(default_factory=RoutingSettings, description="Choosing.")
    queue: QueueSettings = Field(default_factory=QueueSettings, description="Waiting.")
    database: DatabaseSettings = Field(default_factory=DatabaseSettings, description="Keeping.")
    health: HealthSettings = Field(default_factory=HealthSettings, description="Watching.")

    @model_validator(mode="after")
    def _parts_fit_together(self) -> "Settings":
        document = self.model_dump(
            mode="json", include={"server", "auth", "backends", "groups", "models", "routing", "database"}
        )
        if conflicts := cross_check(document):
            raise ValidationError.from_exception_data("Settings", [conflict.details() for conflict in conflicts])
        return self
