"""Weight files to and from numpy, without torch: PyTorch's legacy state dictionaries in, safetensors in and out."""

import collections
import json
import pickle
import struct

import numpy as np

_MAGIC = 0x1950A86A20F9469CFC6C
_STORAGE_TYPES = {"FloatStorage": "<f4", "HalfStorage": "<f2", "LongStorage": "<i8"}
_SAFETENSORS_TYPES = {"F16": "<f2", "F32": "<f4"}


class _Unpickler(pickle.Unpickler):
    """Unpickles a dictionary of tensors and refuses every class or function that such a dictionary does not need.

    Tensors come out as (storage key, offset, shape, strides): the bytes stand behind the pickles in the file.
    """

    def find_class(self, module, name):
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda storage, offset, shape, strides, *_: (storage, offset, shape, strides)
        if module == "torch" and name in _STORAGE_TYPES:
            return np.dtype(_STORAGE_TYPES[name])
        raise pickle.UnpicklingError(f"{module}.{name} has no place in a state dictionary")

    def persistent_load(self, identifier):
        kind, dtype, key, _location, count, _view = identifier
        if kind != "storage":
            raise pickle.UnpicklingError(f"expected a storage, found {kind!r}")
        return key, dtype, count


def read_pth(file):
    """The tensors of an open `torch.save` file in the layout before PyTorch 1.6, as {name: array}.

    Layout: five pickles (magic number, protocol version, system, dictionary, storage keys), then for each key a
    64-bit little-endian count and that many values.
    """
    if _Unpickler(file).load() != _MAGIC:
        raise ValueError("not a PyTorch file of the legacy layout")
    version, _system, dictionary = (_Unpickler(file).load() for _ in range(3))
    if version != 1001:
        raise ValueError(f"expected protocol version 1001, found {version}")
    dtypes = {storage[0]: storage[1] for storage, *_ in dictionary.values()}
    storages = {}
    for key in _Unpickler(file).load():
        (count,) = struct.unpack("<q", file.read(8))
        storages[key] = np.frombuffer(file.read(count * dtypes[key].itemsize), dtypes[key], count)
    tensors = {}
    for name, (storage, offset, shape, strides) in dictionary.items():
        values = storages[storage[0]]
        tensors[name] = np.lib.stride_tricks.as_strided(
            values[offset:], shape, [stride * values.itemsize for stride in strides], writeable=False
        ).copy()
    return tensors


def read_safetensors(path):
    """The tensors of a safetensors file, as {name: float32 array}."""
    with open(path, "rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(size))
        data = file.read()
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        start, end = entry["data_offsets"]
        values = np.frombuffer(data[start:end], _SAFETENSORS_TYPES[entry["dtype"]])
        tensors[name] = values.reshape(entry["shape"]).astype(np.float32)
    return tensors


def write_safetensors(path, tensors, metadata=None):
    """Writes fp16 and fp32 tensors. The same tensors give the same bytes: wide types first, then by name.

    The header is padded with spaces so that the data begins at a multiple of 64 bytes.
    """
    names = {np.dtype(dtype): name for name, dtype in _SAFETENSORS_TYPES.items()}
    ordered = sorted(tensors.items(), key=lambda item: (-item[1].itemsize, item[0]))
    header, offset = {}, 0
    if metadata:
        header["__metadata__"] = dict(sorted(metadata.items()))
    for name, values in ordered:
        end = offset + values.nbytes
        header[name] = {"dtype": names[values.dtype], "shape": list(values.shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-(len(text) + 8) % 64)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)))
        file.write(text)
        for _, values in ordered:
            file.write(np.ascontiguousarray(values).tobytes())
