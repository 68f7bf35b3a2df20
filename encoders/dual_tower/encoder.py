"""A CLIP, SigLIP or SigLIP 2 checkpoint as an Encoder. An item with text and image gets the mean of the two vectors."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from encoders import images
from encoders.base import EncoderInfo, Vectors, normalise
from encoders.batching import TokenCount
from encoders.checkpoints import Checkpoint, find_checkpoint
from encoders.contract import VectorContract
from encoders.device_model import DeviceModel
from encoders.dual_tower import preparer as preparing
from encoders.dual_tower.kinds import Kind, kind_of, load_image_processor, load_tokenizer, text_length
from encoders.dual_tower.preparer import Arrays, DualTowerPreparer, PromptTemplates, TowerInput
from encoders.errors import EncoderError, InputError, ModelUnavailable
from encoders.extras import require
from encoders.precision import Precision, pick_device, pick_precision, weight_options

_UNQUANTISED = ("text_projection", "visual_projection", "head", "patch_embedding")
"""The last layers write the vector itself, bitsandbytes cannot replace the layers of SigLIP's pooling head, and
SigLIP 2 casts its pixels to the type of its patch embedding's weights, which must not be int8."""


@dataclass(frozen=True, slots=True)
class TowerVectors:
    """Texts and images to unit vectors, each through its own tower of `model`."""

    model: Any
    device: str
    dim: int
    image_tokens: int
    token_count: TokenCount = field(default_factory=TokenCount)

    @property
    def row_shape(self) -> tuple[int, ...]:
        return (self.dim,)

    def __call__(self, batch: Sequence[TowerInput]) -> Vectors:
        vectors = np.zeros((len(batch), self.dim), dtype=np.float32)
        texts = [(row, item.text) for row, item in enumerate(batch) if item.text is not None]
        pictures = [(row, item.image) for row, item in enumerate(batch) if item.image is not None]
        for tower, members in ((self.model.get_text_features, texts), (self.model.get_image_features, pictures)):
            if members:
                rows = [row for row, _ in members]
                vectors[rows] += self._features(tower, [arrays for _, arrays in members])
        return normalise(vectors)

    def _features(self, tower: Any, items: Sequence[Arrays]) -> Vectors:
        """What a tower makes of items, `(n, dim)`, rows L2-normalised."""
        torch = require("torch", "qwen")
        self.token_count.add([len(item["input_ids"]) if "input_ids" in item else self.image_tokens for item in items])
        stacked = {name: torch.from_numpy(array).to(self.device) for name, array in _stack(items).items()}
        if "pixel_values" in stacked:
            stacked["pixel_values"] = stacked["pixel_values"].to(self.model.dtype)
        with torch.inference_mode():
            features = tower(**stacked).pooler_output.float().cpu().numpy()
        if not np.isfinite(features).all():
            raise EncoderError("the model gave a feature that is not finite; use bf16 or fp32")
        return normalise(features)


DualTowerEncoder: TypeAlias = DeviceModel[EncoderInfo, DualTowerPreparer, TowerVectors]


def _stack(items: Sequence[Arrays]) -> Arrays:
    """One array a name, with a batch axis. Shorter texts are padded with zeros, which their attention mask hides."""
    stacked: Arrays = {}
    for name, first in items[0].items():
        longest = max(len(item[name]) for item in items)
        out = np.zeros((len(items), longest, *first.shape[1:]), dtype=first.dtype)
        for row, item in enumerate(items):
            out[row, : len(item[name])] = item[name]
        stacked[name] = out
    return stacked


def load_dual_tower(
    model: str,
    revision: str | None = None,
    *,
    models_dir: str | Path | None = None,
    device: str = "auto",
    precision: str = "auto",
    dimensions: int | None = None,
    query_template: str = "{}",
    document_template: str = "{}",
    compile: bool = False,
    limits: images.ImageLimits | None = None,
) -> DualTowerEncoder:
    """Loads a CLIP, SigLIP or SigLIP 2 checkpoint from this machine's disk; never downloads.

    `model` is a hub id, `modelscope://` and an id, or a folder. The templates stand around a text, `{}` in its place.
    Raises ModelUnavailable, MissingExtra, or InputError for a template without a place for the text or for
    `dimensions` other than the native ones: these vectors' prefixes mean nothing.
    """
    checkpoint = find_checkpoint(model, revision, models_dir)
    kind = kind_of(checkpoint)
    where = pick_device(device)
    used = pick_precision(precision, where)
    templates = PromptTemplates(query_template, document_template)
    loaded = _load_model(checkpoint, kind, used, where)
    if compile:
        loaded.text_model.compile()
        loaded.vision_model.compile()
    dim = _dim(loaded.config)
    if dimensions not in (None, dim):
        raise InputError(f"dimensions must be one of {dim}, not {dimensions}", "unknown_dimensions", "dimensions")
    processor = load_image_processor(checkpoint, kind)
    preparer = DualTowerPreparer(
        tokenizer=load_tokenizer(checkpoint),
        image_processor=processor,
        templates=templates,
        limits=limits or images.ImageLimits(),
        text_tokens=text_length(checkpoint, kind),
        full_length_text=kind.full_length_text,
        lowercase=kind.lowercase,
        image_tokens=_image_tokens(loaded.config.vision_config),
    )
    preparer.warm()
    info = _info(checkpoint, kind, used, dim, templates, _resolution(processor))
    return DeviceModel(info, preparer, TowerVectors(loaded, where, dim, preparer.image_tokens))


def _load_model(checkpoint: Checkpoint, kind: Kind, precision: Precision, device: str) -> Any:
    transformers = require("transformers", "qwen")
    loaded, report = getattr(transformers, kind.model_class).from_pretrained(
        checkpoint.folder,
        local_files_only=True,
        output_loading_info=True,
        **weight_options(precision, device, _UNQUANTISED),
    )
    missing = sorted(report["missing_keys"]) + sorted(str(key) for key in report["mismatched_keys"])
    if missing:
        raise ModelUnavailable(f"{checkpoint.model} lacks weights: {', '.join(missing[:5])}")
    loaded.eval().requires_grad_(False)
    return loaded if precision in ("int8", "nf4") else loaded.to(device)


def _dim(config: Any) -> int:
    """CLIP names its width; SigLIP's two towers must end in one."""
    text = getattr(config.text_config, "projection_size", None)
    return int(config.projection_dim if text is None else text)


def _image_tokens(vision: Any) -> int:
    """What an image costs, in tokens of the vision tower."""
    patches = getattr(vision, "num_patches", None)
    return int(patches if patches is not None else (vision.image_size // vision.patch_size) ** 2)


def _resolution(processor: Any) -> str:
    patches = getattr(processor, "max_num_patches", None)
    if patches is not None:
        return f"{patches} patches of {processor.patch_size}"
    size = getattr(processor, "crop_size", None) or processor.size
    return f"{size['height']}x{size['width']}"


def _info(
    checkpoint: Checkpoint, kind: Kind, precision: Precision, dim: int, templates: PromptTemplates, pixels: str
) -> EncoderInfo:
    digest = hashlib.sha256(f"{templates.query}\0{templates.document}".encode()).hexdigest()[:12]
    contract = VectorContract(
        model=checkpoint.model,
        revision=checkpoint.revision,
        dim=dim,
        pooling=kind.pooling,
        template=f"dual-tower:{digest}",
        pixels=pixels,
        preprocessing=100 * images.PREPROCESSING_VERSION + preparing.PREPROCESSING_VERSION,
        precision=precision,
    )
    return EncoderInfo(
        name="dual-tower",
        contract=contract,
        modalities=frozenset(("text", "image", "image_text")),
        dimensions=(dim,),
        max_text_chars=preparing.MAX_TEXT_CHARS,
        description=f"{kind.model_class.removesuffix('Model')} {checkpoint.model}, {precision}",
    )
