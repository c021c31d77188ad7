"""Machines as diagrams: Mermaid text, and the language of graphviz."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

from burr.core.graph import Graph

from .graphs import entrypoint, is_phase
from .waiting import inputs_of_a_human, of_a_human


@dataclass(frozen=True)
class Node:
    """An action of a machine."""

    name: str
    is_phase: bool
    """Whether it stands for a phase of Lightning's loop."""
    asks: bool = False
    """Whether it waits for a human."""


@dataclass(frozen=True)
class Edge:
    """A transition of a machine."""

    source: str
    target: str
    condition: str
    """In words; empty for the default one."""


@dataclass(frozen=True)
class Diagram:
    """What is drawn of a machine.

    Example:
        >>> from burr_lightning import default_machine
        >>> print(Diagram.of(default_machine()).mermaid().splitlines()[2])
            train_epoch[["train_epoch"]]
    """

    entry: str
    nodes: Sequence[Node]
    edges: Sequence[Edge]

    @staticmethod
    def of(graph: Graph) -> Diagram:
        """The diagram of a graph."""
        return Diagram(
            entrypoint(graph),
            [
                Node(action.name, is_phase(graph, action.name), bool(inputs_of_a_human(action)))
                for action in graph.actions
            ],
            [
                Edge(t.from_.name, t.to.name, "" if t.condition.name == "default" else t.condition.name)
                for t in graph.transitions
            ],
        )

    @staticmethod
    def of_tracked(stored: Mapping[str, Any]) -> Diagram:
        """The diagram of what Burr's tracker stored of a graph."""
        return Diagram(
            stored["entrypoint"],
            [
                Node(
                    action["name"],
                    "phase" in {*action["inputs"], *action["optional_inputs"]},
                    bool(of_a_human(action["inputs"]) - {"phase"}),
                )
                for action in stored["actions"]
            ],
            [
                Edge(t["from_"], t["to"], "" if t["condition"] == "default" else t["condition"])
                for t in stored["transitions"]
            ],
        )

    @property
    def terminal(self) -> set[str]:
        """The actions that no transition leaves."""
        return {node.name for node in self.nodes} - {edge.source for edge in self.edges}

    def mermaid(self) -> str:
        """A Mermaid flowchart: phases with a double frame, those that ask a human with six sides."""
        ids = _identifiers([node.name for node in self.nodes])
        lines = ["flowchart TD"]
        for node in self.nodes:
            label = f'"{_for_mermaid(node.name)}"'
            left, right = _BRACKETS[self._kind(node)]
            lines.append(f"    {ids[node.name]}{left}{label}{right}")
        lines.append(f"    start((start)) --> {ids[self.entry]}")
        for edge in self.edges:
            arrow = f'-- "{_for_mermaid(edge.condition)}" -->' if edge.condition else "-->"
            lines.append(f"    {ids[edge.source]} {arrow} {ids[edge.target]}")
        return "\n".join(lines)

    def _kind(self, node: Node) -> str:
        if node.is_phase:
            return "phase"
        if node.asks:
            return "asks"
        return "last" if node.name in self.terminal else "action"

    def dot(self) -> str:
        """The same for graphviz."""
        lines = [
            "digraph machine {",
            "    rankdir=TB; node [fontname=Helvetica]; edge [fontname=Helvetica, fontsize=10];",
        ]
        lines.append('    "__start" [shape=point, width=0.15, label=""];')
        for node in self.nodes:
            shape = _SHAPES[self._kind(node)]
            style = (
                'style="filled,rounded", fillcolor="#dbe9f6", peripheries=2'
                if node.is_phase
                else 'style="rounded"'
            )
            lines.append(f"    {_for_dot(node.name)} [shape={shape}, {style}];")
        lines.append(f'    "__start" -> {_for_dot(self.entry)};')
        for edge in self.edges:
            label = f" [label={_for_dot(edge.condition)}]" if edge.condition else ""
            lines.append(f"    {_for_dot(edge.source)} -> {_for_dot(edge.target)}{label};")
        return "\n".join([*lines, "}"])


_BRACKETS = {"phase": ("[[", "]]"), "asks": ("{{", "}}"), "last": ("([", "])"), "action": ("[", "]")}
_SHAPES = {"phase": "box", "asks": "hexagon", "last": "oval", "action": "box"}
_RESERVED = frozenset(
    {"end", "start", "graph", "flowchart", "subgraph", "class", "click", "style", "default"}
)


def _identifiers(names: Sequence[str]) -> dict[str, str]:
    """For each action a name that Mermaid takes: its own, else one by a number, which no action has."""
    numbered = (f"action_{number}" for number in count())
    free = (identifier for identifier in numbered if identifier not in names)
    return {name: name if _is_identifier(name) else next(free) for name in names}


def _is_identifier(name: str) -> bool:
    return name.isidentifier() and name.isascii() and name.lower() not in _RESERVED


def _for_mermaid(text: str) -> str:
    """Text between quotes: Mermaid knows no escaped quotes, but entities."""
    escaped = text.replace("&", "#amp;").replace('"', "#quot;").replace("<", "#lt;").replace(">", "#gt;")
    return " ".join(escaped.split())


def _for_dot(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + " ".join(escaped.split()) + '"'
