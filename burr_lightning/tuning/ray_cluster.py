"""The Ray cluster: being connected to it, and what its nodes have."""

from __future__ import annotations

from collections.abc import Mapping

import ray

from ..errors import ArgumentError


def connect(address: str) -> None:
    """Connect this process to a cluster, unless it is to one; no Ray is started.

    Args:
        address: The cluster, or ``"auto"``.

    Raises:
        ArgumentError: If there is none.
    """
    if address.startswith("ray://"):
        raise ArgumentError(
            f"RayProcesses({address!r}): Ray's client cannot follow what calls tell. Run the script on a "
            f"node of the cluster, as `ray job submit` does, and leave the address out."
        )
    if ray.is_initialized():
        return
    try:
        ray.init(address=address)
    except ConnectionError as error:
        raise ArgumentError(
            f"RayProcesses({address!r}): {str(error).rstrip('.')}. Start a cluster with `ray start --head`, "
            f"give the address of one, or call ray.init() before, which starts one for this process alone."
        ) from error


def why_it_waits(wanted: Mapping[str, float]) -> str | None:
    """Why a call cannot begin, however long it waits for others to end; ``None`` where it can.

    Args:
        wanted: What it asks for, by Ray's names.
    """
    nodes = [node for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
    if any(_has(node["Resources"], wanted) for node in nodes):
        return None
    there = "; ".join(f"{node['NodeManagerAddress']} has {_told(node['Resources'])}" for node in nodes)
    return (
        f"a call asks for {_told(wanted)}, and no node has that: {there}. It waits until such a node joins, "
        f"as an autoscaler may have one do. If none will, ask for less, or start one with `ray start`."
    )


def _has(resources: Mapping[str, float], wanted: Mapping[str, float]) -> bool:
    return all(resources.get(name, 0) >= amount for name, amount in wanted.items())


def _told(resources: Mapping[str, float]) -> str:
    of_ray = ("node:", "object_store")
    amounts = {name: amount for name, amount in resources.items() if not name.startswith(of_ray)}
    return ", ".join(f"{name} {amount:g}" for name, amount in amounts.items() if amount) or "nothing"
