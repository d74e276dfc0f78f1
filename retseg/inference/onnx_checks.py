"""What an ONNX file must not hold: data outside itself, operators of strangers, loops."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from retseg.errors import InputError

STANDARD_DOMAINS = ("", "ai.onnx")


def refuse_hostile(path: Path, model: Any) -> None:
    """InputError where loading or running a model could read other files, run other code, or never end.

    ONNX file format: https://github.com/onnx/onnx/blob/main/docs/IR.md and ExternalData.md.
    """
    for tensor in _tensors(model.graph):
        if tensor.data_location or len(tensor.external_data):
            places = [entry.value for entry in tensor.external_data if entry.key == "location"]
            where = places[0] if places else "?"
            raise InputError(
                f"{path}: keeps weights ({tensor.name:.40}) outside the file, in {where!r:.80}; "
                "retseg reads files that hold everything"
            )
    domains = [(node.domain, node.op_type) for node in model.graph.node]
    domains += [(entry.domain, "") for entry in model.opset_import]
    for domain, operator in domains:
        if domain not in STANDARD_DOMAINS:
            what = f"{domain}.{operator}" if operator else domain
            raise InputError(f"{path}: needs operators that are not ONNX's own ({what:.80}); retseg runs none of these")
    if len(model.functions) or len(model.training_info):
        raise InputError(f"{path}: defines functions or training of its own; retseg runs none of these")
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g") or len(attribute.graphs):
                raise InputError(f"{path}: holds a loop or a branch ({node.op_type:.40}); no network of retseg does")


def _tensors(graph: Any) -> Iterator[Any]:
    """All tensors of a graph and of the graphs within it."""
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
                yield from (sparse.values, sparse.indices)
            if attribute.HasField("g"):
                yield from _tensors(attribute.g)
            for inner in attribute.graphs:
                yield from _tensors(inner)
