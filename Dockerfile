# docker build --target webhook   -t nocreds/webhook:0.1.0   .
# docker build --target authority -t nocreds/authority:0.1.0 .
# docker build --target exchanger -t nocreds/exchanger:0.1.0 .
# docker build --target driver    -t nocreds/driver:0.1.0    .
#
# RUNTIME_IMAGE may be any image with Node 24: programs, hook and probe need nothing else, no shell either.
# NODE_IMAGE is pinned by digest, so a build is the same whatever the tag names by then. Another one:
# --build-arg NODE_IMAGE=node:24-bookworm-slim
ARG NODE_IMAGE=node:24-bookworm-slim@sha256:6f7b03f7c2c8e2e784dcf9295400527b9b1270fd37b7e9a7285cf83b6951452d
ARG RUNTIME_IMAGE=${NODE_IMAGE}

FROM ${NODE_IMAGE} AS build
WORKDIR /src
COPY package.json package-lock.json ./
# No package needs its script for the bundles; Node is the image's own.
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json ./
COPY tools/build tools/build
COPY shared shared
COPY contract contract
COPY webhook webhook
COPY authority authority
COPY exchanger exchanger
COPY driver driver
RUN node tools/build/bundle.ts

FROM ${RUNTIME_IMAGE} AS runtime
# /nodejs/bin is where distroless images have node.
ENV NODE_ENV=production PATH=/usr/local/bin:/usr/bin:/bin:/nodejs/bin
WORKDIR /
USER 65532:65532
# OpenSSL inside Node reads a configuration at start, and loads the modules that it names: none is wanted.
ENV OPENSSL_CONF=/dev/null

FROM runtime AS webhook
COPY --from=build /src/dist/webhook.mjs /nocreds/
# A young generation of 3 × 8 MB instead of 3 × 16 MB: `make bench` shows memory and rate with it. The old one
# is bounded, as Node would take up to all of the container's memory for it; test/process/webhook-flood.test.ts has both.
ENTRYPOINT ["node", "--max-semi-space-size=8", "--max-old-space-size=160", "/nocreds/webhook.mjs"]

FROM runtime AS authority
COPY --from=build /src/dist/authority.mjs /nocreds/
ENTRYPOINT ["node", "--max-semi-space-size=8", "--max-old-space-size=160", "/nocreds/authority.mjs"]

FROM runtime AS driver
# Its DaemonSet makes it root, without any capability.
COPY --from=build /src/dist/driver.mjs /nocreds/
# Garbage of a publish is short-lived: small spaces, and one arena of malloc for all threads, keep the process below 48 MiB.
ENV MALLOC_ARENA_MAX=1
ENTRYPOINT ["node", "--max-semi-space-size=1", "--max-old-space-size=64", "/nocreds/driver.mjs"]

FROM runtime AS exchanger
# There is one in every pod, so it keeps few helper threads, and one heap for all of them. None of this
# is a flag of V8, with which Node would refuse its own code cache and start 11 ms later.
ENV NODE_OPTIONS=--v8-pool-size=1 MALLOC_ARENA_MAX=1 UV_THREADPOOL_SIZE=1
COPY --from=build /src/dist/exchanger.mjs /src/dist/exchange.mjs /src/dist/certificate.mjs /nocreds/
ENTRYPOINT ["node", "/nocreds/exchanger.mjs"]
CMD ["run"]
