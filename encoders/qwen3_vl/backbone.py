"""The transformer: loads it, and turns a batch of ChatInputs into the states that vectors and scores are made of.

States are always taken after the final norm, from the base model's `last_hidden_state`. The last entry of a causal
model's `hidden_states` may be the state before it, which gives other vectors (vllm#33167).
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from encoders.checkpoints import Checkpoint
from encoders.errors import EncoderError, ModelUnavailable
from encoders.extras import require
from encoders.precision import Precision, compute_dtype, weight_options
from encoders.qwen3_vl.family import Pooling
from encoders.qwen3_vl.preparer import ChatInput

Attention: TypeAlias = Literal["auto", "sdpa", "flash_attention_2", "eager"]
PaddingSide: TypeAlias = Literal["right", "left"]


@dataclass(frozen=True, slots=True)
class ImageFormat:
    """How the checkpoint wants its pixels, from its preprocessor_config.json and config.json."""

    mean: tuple[float, ...]
    std: tuple[float, ...]
    patch_px: int
    merge: int
    frames: int

    @classmethod
    def read(cls, checkpoint: Checkpoint) -> ImageFormat:
        pixels = checkpoint.read_json("preprocessor_config.json")
        vision = checkpoint.read_json("config.json").get("vision_config", {})
        return cls(
            mean=tuple(pixels.get("image_mean", (0.5, 0.5, 0.5))),
            std=tuple(pixels.get("image_std", (0.5, 0.5, 0.5))),
            patch_px=int(vision.get("patch_size", 16)),
            merge=int(vision.get("spatial_merge_size", 2)),
            frames=int(vision.get("temporal_patch_size", 2)),
        )

    @property
    def factor_px(self) -> int:
        """Side of the square of pixels that one visual token covers."""
        return self.patch_px * self.merge


@dataclass(frozen=True, slots=True)
class BackboneOptions:
    """How the model runs. Neither attention, compilation nor the padding side is part of the vector contract: they
    change results by rounding only, which tests/unit/encoders/qwen3_vl bounds."""

    device: str
    precision: Precision
    attention: Attention = "auto"
    compile: bool = False
    padding_side: PaddingSide = "right"


class Backbone:
    """A loaded Qwen3-VL on its device. One thread at a time."""

    def __init__(
        self, model: Any, options: BackboneOptions, image_format: ImageFormat, pad_id: int, lm_head: Any = None
    ) -> None:
        self.model = model
        self._lm_head = lm_head
        self.options = options
        self.image_format = image_format
        self._pad_id = pad_id
        self._shared_attention = _attention_of(model) != "flash_attention_2"

    @property
    def hidden_size(self) -> int:
        return int(self.model.config.text_config.hidden_size)

    def take_head(self) -> Any:
        """The language-model head's weight `(vocabulary, hidden)`, which is then let go. Only where it was loaded."""
        weight = self._lm_head.weight
        self._lm_head = None
        return weight

    def pooled(self, batch: Sequence[ChatInput], pooling: Pooling) -> NDArray[np.float32]:
        """`(n, hidden)` float32: for each row the last attended token's state, or the mean over the attended tokens.

        Raises EncoderError when a state is not finite, which half precision can bring about.
        """
        torch = require("torch", "qwen")
        with torch.inference_mode():
            states, mask = self._states(batch)
            if pooling == "mean":
                weights = mask.unsqueeze(-1).float()
                rows = (states.float() * weights).sum(1) / weights.sum(1)
            else:
                last = self._last(mask)
                rows = states[torch.arange(len(batch), device=last.device), last].float()
            result: NDArray[np.float32] = rows.cpu().numpy()
        if not np.isfinite(result).all():
            raise EncoderError(
                f"the model gave a state that is not finite in {self.options.precision}; use bf16 or fp32"
            )
        return result

    def _last(self, mask: Any) -> Any:
        """Column of each row's last attended token, whichever side the padding is on."""
        torch = require("torch", "qwen")
        columns = torch.arange(mask.shape[1], device=mask.device)
        return (columns * mask).argmax(dim=1)

    def _states(self, batch: Sequence[ChatInput]) -> tuple[Any, Any]:
        """Last hidden states after the final norm `(n, length, hidden)`, and the attention mask `(n, length)`."""
        torch = require("torch", "qwen")
        device = self.options.device
        ids, positions, mask = _collate(batch, self._pad_id, self.options.padding_side)
        attended = torch.from_numpy(mask).to(device)
        output = self.model(
            input_ids=torch.from_numpy(ids).to(device),
            position_ids=torch.from_numpy(positions).to(device),
            # Without padding the causal mask alone will do, and the attention kernel may skip half of its work.
            attention_mask=None if mask.all() else attended,
            use_cache=False,
            mm_encoder_outputs=self._visual_states(batch),
        )
        return output.last_hidden_state, attended

    def _visual_states(self, batch: Sequence[ChatInput]) -> dict[str, Any]:
        """What the vision tower makes of all pictures of the batch, DeepStack features included.

        What the tower derives from the pictures' sizes is computed here, on the CPU. Left to itself it computes it on
        the device and reads it back, a stall for each layer and picture.
        """
        from transformers import vision_utils

        from encoders.qwen3_vl import vision

        torch = require("torch", "qwen")
        pictures = [picture for item in batch for picture in item.images]
        if not pictures:
            return {}
        form, device = self.image_format, self.options.device
        sides = [(picture.shape[0] // form.patch_px, picture.shape[1] // form.patch_px) for picture in pictures]
        grid = torch.tensor([(1, rows, columns) for rows, columns in sides])
        tower = self.model.visual
        indices, weights = vision_utils.get_vision_interpolation_indices_and_weights(
            grid,
            num_grid_per_side=tower.num_grid_per_side,
            mode=tower.interpolation_mode,
            align_corners=tower.interpolation_align_corners,
            spatial_merge_size=form.merge,
        )
        counts = [rows * columns for rows, columns in sides]
        boundaries = vision_utils.get_vision_cu_seqlens(grid)
        patches = vision.cut_patches(pictures, device, form.mean, form.std, form.patch_px, form.merge, form.frames)
        sizes: dict[str, Any] = {
            "image_position_ids": vision_utils.get_vision_position_ids(grid, form.merge).to(device),
            "image_interp_indices": indices.to(device),
            "image_interp_weights": weights.to(device),
        }
        if self._shared_attention:
            sizes |= {"image_cu_seqlens": boundaries, "image_runs": vision.picture_runs(counts)}
        else:
            sizes |= {"image_cu_seqlens": boundaries.to(device), "image_max_seqlen": max(counts)}
        return {"image": self.model.get_image_features(patches, grid, return_dict=True, **sizes)}


def load_backbone(checkpoint: Checkpoint, options: BackboneOptions, pad_id: int, head: bool = False) -> Backbone:
    """The checkpoint's base model, ready to run. With `head` its language-model head is there to take.

    Raises ModelUnavailable when weights are missing: transformers would fill them with random numbers.
    """
    transformers = require("transformers", "qwen")

    from encoders.qwen3_vl.vision import speed_up_vision

    attention = pick_attention(options.attention, options.device, options.precision)
    loader: Any = transformers.Qwen3VLForConditionalGeneration if head else transformers.Qwen3VLModel
    # The output head feeds a score directly; the mergers have no residual path, and 4 bits cost them most.
    keep = ("lm_head", "merger", "deepstack_merger_list") if options.precision == "nf4" else ("lm_head",)
    loaded, report = loader.from_pretrained(
        checkpoint.folder,
        attn_implementation=attention,
        local_files_only=True,
        output_loading_info=True,
        **weight_options(options.precision, options.device, keep),
    )
    missing = sorted(report["missing_keys"]) + sorted(str(key) for key in report["mismatched_keys"])
    if missing:
        raise ModelUnavailable(f"{checkpoint.model} lacks weights: {', '.join(missing[:5])}")
    loaded.eval().requires_grad_(False)
    if options.precision not in ("int8", "nf4"):
        loaded.to(options.device)
    base = loaded.model if head else loaded
    speed_up_vision(base.visual, shared_attention=attention != "flash_attention_2")
    if options.compile:
        compile_layers(base)
    return Backbone(base, options, ImageFormat.read(checkpoint), pad_id, loaded.lm_head if head else None)


def compile_layers(model: Any) -> None:
    """torch.compile, layer by layer: one small graph serves all layers of a tower, and lengths stay dynamic."""
    for layer in (*model.language_model.layers, *model.visual.blocks):
        layer.compile(dynamic=True)


def pick_attention(attention: str, device: str, precision: Precision) -> str:
    """`auto` becomes FlashAttention-2 where it is installed and can run (CUDA, half precision), else SDPA.

    Raises ModelUnavailable when FlashAttention-2 is asked for and cannot be had.
    """
    torch = require("torch", "qwen")
    installed = importlib.util.find_spec("flash_attn") is not None
    half = compute_dtype(precision, device) in (torch.bfloat16, torch.float16)
    fits = device.startswith("cuda") and half
    if attention == "auto":
        return "flash_attention_2" if installed and fits else "sdpa"
    if attention not in ("sdpa", "flash_attention_2", "eager"):
        raise ModelUnavailable(f"unknown attention {attention!r}; it is one of auto, sdpa, flash_attention_2, eager")
    if attention == "flash_attention_2" and not installed:
        raise ModelUnavailable("FlashAttention-2 is not installed, and no extra brings it: pip install flash-attn")
    if attention == "flash_attention_2" and not fits:
        raise ModelUnavailable(f"FlashAttention-2 needs CUDA and half precision, not {precision} on {device}")
    return attention


def _attention_of(model: Any) -> str:
    return str(model.config._attn_implementation)


def _collate(
    batch: Sequence[ChatInput], pad_id: int, side: PaddingSide
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Ids `(n, length)`, positions `(3, n, length)` and mask `(n, length)`, padded on `side`."""
    length = max(len(item.ids) for item in batch)
    ids = np.full((len(batch), length), pad_id, dtype=np.int64)
    positions = np.zeros((3, len(batch), length), dtype=np.int64)
    mask = np.zeros((len(batch), length), dtype=np.int64)
    for row, item in enumerate(batch):
        own = len(item.ids)
        place = slice(0, own) if side == "right" else slice(length - own, length)
        ids[row, place], positions[:, row, place], mask[row, place] = item.ids, item.positions, 1
    return ids, positions, mask
