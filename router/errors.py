"""The one exception hierarchy. What each class means to a client, to the relay and to a backend's health.

RouterError                          status  code
|- BadRequest                        400     invalid_request
|  |- InvalidJSON                    400     invalid_json
|  |- InvalidParameter               400     invalid_value
|  |- UnsupportedParameter           400     unsupported_parameter    next target may take it
|  |  `- UnsupportedValue            400     unsupported_value
|  |- ContextLengthExceeded          400     context_length_exceeded
|  |- RejectedByBackend              4xx     (the backend's)
|  |- BodyTooLarge                   413     request_too_large
|  `- BodyTimeout                    408     request_timeout
|- Unauthorized                      401     invalid_api_key
|- NotLocal                          403     local_only
|- UnknownRoute                      404     unknown_route
|- WrongMethod                       405     method_not_allowed
|- UnknownModel                      404     model_not_found
|- UnknownBackend                    404     backend_not_found
|- BackendInUse                      409     backend_in_use
|- QueueShareExhausted               429     rate_limit_exceeded      next target is tried
|- InternalError                     500     internal_error
|- Unavailable                       503     unavailable
|  |- NoBackend                      503     no_backend
|  |- QueueFull                      503     queue_full               next target is tried
|  |- BackendDrained                 503     backend_drained          next target is tried
|  `- Draining                       503     shutting_down
`- BackendError                      502     backend_error            next target is tried
   |- ModelMissing                   404     model_not_found          concerns that model only
   |- BackendUnreachable             502     backend_unreachable
   |- BackendRefusedKey              502     upstream_auth
   |- BackendFailed                  502     backend_error
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


class ContextLengthExceeded(BadRequest):
    code = "context_length_exceeded"
    retryable = True


class RejectedByBackend(BadRequest):
    """A 4xx of the backend that is the client's to mend: told with its own status, never retried."""

    def __init__(self, message: str, *, status: int = 400, code: str = "invalid_request") -> None:
        super().__init__(message)
        self.status = status
        self.code = code


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
    kind = "invalid_request_error"


class UnknownRoute(RouterError):
    status = 404
    code = "unknown_route"
    kind = "invalid_request_error"


class WrongMethod(RouterError):
    status = 405
    code = "method_not_allowed"
    kind = "invalid_request_error"


class UnknownModel(RouterError):
    status = 404
    code = "model_not_found"
    kind = "invalid_request_error"


class UnknownBackend(RouterError):
    status = 404
    code = "backend_not_found"
    kind = "invalid_request_error"


class BackendInUse(RouterError):
    """What was asked for would cut off requests."""

    status = 409
    code = "backend_in_use"
    kind = "invalid_request_error"


class QueueShareExhausted(RouterError):
    """The caller has as many requests in line as one caller may."""

    status = 429
    code = "rate_limit_exceeded"
    kind = "rate_limit_error"
    retryable = True


class InternalError(RouterError):
    """A fault of the router itself; the message says nothing about where."""


class Unavailable(RouterError):
    status = 503
    code = "unavailable"


class NoBackend(Unavailable):
    code = "no_backend"


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
