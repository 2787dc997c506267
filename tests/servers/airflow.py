"""A private Airflow: ``airflow standalone`` with the DAGs and plugins of this repository, driven by its REST API."""

from __future__ import annotations

import json
import os
import secrets
import signal
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.servers.processes import ROOT, Server, ServerFailed, free_port, wait_until

_COMPONENTS = ("metadatabase", "scheduler", "triggerer", "dag_processor")
_FINISHED = ("success", "failed")
_NO_PROXY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def hermetic_environment(home: Path, inherited: Mapping[str, str]) -> dict[str, str]:
    """``inherited`` without anything that would lead Airflow, boto3 or the engine out of the test.

    :param home: AIRFLOW_HOME, where the metadata database and the logs go.
    """
    foreign = ("AIRFLOW", "AWS_", "BACKUP_POLICY")
    kept = {name: value for name, value in inherited.items() if not name.startswith(foreign) or name == "AWS_CA_BUNDLE"}
    return kept | {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT": "120",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
        "PYTHONPATH": str(ROOT),
    }


class ApiError(Exception):
    """Airflow's REST API refused a request."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"HTTP {status}: {text}")
        self.status = status


class Airflow(Server):
    """Scheduler, API server with the UI, DAG processor and triggerer on 127.0.0.1, on SQLite.

    Three users exist: ``admin`` and ``viewer``, with the roles of those names, and ``colleague``, with the role
    ``user``. Only Airflow's two servers for task logs listen on all interfaces, which Airflow does not let one change;
    they answer signed requests only.

    :param folder: holds AIRFLOW_HOME and the log.
    :param env: more variables, such as ``AIRFLOW_CONN_...`` and ``BACKUP_POLICY``.
    :param password: of all users; by default a random one.
    """

    start_seconds = 300
    stop_seconds = 20
    stop_signal = signal.SIGINT  # at SIGTERM, standalone ends alone and leaves its components behind

    def __init__(
        self, folder: Path, env: Mapping[str, str] | None = None, *, port: int = 0, password: str | None = None
    ) -> None:
        super().__init__(folder)
        self.home = self.folder / "home"
        self.password = password or secrets.token_urlsafe(12)
        self._port = port or free_port()
        self._env = env or {}
        self._tokens: dict[str, str] = {}

    @property
    def url(self) -> str:
        """The address of the UI and of the API."""
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start, and wait until all four components are healthy."""
        self.home.mkdir(parents=True, exist_ok=True)
        passwords = self.home / "simple_auth_manager_passwords.json.generated"
        passwords.touch(mode=0o600)
        passwords.write_text(json.dumps(dict.fromkeys(("admin", "colleague", "viewer"), self.password)))
        python = Path(sys.executable)
        settings = {
            # standalone starts its components as `airflow`, found on PATH
            "PATH": f"{python.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(self._port),
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__CORE__PARALLELISM": "4",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin,colleague:user,viewer:viewer",
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
            "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port()),
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "60",
        }
        self._launch(
            [sys.executable, "-m", "airflow", "standalone"],
            self._healthy,
            env=hermetic_environment(self.home, os.environ) | settings | dict(self._env),
        )

    def api(self, method: str, path: str, body: object = None, *, user: str = "admin") -> Any:
        """Call the REST API, for example ``api("GET", "/dags")``, and return the decoded answer.

        :param path: below ``/api/v2``, its parts already quoted.
        :raises ApiError: when the answer is not a success.
        """
        answer = self._call(method, f"/api/v2{path}", body, {"Authorization": f"Bearer {self.token(user)}"})
        return json.loads(answer) if answer else None

    def trigger(self, dag_id: str, conf: Mapping[str, object] | None = None) -> str:
        """Un-pause a DAG, start a run of it, and return the run's id.

        Un-pausing a DAG with a schedule also starts the run that its schedule missed last.
        """

        def is_known() -> bool:
            try:
                self.api("PATCH", f"/dags/{dag_id}", {"is_paused": False})
            except ApiError as error:
                if error.status != 404:
                    raise
                return False
            return True

        wait_until(is_known, 120, f"Airflow does not know the DAG {dag_id}", every=0.5)
        run = self.api("POST", f"/dags/{dag_id}/dagRuns", {"logical_date": None, "conf": dict(conf or {})})
        return str(run["dag_run_id"])

    def wait(self, dag_id: str, run_id: str, seconds: float = 300) -> str:
        """Wait for the end of a run and return its state, ``success`` or ``failed``.

        :raises ServerFailed: after ``seconds``, with the states of the tasks.
        """
        try:
            wait_until(lambda: self.run_state(dag_id, run_id) in _FINISHED, seconds, f"{dag_id} did not end", every=0.5)
        except ServerFailed as error:
            raise ServerFailed(f"{error} Tasks: {self.task_states(dag_id, run_id)}") from None
        return self.run_state(dag_id, run_id)

    def succeed(self, dag_id: str, conf: Mapping[str, object] | None = None, seconds: float = 300) -> str:
        """Trigger a run, wait for its success, and return its id.

        :raises ServerFailed: when it fails or does not end within ``seconds``, with what the failed tasks said last.
        """
        run_id = self.trigger(dag_id, conf)
        if self.wait(dag_id, run_id, seconds) != "success":
            raise ServerFailed(f"{dag_id} failed.{self._last_words(dag_id, run_id)}")
        return run_id

    def _last_words(self, dag_id: str, run_id: str) -> str:
        text = ""
        for task in self.api("GET", f"{_run_path(dag_id, run_id)}/taskInstances?limit=1000")["task_instances"]:
            if task["state"] in ("failed", "up_for_retry"):
                lines = self.task_logs(dag_id, run_id, task["task_id"], task["try_number"], map_index=task["map_index"])
                text += f"\n{task['task_id']}, attempt {task['try_number']}:"
                text += "".join(f"\n  {json.dumps(line)}" for line in lines[-12:])
        return text

    def run_state(self, dag_id: str, run_id: str) -> str:
        """The state of a run."""
        return str(self.api("GET", _run_path(dag_id, run_id))["state"])

    def task_states(self, dag_id: str, run_id: str) -> dict[str, str | None]:
        """The state of each task of a run; a mapped task is named ``task[index]``."""
        found = self.api("GET", f"{_run_path(dag_id, run_id)}/taskInstances?limit=1000")
        return {
            task["task_id"] if task["map_index"] < 0 else f"{task['task_id']}[{task['map_index']}]": task["state"]
            for task in found["task_instances"]
        }

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str = "return_value") -> Any:
        """What a task returned."""
        path = f"{_run_path(dag_id, run_id)}/taskInstances/{task_id}/xcomEntries/{key}?deserialize=true"
        return self.api("GET", path)["value"]

    def task_logs(
        self, dag_id: str, run_id: str, task_id: str, attempt: int = 1, *, map_index: int = -1
    ) -> list[dict[str, Any]]:
        """The structured log lines of one attempt of a task; their text is under ``event``."""
        task = f"/api/v2{_run_path(dag_id, run_id)}/taskInstances/{task_id}"
        path = f"{task}/logs/{attempt}?full_content=true&map_index={map_index}"
        headers = {"Authorization": f"Bearer {self.token('admin')}", "Accept": "application/x-ndjson"}
        return [json.loads(line) for line in self._call("GET", path, None, headers).splitlines()]

    def token(self, user: str) -> str:
        """What lets a user in: as a bearer of the API, or as the cookie ``_token`` of the UI."""
        if user not in self._tokens:
            answer = self._call("POST", "/auth/token", {"username": user, "password": self.password}, {})
            self._tokens[user] = json.loads(answer)["access_token"]
        return self._tokens[user]

    def _call(self, method: str, path: str, body: object, headers: Mapping[str, str]) -> bytes:
        request = urllib.request.Request(self.url + path, method=method, headers=dict(headers))
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        try:
            with _NO_PROXY.open(request, timeout=60) as answer:
                content: bytes = answer.read()
                return content
        except urllib.error.HTTPError as error:
            raise ApiError(error.code, error.read().decode(errors="replace")) from None

    def _healthy(self) -> bool:
        try:
            health = json.loads(self._call("GET", "/api/v2/monitor/health", None, {}))
        except (OSError, ValueError, ApiError):
            return False
        return all(health[name]["status"] == "healthy" for name in _COMPONENTS)


def _run_path(dag_id: str, run_id: str) -> str:
    return f"/dags/{dag_id}/dagRuns/{urllib.parse.quote(run_id, safe='')}"
