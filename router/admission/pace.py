"""How long requests take, measured: by model, and what a load adds."""

FIRST_GUESS_S = 5.0
MAX_MODELS = 500
WEIGHT = 0.2  # of the newest request


class Pace:
    """Moving averages of service seconds."""

    def __init__(self) -> None:
        self._service: dict[tuple[str, str], float] = {}
        self._load: dict[str, float] = {}
        self._any = FIRST_GUESS_S
        self._known = False

    def ran(self, backend: str, model: str, seconds: float, *, load: bool) -> None:
        """A request took so long from grant to end; with `load`, the model was loaded first."""
        key = (backend, model)
        usual = self._service.get(key)
        if load and usual is not None:
            over = max(0.0, seconds - usual)
            self._load[backend] = _moved(self._load.get(backend, over), over)
            return
        self._any = _moved(self._any, seconds) if self._known else seconds
        self._known = True
        self._service[key] = seconds if usual is None else _moved(usual, seconds)
        if len(self._service) > MAX_MODELS:
            del self._service[next(iter(self._service))]

    def service_s(self, backend: str, model: str) -> float:
        """What a request to this model takes; what any takes, as long as this one was not seen."""
        return self._service.get((backend, model), self._any)

    def load_s(self, backend: str) -> float:
        """What a load adds on this backend; 0 while none was measured."""
        return self._load.get(backend, 0.0)


def _moved(average: float, sample: float) -> float:
    return average + WEIGHT * (sample - average)
