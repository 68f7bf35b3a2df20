"""Device and number format: what a model's weights are kept in, and what its matrix products run in.

`fp32`, `bf16` and `fp16` are plain casts. `int8` is LLM.int8() (Dettmers et al., 2022) and `nf4` is the 4-bit
NormalFloat of QLoRA (Dettmers et al., 2023) with double quantisation, both through bitsandbytes, which runs on
CUDA and, more slowly, on the CPU. Each is part of the vector contract: the same model in two precisions makes two
embedding spaces.
"""

from __future__ import annotations

import logging
from typing import Any, Final, Literal, TypeAlias, get_args

from encoders.errors import ModelUnavailable
from encoders.extras import require

Precision: TypeAlias = Literal["fp32", "bf16", "fp16", "int8", "nf4"]
PRECISIONS: Final[tuple[Precision, ...]] = get_args(Precision)


def pick_device(device: str) -> str:
    """`auto` becomes `cuda` where there is one, else `cpu`. Raises ModelUnavailable for a CUDA that is not there."""
    torch = require("torch", "qwen")
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise ModelUnavailable(f"device {device!r} was asked for, but torch sees no CUDA device: use cpu or auto")
    return device


def pick_precision(precision: str, device: str) -> Precision:
    """`auto` becomes bf16 on a CUDA device that has it, fp16 on an older one, and fp32 on the CPU."""
    if precision == "auto":
        if not device.startswith("cuda"):
            return "fp32"
        return "bf16" if require("torch", "qwen").cuda.is_bf16_supported() else "fp16"
    for known in PRECISIONS:
        if precision == known:
            return known
    raise ModelUnavailable(f"unknown precision {precision!r}; it is one of auto, {', '.join(PRECISIONS)}")


def compute_dtype(precision: Precision, device: str) -> Any:
    """The torch dtype of activations. Quantised weights compute in bf16 on CUDA, and in fp32 on the CPU."""
    torch = require("torch", "qwen")
    plain = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
    if precision in plain:
        return plain[precision]
    return torch.bfloat16 if device.startswith("cuda") else torch.float32


def weight_options(precision: Precision, device: str, keep: tuple[str, ...] = ()) -> dict[str, Any]:
    """Arguments of transformers' `from_pretrained` that load the weights on `device` in `precision`.

    `keep` names modules that stay unquantised. Raises MissingExtra without bitsandbytes where it is needed.
    """
    dtype = compute_dtype(precision, device)
    if precision not in ("int8", "nf4"):
        return {"dtype": dtype}
    require("bitsandbytes", "qwen")
    require("accelerate", "qwen")
    transformers = require("transformers", "qwen")

    # It warns of its fp16 rounding at every matrix product; tests/unit/encoders bounds what the rounding does.
    logging.getLogger("bitsandbytes.autograd._functions").setLevel(logging.ERROR)
    quantisation: dict[str, Any] = {"load_in_8bit": True}
    if precision == "nf4":
        quantisation = {
            "load_in_4bit": True,
            "bnb_4bit_quant_type": "nf4",
            "bnb_4bit_use_double_quant": True,
            "bnb_4bit_compute_dtype": dtype,
        }
    config: Any = transformers.BitsAndBytesConfig
    return {
        "dtype": dtype,
        "quantization_config": config(llm_int8_skip_modules=list(keep) or None, **quantisation),
        "device_map": {"": device},
    }
