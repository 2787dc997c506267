# Airflow with this package. For Astro, packages.txt and requirements.txt say the same.
FROM apache/airflow:3.3.2-python3.12

# The dump client must be of the server's own kind. This one serves MariaDB. For MySQL, add MySQL's APT repository to
# the image and write mysql-community-client into packages.txt instead: Debian has no client of MySQL's, and a dump that
# mariadb-dump makes of MySQL can be one that no server restores; preflight refuses that pair.
USER root
COPY packages.txt /tmp/packages.txt
RUN apt-get update \
    && xargs -a /tmp/packages.txt apt-get install -y --no-install-recommends \
    && rm -rf /var/lib/apt/lists/* /tmp/packages.txt

USER airflow
COPY requirements.txt /tmp/requirements.txt
# Naming the image's own Airflow keeps pip from replacing it with another version.
RUN pip install --no-cache-dir "apache-airflow==${AIRFLOW_VERSION}" -r /tmp/requirements.txt

COPY dags /opt/airflow/dags
COPY plugins /opt/airflow/plugins
COPY include /opt/airflow/include
# DAGs, plugins and workers import `include`; /opt/airflow is not on Python's path by itself.
ENV PYTHONPATH=/opt/airflow
