#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""make_checkpoints.py FOLDER: small checkpoints as people have them, written by torch.save, and expected.txt: for
each file the weights that a reader should find, with the values that torch itself gives, or words of the refusal.
Needs torch, numpy and omegaconf; the files are kept beside this script, so that tests need none of them."""
import argparse, collections, datetime, decimal, enum, fractions, functools, pathlib, random, re, sys, types, uuid
import numpy as np
import torch
import torch.nn as nn
from omegaconf import OmegaConf

folder = pathlib.Path(sys.argv[1])
torch.manual_seed(0)
expected = []


class Color(enum.Enum):
    RED = 1


class Flag(enum.IntFlag):
    A = 1


class User:
    def __init__(self):
        self.x = 1
        self.t = torch.zeros(2)


class Slots:
    __slots__ = ("a",)

    def __init__(self):
        self.a = 1


class MyDict(dict):
    pass


class MyList(list):
    pass


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.l = nn.Linear(2, 2)


Point = collections.namedtuple("Point", "x y")


def function():
    pass


def weights(scale=1, prefix=""):
    return collections.OrderedDict([(prefix + "a.weight", torch.arange(6.0).reshape(2, 3) * scale),
                                    (prefix + "b.bias", torch.tensor([1.0, -2.0]) * scale)])


def text(tensors):
    return " ".join(f"{name}={[float(v) if t.is_floating_point() else int(v) for v in t.double().reshape(-1)] if t.is_floating_point() else [int(v) for v in t.reshape(-1)]}".replace(", ", ",")
                    for name, t in sorted(tensors.items()))


def save(name, value, wanted, **how):
    torch.save(value, folder / (name + ".pth"), **how)
    expected.append(f"{name}.pth {wanted if isinstance(wanted, str) else text(wanted)}")


linear = nn.Linear(2, 2)
optimizer = torch.optim.AdamW(linear.parameters())
linear(torch.ones(1, 2)).sum().backward()
optimizer.step()
values = dict(
    np_float=np.float64(3.5), np_single=np.float32(1), np_int=np.int64(3), np_bool=np.bool_(True), np_array=np.arange(5),
    np_objects=np.array(["a", None], dtype=object), np_texts=np.array(["ab"]), np_type=np.dtype("float32"),
    np_struct=np.zeros(2, dtype=[("a", "i4")]), np_date=np.datetime64("2020-01-01"), np_masked=np.ma.array([1, 2]),
    np_generator=np.random.default_rng(1), raw=b"abc", raw_long=bytes(range(256)) * 2, mutable=bytearray(b"xyz"), cplx=1 + 2j,
    device=torch.device("cuda:0"), dtype=torch.float32, size=torch.Size([1, 2]), layout=torch.strided,
    counter=collections.Counter("abc"), ordered=collections.OrderedDict(a=1), lists=collections.defaultdict(list, {"k": [1]}),
    ints=collections.defaultdict(int), deque=collections.deque([1, 2], maxlen=3), chain=collections.ChainMap({1: 2}),
    user_dict=collections.UserDict({1: 2}), named=Point(1, 2), path=pathlib.PosixPath("/x/y"),
    windows=pathlib.PureWindowsPath("C:\\x"), cut=slice(1, 2, 3), when=datetime.datetime(2020, 1, 2), span=datetime.timedelta(3),
    zone=datetime.timezone.utc, number=decimal.Decimal("1.5"), part=fractions.Fraction(1, 3), steps=range(3), set={1, 2},
    frozen=frozenset([1]), color=Color.RED, flag=Flag.A, args=argparse.Namespace(a=1, b=torch.zeros(1)),
    space=types.SimpleNamespace(q=1), omega=OmegaConf.create({"a": {"b": [1, 2]}, "c": "${a.b}"}), user=User(), slots=Slots(),
    my_dict=MyDict(a=1), my_list=MyList([1, 2]), function=function, builtin=len, cls=User, torch_function=torch.relu,
    partial=functools.partial(function, 1), method="abc".upper, optimizer=optimizer.state_dict(), rng=torch.get_rng_state(),
    uuid=uuid.UUID(int=5), random=random.Random(1), big=2**200, negative=-(2**70), ellipsis=Ellipsis, module=linear,
    parameter=nn.Parameter(torch.zeros(2)), storage=torch.zeros(2).untyped_storage(), error=ValueError("x"), pattern=re.compile("a+"),
    sparse=torch.eye(3).to_sparse(), csr=torch.eye(3).to_sparse_csr(), quantized=torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8),
    conj=torch.randn(2, dtype=torch.complex64).conj(), nothing=None, half_text="\ud83d", nan=float("nan"), iterator=iter([1, 2]))
for protocol in (2, 5):
    save(f"values-p{protocol}", {"epoch": 3, "state_dict": weights(), "z": values}, weights(), pickle_protocol=protocol)
del values["storage"], values["sparse"], values["csr"]
save("values-legacy", {"z": values, "state_dict": weights()}, weights(), _use_new_zipfile_serialization=False)

# Which container holds the weights.
one, rng = torch.tensor([3.0]), torch.arange(16, dtype=torch.uint8)
save("score", {"epoch": 1, "state_dict": weights(1, "module."), "best_acc1": one}, weights())
save("steps", {"model": weights(), "ema": weights(2), "step": torch.tensor(3), "rng_state": rng, "global_step": torch.tensor([5])}, weights(2))
save("ema-module", {"model": weights(), "ema": {"module": weights(2), "decay": torch.tensor(0.9)}}, weights(2))
save("model-and-ema", {"state_dict": {"model": weights(), "ema": weights(2)}}, weights(2))
save("ema-shadow", {"model": weights(), "ema": {"num_updates": torch.tensor(3), "shadow": weights(2)}}, weights(2))
save("compiled", {"model": weights(1, "module._orig_mod.")}, weights())
save("one-name", {"net_g": weights(), "optimizer": {"state": {0: {"m": torch.ones(2)}}}}, weights())
save("flat", {**weights(), "optimizer": {"m": torch.ones(2)}}, weights())
save("flat-slashes", {"enc/conv.weight": torch.ones(1, 2)}, {"enc/conv.weight": torch.ones(1, 2)})
save("ema-list", {"model": weights(), "ema": {"shadow_params": [one, one]}}, 'refused under "ema/shadow_params" a list of tensors, which has no names. Tensors are under "model"')
save("two-names", {"generator": weights(), "discriminator": weights()}, 'refused got "generator", "discriminator": say which by --key')
save("flat-and-container", {**weights(), "state_dict": weights(2)}, 'refused got tensors at the top and in containers "state_dict"')
save("whole", Net(), "refused got a whole object (__main__.Net)")
save("whole-legacy", Net(), "refused got a whole object (__main__.Net)", _use_new_zipfile_serialization=False)
save("whole-inside", {"model": Net(), "ema": None}, 'refused under "model" an object (__main__.Net)')
save("numpy", {"w": np.zeros(3)}, "refused passed over were 1 objects, first w: numpy._core.multiarray._reconstruct")

# What a tensor may be.
z = (torch.arange(1, 4) * (1 + 2j)).to(torch.complex64)
save("negated", {"n.w": z.conj().imag}, {"n.w": z.conj().imag.resolve_neg().clone()})
save("negated-double", {"n.w": z.to(torch.complex128).conj().imag}, {"n.w": z.conj().imag.resolve_neg().clone()})
views = {
    "transposed.w": torch.arange(6.0).reshape(2, 3).t(), "expanded.w": torch.ones(1, 3).expand(2, 3), "empty.w": torch.zeros(0, 3),
    "single.w": torch.tensor(2.0), "parameter.w": nn.Parameter(torch.ones(2)), "buffer.w": nn.Buffer(torch.ones(1)),
    "e4m3.w": torch.tensor([1.0, -0.5, 448.0, 0.001953125]).to(torch.float8_e4m3fn), "e5m2.w": torch.tensor([1.0, -0.5, 57344.0]).to(torch.float8_e5m2),
    "e8m0.w": torch.tensor([1.0, 2.0, 0.5]).to(torch.float8_e8m0fnu), "u16.w": torch.tensor([1, 65535], dtype=torch.uint16),
    "u32.w": torch.tensor([4294967295], dtype=torch.uint32), "u64.w": torch.tensor([1, 2**40], dtype=torch.uint64),
    "i16.w": torch.tensor([-3], dtype=torch.int16), "i8.w": torch.tensor([-3], dtype=torch.int8), "bool.w": torch.tensor([True, False]),
    "double.w": torch.tensor([1.5], dtype=torch.float64), "bf16.w": torch.tensor([1.5], dtype=torch.bfloat16)}
views["parameter.w"].note = 3
save("tensors", views, views)
save("sparse", {"a.w": one, "s.w": torch.eye(3).to_sparse()}, "refused tensor s.w: wanted a dense tensor of numbers, got one that is sparse")
save("quantized", {"a.w": one, "q.w": torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8)}, "refused tensor q.w: wanted a dense tensor of numbers, got one that is quantized")
save("complex", {"c.w": z.conj()}, "refused tensor c.w: type: wanted real numbers, got C64")
save("double-too-large", {"a.w": torch.tensor([1e300], dtype=torch.float64)}, "refused tensor a.w: wanted values that F32 can hold, got a larger one at 0")
save("u64-too-large", {"a.w": torch.tensor([2**63], dtype=torch.uint64)}, "refused tensor a.w: wanted values that I64 can hold, got a larger one at 0")
(folder / "expected.txt").write_text("\n".join(expected) + "\n")
