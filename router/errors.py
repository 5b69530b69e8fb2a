"""The one exception hierarchy. What each class means to a client, to the relay and to a backend's health.

RouterError                          status  code
|- BadRequest                        400     invalid_request
|  |- InvalidJSON                    400     invalid_json
|  |- InvalidParameter               400     invalid_value
|  |- UnsupportedParameter           400     unsupported_parameter    next target may take it
|  |  |- UnsupportedValue            400     unsupported_value
|  |  `- UnsupportedOperation        501     unsupported_operation
|  |- ContextLengthExceeded          400     context_length_exceeded
|  |- PreviousResponseNotFound       400     previous_response_not_found
|  |- RejectedByBackend              4xx     (the backend's)
|  |- Conflict                       409     conflict
|  |  |- AlreadyExists               409     already_exists
|  |  |- BackendInUse                409     backend_in_use
|  |  `- ReadOnly                    409     read_only
|  |- WrongMethod                    405     method_not_allowed
|  |- BodyTooLarge                   413     request_too_large
|  `- BodyTimeout                    408     request_timeout
|- Unauthorized                      401     invalid_api_key
|  `- KeyExpired                     401     expired_api_key
|- Forbidden                         403     insufficient_permissions
|  |- ScopeMissing                   403     insufficient_permissions
|  |- ModelNotAllowed                403     model_not_allowed
|  `- AddressNotAllowed              403     address_not_allowed
|- NotLocal                          403     local_only
|- LimitReached                      429     rate_limit_exceeded
|  |- TooManyRequests                429     rate_limit_exceeded
|  |- TooManyTokens                  429     rate_limit_exceeded
|  |- QueueShareExhausted            429     rate_limit_exceeded      next target is tried
|  `- BudgetSpent                    429     insufficient_quota
|- NotFound                          404     not_found
|  |- UnknownRoute                   404     unknown_route
|  |- UnknownModel                   404     model_not_found
|  |- UnknownResponse                404     response_not_found
|  `- UnknownBackend                 404     backend_not_found
|- InternalError                     500     internal_error
|- Unavailable                       503     unavailable
|  |- NoBackend                      503     no_backend
|  |- BackendRemoved                 503     backend_removed          next target is tried, or planned anew
|  |- KeysUnavailable                503     keys_unavailable
|  |- StorageUnavailable             503     storage_unavailable
|  |- QueueFull                      503     queue_full               next target is tried
|  |- BackendDrained                 503     backend_drained          next target is tried
|  `- Draining                       503     shutting_down
`- BackendError                      502     backend_error            next target is tried
   |- ModelMissing                   404     model_not_found          concerns that model only
   |- BackendUnreachable             502     backend_unreachable
   |- BackendRefusedKey              502     upstream_auth
   |- BackendFailed                  502     backend_error
   |  `- EndpointMissing             502     backend_error
   |- BackendBusy                    503     backend_busy
   |  |- BackendLoading              503     backend_loading         waited for, if nobody else can serve
   |  `- BackendOverloaded           503     overloaded
   |- RateLimited                    429     rate_limit_exceeded
   |  `- QuotaExhausted              429     insufficient_quota
   |- BackendTimeout                 504     backend_timeout
   `- StreamBroken                   502     stream_broken
      `- StreamCut                   502     upstream_disconnected
"""

from typing import ClassVar, Literal

Blame = Literal["nobody", "model", "backend"]


class RouterError(Exception):
    """Any failure that a client is told about.

    `status`, `code`, `kind` and `param` become the error body; `retryable` lets the relay go on to the next target
    before content was forwarded; `retry_after` is in seconds; `blame` says whose health suffers. `upstream_id` is what
    the backend calls the request, if it said so: for its operators and ours, not for the client.
    """

    status: int = 500
    code: str = "internal_error"
    kind: ClassVar[str] = "server_error"
    retryable: ClassVar[bool] = False
    blame: ClassVar[Blame] = "nobody"

    def __init__(self, message: str, *, param: str | None = None, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.retry_after = retry_after
        self.upstream_id = ""


class BadRequest(RouterError):
    status = 400
    code = "invalid_request"
    kind = "invalid_request_error"


class InvalidJSON(BadRequest):
    code = "invalid_json"


class InvalidParameter(BadRequest):
    code = "invalid_value"


class UnsupportedParameter(BadRequest):
    """This target cannot do what was asked and leaving it out would lie; another target may."""

    code = "unsupported_parameter"
    retryable = True


class UnsupportedValue(UnsupportedParameter):
    """The parameter is known to this target, this value of it is not."""

    code = "unsupported_value"


class UnsupportedOperation(UnsupportedParameter):
    """This target has nothing for this route; another target may."""

    status = 501
    code = "unsupported_operation"


class ContextLengthExceeded(BadRequest):
    code = "context_length_exceeded"
    retryable = True


class PreviousResponseNotFound(BadRequest):
    """What a request goes on from was never answered here, or is kept no longer: it has to be sent whole."""

    code = "previous_response_not_found"


class RejectedByBackend(BadRequest):
    """A 4xx of the backend that is the client's to mend: told with its own status, never retried."""

    def __init__(self, message: str, *, status: int = 400, code: str = "invalid_request") -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class Conflict(BadRequest):
    """It cannot be done as things are."""

    status = 409
    code = "conflict"


class AlreadyExists(Conflict):
    code = "already_exists"


class ReadOnly(Conflict):
    """It is defined where the router may not or was not asked to write."""

    code = "read_only"


class BackendInUse(Conflict):
    code = "backend_in_use"


class BodyTooLarge(BadRequest):
    status = 413
    code = "request_too_large"


class BodyTimeout(BadRequest):
    status = 408
    code = "request_timeout"


class Unauthorized(RouterError):
    status = 401
    code = "invalid_api_key"
    kind = "authentication_error"


class NotLocal(RouterError):
    """Whoever asks, or what is asked for, may not leave for a hosted service, and nothing else is there."""

    status = 403
    code = "local_only"


class KeyExpired(Unauthorized):
    code = "expired_api_key"


class Forbidden(RouterError):
    """Known, and not allowed to do this."""

    status = 403
    code = "insufficient_permissions"
    kind = "permission_error"


class ScopeMissing(Forbidden):
    """The key is not good for this kind of request."""


class ModelNotAllowed(Forbidden):
    code = "model_not_allowed"


class AddressNotAllowed(Forbidden):
    code = "address_not_allowed"


class LimitReached(RouterError):
    """A caller has used what its key may use; no backend is concerned."""

    status = 429
    code = "rate_limit_exceeded"
    kind = "rate_limit_error"


class TooManyRequests(LimitReached):
    kind = "requests"


class TooManyTokens(LimitReached):
    kind = "tokens"


class BudgetSpent(LimitReached):
    """The tokens of the day are spent: waiting a minute does not help."""

    code = "insufficient_quota"
    kind = "insufficient_quota"


class NotFound(RouterError):
    """It is not there, or not the caller's to see."""

    status = 404
    code = "not_found"
    kind = "invalid_request_error"


class UnknownRoute(NotFound):
    code = "unknown_route"


class WrongMethod(BadRequest):
    status = 405
    code = "method_not_allowed"


class UnknownModel(NotFound):
    code = "model_not_found"


class UnknownResponse(NotFound):
    """A response that was never made here, or is kept no longer."""

    code = "response_not_found"


class UnknownBackend(NotFound):
    code = "backend_not_found"


class QueueShareExhausted(LimitReached):
    """The caller has as many requests in line as one caller may."""

    retryable = True


class InternalError(RouterError):
    """A fault of the router itself; the message says nothing about where."""


class Unavailable(RouterError):
    status = 503
    code = "unavailable"


class NoBackend(Unavailable):
    code = "no_backend"


class BackendRemoved(Unavailable):
    """It was taken out of the settings after the request had been planned."""

    code = "backend_removed"
    retryable = True


class KeysUnavailable(Unavailable):
    """The keys were never read since the start, so nobody can be told from anybody."""

    code = "keys_unavailable"


class StorageUnavailable(Unavailable):
    """The database cannot take a change now."""

    code = "storage_unavailable"


class QueueFull(Unavailable):
    code = "queue_full"
    retryable = True


class BackendDrained(Unavailable):
    """Somebody took this backend out of service for a while; the request has another."""

    code = "backend_drained"
    retryable = True


class Draining(Unavailable):
    code = "shutting_down"


class BackendError(RouterError):
    status = 502
    code = "backend_error"
    retryable = True
    blame = "backend"


class ModelMissing(BackendError):
    status = 404
    code = "model_not_found"
    kind = "invalid_request_error"
    blame = "model"


class BackendUnreachable(BackendError):
    """No connection, or one that died before any answer."""

    code = "backend_unreachable"


class BackendRefusedKey(BackendError):
    """The backend refused the router's own key: never the client's 401."""

    code = "upstream_auth"


class BackendFailed(BackendError):
    """The backend answered with an error of its own or with something unreadable."""


class EndpointMissing(BackendFailed):
    """There is a server, and it has nothing at the address that was asked."""


class BackendBusy(BackendError):
    status = 503
    code = "backend_busy"
    blame = "nobody"


class BackendLoading(BackendBusy):
    """The server is there and still loads its model."""

    code = "backend_loading"


class BackendOverloaded(BackendBusy):
    """The service itself has too much to do, whoever asks."""

    code = "overloaded"


class RateLimited(BackendError):
    status = 429
    code = "rate_limit_exceeded"
    kind = "rate_limit_error"
    blame = "nobody"


class QuotaExhausted(RateLimited):
    """What the account may spend is spent: waiting a little does not help, so the backend is down."""

    code = "insufficient_quota"
    kind = "insufficient_quota"
    blame = "backend"


class BackendTimeout(BackendError):
    status = 504
    code = "backend_timeout"


class StreamBroken(BackendError):
    """The answer stopped in the middle: an error line, a dead connection, or an end without its end marker."""

    code = "stream_broken"


class StreamCut(StreamBroken):
    """The connection ended where the answer had not."""

    code = "upstream_disconnected"
