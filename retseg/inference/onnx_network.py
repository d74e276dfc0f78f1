"""A network as an ONNX file with its card in it, written and read; onnxruntime runs it on the CPU.

Read: what a stranger may have put into a file is refused before onnxruntime sees it, see `refuse_hostile`.
"""

import json
import warnings
from collections.abc import Mapping, Sequence
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.export import ExportedProgram

from retseg.errors import InputError, one_line
from retseg.inference.network import NetworkCard, ScanNetwork
from retseg.inference.onnx_checks import refuse_hostile
from retseg.inference.torch_network import FLUID, GRAY_LEVELS, INPUT, OUTPUTS, network_of, on_multiples

CARD, DIGEST = "card", "sha256"
"""Names in the metadata: the card, and the hash of everything else in the file."""


def save_onnx(program: ExportedProgram, path: Path, texts: Mapping[str, str]) -> None:
    """Write the file, texts as its metadata. InputError where the extra `export` is not installed."""
    for package in ("onnx", "onnxscript"):
        need(package)
    names = [*OUTPUTS, FLUID][: len(program.graph_signature.user_outputs)]
    with warnings.catch_warnings():
        # torch's own calls of what torch and onnxscript have deprecated: nothing that a user could change.
        for category in (DeprecationWarning, FutureWarning):
            warnings.simplefilter("ignore", category)
        exported = torch.onnx.export(
            program,
            dynamo=True,
            input_names=[INPUT],
            output_names=names,
            custom_translation_table={torch.ops.aten.max_pool2d_with_indices.default: _max_pool},
            external_data=False,
            verbose=False,
        )
    assert exported is not None
    model = exported.model_proto
    _strip(model)
    for name, text in texts.items():
        model.metadata_props.add(key=name, value=text)
    model.metadata_props.add(key=DIGEST, value=digest(model))
    path.write_bytes(model.SerializeToString(deterministic=True))


def open_onnx(path: Path) -> ScanNetwork:
    """The network of a file that `retseg export` wrote. InputError where it is another, damaged, or refused.

    Scans are predicted side by side by several threads, so onnxruntime works on one core for each call.
    """
    content = read_bytes(path)
    model = _parse(path, content)
    refuse_hostile(path, model)
    texts = {entry.key: entry.value for entry in model.metadata_props}
    if CARD not in texts:
        raise InputError(f"{path}: no card of a retseg network in it; only files of `retseg export` are read")
    card = NetworkCard.from_json(texts[CARD], str(path))
    if texts.get(DIGEST) != digest(model):
        raise InputError(f"{path}: damaged, its content has not the sha256 that it names; export the run again")
    _check_signature(path, model, card)
    session = _session(path, content)
    wanted = [OUTPUTS[0], FLUID] if card.gives_fluid else [OUTPUTS[0]]

    def run(images: Tensor) -> tuple[Tensor, ...]:
        levels = (images * GRAY_LEVELS).contiguous().numpy()
        return tuple(torch.from_numpy(output) for output in session.run(wanted, {INPUT: levels}))

    return network_of(card, run if card.size is not None else on_multiples(run), "onnxruntime")


def digest(model: Any) -> str:
    """Hash over an ONNX model's graph, versions and metadata, without the entry that holds this hash."""
    found = sha256(model.graph.SerializeToString(deterministic=True))
    found.update(repr([model.ir_version, *((one.domain, one.version) for one in model.opset_import)]).encode())
    found.update(texts_digest({entry.key: entry.value for entry in model.metadata_props}).encode())
    return found.hexdigest()


def texts_digest(texts: Mapping[str, str]) -> str:
    """Hash over the metadata of a file, without the entry that holds a hash. It finds damage, not forgery."""
    rest = sorted((name, text) for name, text in texts.items() if name != DIGEST)
    return sha256(json.dumps(rest).encode()).hexdigest()


def need(package: str) -> Any:
    """A package of the extra `export`. InputError where it is not installed."""
    try:
        return import_module(package)
    except ImportError as error:
        raise InputError(f"{package} is not installed; `pip install 'retseg[export]'`") from error


def read_bytes(path: Path) -> bytes:
    """A file's content. InputError where it cannot be read, or is empty."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); name a file of `retseg export`") from error
    if not content:
        raise InputError(f"{path}: is empty; export the run again")
    return content


def _parse(path: Path, content: bytes) -> Any:
    """The model, not looking for data outside the file."""
    model = need("onnx").ModelProto()
    try:
        model.ParseFromString(content)
    except Exception as error:  # protobuf's DecodeError, of whichever implementation is installed
        if type(error).__name__ != "DecodeError":
            raise
        raise InputError(f"{path}: no ONNX file, or cut off; export the run again") from error
    texts = [text for entry in model.metadata_props for text in (entry.key, entry.value)]
    if not model.HasField("graph") or not all(isinstance(text, str) for text in texts):  # bytes: no UTF-8
        raise InputError(f"{path}: no ONNX file, or cut off; export the run again")
    return model


def _session(path: Path, content: bytes) -> Any:
    runtime = need("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors alone: they come as exceptions, too
    try:
        return runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own errors have no class in common but this one
        line = one_line(error)
        raise InputError(f"{path}: onnxruntime cannot load it ({line:.160}); export the run again") from error


def _check_signature(path: Path, model: Any, card: NetworkCard) -> None:
    """InputError where inputs or outputs are not those of an exported network with that card."""
    num_classes = len(card.class_names)
    inputs = [value.name for value in model.graph.input]
    outputs = {value.name: value.type.tensor_type.shape.dim for value in model.graph.output}
    if inputs != [INPUT] or OUTPUTS[0] not in outputs:
        raise InputError(
            f"{path}: has inputs {', '.join(inputs)} and outputs {', '.join(outputs)}, expected {INPUT} and "
            f"{', '.join(OUTPUTS)}; export the run again"
        )
    shape = outputs[OUTPUTS[0]]
    if len(shape) != 4 or shape[1].dim_value != num_classes:
        found = " x ".join(str(dim.dim_value or dim.dim_param or "?") for dim in shape)
        raise InputError(f"{path}: gives logits of {found}, expected N x {num_classes} x H x W; export the run again")
    if card.gives_fluid and len(outputs.get(FLUID, ())) != 3:
        raise InputError(f"{path}: its card says that it gives fluid, its outputs hold none; export the run again")


def _max_pool(
    x: Any,
    kernel_size: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0, 0),
    dilation: Sequence[int] = (1, 1),
    ceil_mode: bool = False,
) -> Any:
    """Max-pooling with indices by one node; torch's own translation pools twice, 5 % of a forward pass.

    ONNX counts indices over the whole batch, PyTorch within a plane: what is left after division by its pixels.
    """
    from onnxscript import opset18 as op

    values, over_all = op.MaxPool(
        x,
        ceil_mode=int(ceil_mode),
        dilations=list(dilation),
        kernel_shape=list(kernel_size),
        pads=[*padding, *padding],
        strides=list(stride or kernel_size),
    )
    return values, op.Mod(over_all, op.ReduceProd(op.Shape(x, start=2), keepdims=0))


def _strip(model: Any) -> None:
    """Take out where in which source file each node came from: paths of this machine. Name the dimensions."""
    graph = model.graph
    for part in (model, graph, *graph.node, *graph.input, *graph.output, *graph.initializer, *graph.value_info):
        part.doc_string = ""
        del part.metadata_props[:]
    del graph.value_info[:]
    renamed: dict[str, str] = {}
    for value in (*graph.input, *graph.output):
        dims = value.type.tensor_type.shape.dim
        for name, dim in zip("NCHW" if len(dims) == 4 else "NHW", dims, strict=True):
            if dim.dim_param:
                dim.dim_param = renamed.setdefault(dim.dim_param, name)
