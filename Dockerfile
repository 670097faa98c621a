# The bridge as an image: the packages of the lock file and our wheel in one environment, on a plain Python image.
#
#     docker build -t event-bridge .
#
# It runs as uid 10001, needs no capability and writes only below /var/lib/event-bridge, so the root file system may be
# read-only. The settings come from BRIDGE_* variables, or from a file that BRIDGE_CONFIG names.

# Any image of Python 3.11 or newer will do; name it by its digest where builds have to be repeatable.
ARG BASE=docker.io/library/python:3.13.9-slim-trixie

FROM ${BASE} AS build
WORKDIR /src
RUN python3 -m venv /opt/tools && python3 -m venv --without-pip /opt/event-bridge
COPY requirements/ requirements/
# Each package has to have a hash that the lock file knows; nothing is resolved here.
RUN /opt/tools/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --require-hashes \
        -r requirements/build.txt \
    && /opt/tools/bin/pip --python /opt/event-bridge/bin/python install --no-cache-dir \
        --disable-pip-version-check --no-deps --require-hashes -r requirements/base.txt
COPY pyproject.toml README.md LICENSE ./
COPY bridge/ bridge/
RUN /opt/tools/bin/pip wheel --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation \
        --wheel-dir /wheels . \
    && /opt/tools/bin/pip --python /opt/event-bridge/bin/python install --no-cache-dir \
        --disable-pip-version-check --no-deps --no-index --find-links /wheels event-bridge \
    && mkdir -p /state

FROM ${BASE}
ARG BASE
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="event-bridge" \
      org.opencontainers.image.description="Takes events off RabbitMQ or Kafka and hands each to an event HTTP API" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.base.name="${BASE}" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /opt/event-bridge /opt/event-bridge
COPY --from=build --chown=10001:10001 /state /var/lib/event-bridge
ENV PATH=/opt/event-bridge/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    BRIDGE_LOG__FORMAT=json
USER 10001:10001
# The key store is `event-bridge.db` in the working directory unless `store.path` says otherwise.
WORKDIR /var/lib/event-bridge
VOLUME /var/lib/event-bridge
EXPOSE 9464
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 CMD ["event-bridge", "health"]
ENTRYPOINT ["event-bridge"]
CMD ["run"]
