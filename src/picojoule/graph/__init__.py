"""Networks: typed nodes, parameters, derivations; what a network means."""

from picojoule.graph.graph import Graph
from picojoule.graph.sparse import Sparse
from picojoule.graph.types import Derivation, Node, Pinned, TensorType

__all__ = ["Derivation", "Graph", "Node", "Pinned", "Sparse", "TensorType"]
