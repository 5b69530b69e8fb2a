"""`/api/preferences`: what counts for a user who names no model."""

from litestar import Controller, get, put
from litestar.params import FromQuery, JSONBody

from router.canonical.caller import Preferences
from router.surfaces.admin.api import AnyRequest, api_of, require_key, user_meant
from router.surfaces.admin.forms import PreferencesForm


class PreferencesApi(Controller):
    """One's own, or for an admin those of `user_id`."""

    path = "/api/preferences"
    guards = (require_key,)
    tags = ("preferences",)

    @get(summary="What a user prefers")
    async def preferences(self, request: AnyRequest, user_id: FromQuery[str | None] = None) -> Preferences:
        return await api_of(request).stored.users.preferences(user_meant(request, user_id))

    @put(summary="Replace what a user prefers")
    async def prefer(
        self, request: AnyRequest, data: JSONBody[PreferencesForm], user_id: FromQuery[str | None] = None
    ) -> Preferences:
        wanted = Preferences(data.default_backend, data.default_model, data.fallback_to_claude, data.use_local_for_code)
        await api_of(request).stored.users.prefer(user_meant(request, user_id), wanted)
        return wanted
