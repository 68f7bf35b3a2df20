"""The environment a cluster of ours is started in: what Ray and Serve read from variables, in one place.

Ray reads these when it is imported, so they are set in a process that has not imported it yet.
"""

from __future__ import annotations

from cluster.settings import Settings
from cluster.telemetry import TELEMETRY_OFF

# On macOS and Windows Ray keeps a cluster to the loopback interface; this asks for the same here. Without it every
# process of the cluster listens on all interfaces, and what they take is unpickled.
LOOPBACK_ONLY = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}

# What a request costs in Serve is mostly hops between threads and processes: these leave the needed ones.
# Measured with loadtests/bench_serving.py; the figures are in the README.
LEAN_SERVE = {
    "RAY_SERVE_USE_GRPC_BY_DEFAULT": "1",
    "RAY_SERVE_RUN_USER_CODE_IN_SEPARATE_THREAD": "0",
    "RAY_SERVE_RUN_ROUTER_IN_SEPARATE_LOOP": "0",
    "RAY_SERVE_REQUEST_PATH_LOG_BUFFER_SIZE": "1000",
    "RAY_SERVE_LOG_TO_STDERR": "0",
    "RAY_SERVE_FREEZE_GC_ON_STARTUP": "1",
    # No spare worker that idles.
    "RAY_prestart_worker_first_driver": "0",
    # numpy's products are small here, and its second thread would spin between them on a core that others need.
    "OPENBLAS_NUM_THREADS": "1",
    # Ray runs its workers at nice 15, behind whatever else the machine does; ours answer people who wait.
    "RAY_worker_niceness": "0",
}

# Its binary comes with Ray. One thread passes on more than the replicas of a node answer, and requests under way when
# it ends are given about as long as the ingress gives them.
HAPROXY = {
    "RAY_SERVE_ENABLE_HA_PROXY": "1",
    "RAY_SERVE_HAPROXY_NBTHREAD": "1",
    "RAY_SERVE_HAPROXY_HARD_STOP_AFTER_S": "20",
}

# Each process's log files: Ray's own bounds are half a gigabyte and five files.
LOG_FILES = {"RAY_ROTATION_MAX_BYTES": str(64 << 20), "RAY_ROTATION_BACKUP_COUNT": "3"}

# gRPC's own bound is 4 MiB a message, and what exceeds it fails every request in the call. Calls are bounded by bodies
# and batches; answers by top_k and page sizes, of which 64 searches' worth may come back together.
MESSAGE_BYTES = 2**31 - 1


# A node whose Ray is gone, so that nothing listens there, is given up after two seconds instead of fifteen: till then
# replicas are sent to it. One that is slow to answer has four times Ray's ten seconds, still. Four checks, because gRPC
# waits a second before it connects again, and fails meanwhile: the last one is of a new connection.
NODE_WATCH = {"RAY_health_check_period_ms": "500", "RAY_health_check_failure_threshold": "4"}


def serving_environment(settings: Settings) -> dict[str, str]:
    """Variables that every process of a cluster needs, on one machine and in pods alike.

    They are in a pod's own environment before Ray starts there. How Ray authenticates is the cluster's, not ours.
    """
    return {
        **TELEMETRY_OFF,
        **LEAN_SERVE,
        "RAY_SERVE_CONTROL_LOOP_INTERVAL_S": str(settings.ray.control_loop_s),
        "RAY_SERVE_REPLICA_GRPC_MAX_MESSAGE_LENGTH": str(MESSAGE_BYTES),
        "RAY_DEDUP_LOGS": "0",
        **LOG_FILES,
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
        "OMP_NUM_THREADS": str(max(int(settings.encoder.scale.num_cpus), 1)),
        **(HAPROXY if settings.ray.ingress == "haproxy" else {}),
    }


def image_environment(settings: Settings) -> dict[str, str]:
    """What the image sets for a container that stands alone, as these settings have it: variables stand above the tree,
    so who starts the image under other settings sets these too."""
    return {
        "CROSSRAY_DATA_DIR": str(settings.data_dir),
        "CROSSRAY_CACHE_DIR": str(settings.cache_dir),
        "CROSSRAY_HTTP__HOST": settings.http.host,
        "CROSSRAY_HTTP__PORT": str(settings.http.port),
    }


def pod_environment(settings: Settings) -> dict[str, str]:
    """Variables of every node of a cluster that has several."""
    return serving_environment(settings) | NODE_WATCH


def ray_environment(settings: Settings) -> dict[str, str]:
    """Variables to set before `import ray`, for a cluster on this machine under these settings."""
    env = serving_environment(settings) | {
        **LOOPBACK_ONLY,
        "RAY_AUTH_MODE": "disabled",
        "OMP_NUM_THREADS": str(max(int(settings.ray.num_cpus), 1)),
    }
    if settings.ray.ingress != "proxy":  # nobody outside has to be told that a replica of this machine is leaving
        env["RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S"] = "0.1"
    if settings.ray.ingress == "direct":
        env |= {
            "RAY_SERVE_ENABLE_DIRECT_INGRESS": "1",
            "RAY_SERVE_DIRECT_INGRESS_MIN_HTTP_PORT": str(settings.http.port),
            "RAY_SERVE_DIRECT_INGRESS_MAX_HTTP_PORT": str(settings.http.port + 1),  # exclusive
            "RAY_SERVE_PORT_QUARANTINE_S": "0",
        }
    return env
