"""Which processes make up this run: what the environment says, without asking jax.

jax finds its peers by itself on a TPU pod slice, under Slurm and under Open MPI; what is decided
here is only whether there are any, since asking jax for peers that do not exist is an error.
"""

import logging
import os
import socket
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

log = logging.getLogger("ssljax")


def check(*, coordinator: str, processes: int, process: int, wait: float) -> None:
    """Raises ValueError or TimeoutError where the run cannot be joined with these values."""
    if processes < 1 or not 0 <= process < processes:
        raise ValueError(
            f"--process {process} does not exist among --processes {processes}: "
            f"they are numbered from 0 to {processes - 1}"
        )
    host, colon, port = coordinator.rpartition(":")
    if not colon or not host or not port.isdigit():
        raise ValueError(f"--coordinator {coordinator!r} must be HOST:PORT of process 0")
    until = time.monotonic() + wait
    while process > 0:  # jax would abort the process without a readable word
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
            return
        except OSError as error:
            if time.monotonic() > until:
                raise TimeoutError(
                    f"process 0 does not answer at --coordinator {coordinator} after {wait:.0f} s "
                    f"({error}): is it running, and may this host open that port?"
                ) from error
            time.sleep(1)


def from_variables() -> dict[str, Any]:
    """The values that the environment gives by name, all None where it does not."""
    variables = os.environ
    if "JAX_NUM_PROCESSES" not in variables:
        return dict.fromkeys(("coordinator", "processes", "process"))
    which = variables.get("JAX_PROCESS_ID", variables.get("JOB_COMPLETION_INDEX"))
    return {
        "coordinator": variables.get("JAX_COORDINATOR_ADDRESS"),
        "processes": int(variables["JAX_NUM_PROCESSES"]),
        "process": None if which is None else int(which),
    }


def in_cluster() -> bool:
    """Whether this is one of several processes that jax can find by itself."""
    variables = os.environ
    # Slurm sets SLURM_NTASKS in the batch script too, but the node list only within a step (srun).
    if "SLURM_STEP_NODELIST" in variables and int(variables.get("SLURM_NTASKS", "1")) > 1:
        return True
    if int(variables.get("OMPI_COMM_WORLD_SIZE", "1")) > 1:
        if "OMPI_MCA_orte_hnp_uri" not in variables:
            raise ValueError(
                "Open MPI started several processes but does not say where the first one is: give "
                "--coordinator HOST:PORT --processes $OMPI_COMM_WORLD_SIZE "
                "--process $OMPI_COMM_WORLD_RANK"
            )
        return True
    return tpu_workers() > 1


def tpu_workers() -> int:
    """Workers of the TPU slice that this machine belongs to; 1 where it belongs to none."""
    if not any(Path(device).exists() for device in ("/dev/accel0", "/dev/vfio/0")):
        return 1
    slices = int(os.environ.get("MEGASCALE_NUM_SLICES", "1"))
    for variable in ("TPU_PROCESS_ADDRESSES", "TPU_WORKER_HOSTNAMES"):  # set by GKE
        if os.environ.get(variable):
            return slices * len(os.environ[variable].split(","))
    if "TPU_SKIP_MDS_QUERY" in os.environ:
        return 1
    request = urllib.request.Request(
        "http://metadata.google.internal/computeMetadata/v1/instance/attributes/"
        "worker-network-endpoints",
        headers={"Metadata-Flavor": "Google"},
    )
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return slices * len(answer.read().decode().split(","))
    except (urllib.error.URLError, OSError):  # such as a graphics card behind /dev/vfio
        log.info("no TPU metadata: this is taken for a run of one host")
        return 1
