# syntax=docker/dockerfile:1
FROM python:3.12-slim AS build
RUN pip install --no-cache-dir uv==0.13.8
WORKDIR /src
COPY pyproject.toml requirements.lock README.md ./
COPY router router
COPY adapters adapters
RUN uv venv /opt/turnout \
    && uv pip install --python /opt/turnout --no-cache --compile-bytecode --constraint requirements.lock .

FROM python:3.12-slim
COPY --from=build /opt/turnout /opt/turnout
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /data --shell /usr/sbin/nologin turnout \
    && install --directory --owner turnout --group turnout /config /data
USER 10001:10001
WORKDIR /config
VOLUME ["/config", "/data"]
EXPOSE 7070
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s \
    CMD ["/opt/turnout/bin/python", "-c", "import urllib.request as u; u.build_opener(u.ProxyHandler({})).open('http://127.0.0.1:7070/health/live', timeout=4)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["/opt/turnout/bin/turnout"]
CMD ["serve", "--config", "/config/turnout.yaml", "--host", "0.0.0.0", "--port", "7070"]
