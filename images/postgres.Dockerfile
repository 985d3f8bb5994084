# PostgreSQL as Debian packages it, and nothing else: the manager comes by an init container. Images that were built for
# CloudNativePG do as well.
# docker build -f images/postgres.Dockerfile --build-arg MAJOR=15 -t my-registry/postgresql:15 images
FROM debian:bookworm-slim
ARG MAJOR=15
# Debian's postgresql-common would make a cluster of its own. tzdata and locales are what a database asks for; authorities
# are for S3, and the manager brings some where there are none.
RUN mkdir -p /etc/postgresql-common \
    && echo "create_main_cluster = false" > /etc/postgresql-common/createcluster.conf \
    && apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        "postgresql-${MAJOR}" ca-certificates locales-all tzdata \
    && rm -rf /var/lib/apt/lists/* /var/lib/postgresql/*
# The uid and gid that a Cluster has unless it says otherwise (postgresUID, postgresGID).
RUN usermod --uid 26 postgres && groupmod --gid 26 postgres \
    && mkdir -p /var/lib/postgresql/data && chown -R 26:26 /var/lib/postgresql
ENV PATH=/usr/lib/postgresql/${MAJOR}/bin:$PATH
USER 26:26
