"""How CLIP, SigLIP and SigLIP 2 checkpoints differ, as far as an encoder must know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from encoders.checkpoints import Checkpoint
from encoders.errors import ModelUnavailable
from encoders.extras import require


@dataclass(frozen=True, slots=True)
class Kind:
    """One `model_type`. The image processors named here need Pillow only, where the default ones need torchvision."""

    model_class: str
    image_processor: str
    text_tokens: int
    """Tokens of a text; longer ones are cut, as in training."""
    full_length_text: bool
    """SigLIP was trained on texts padded to the full length, and reads its vector off the last place."""
    lowercase: bool
    pooling: str


_MODELS = "transformers.models"
KINDS = {
    "clip": Kind(
        "CLIPModel", f"{_MODELS}.clip.image_processing_pil_clip:CLIPImageProcessorPil", 77, False, True, "cls"
    ),
    "siglip": Kind(
        "SiglipModel", f"{_MODELS}.siglip.image_processing_pil_siglip:SiglipImageProcessorPil", 64, True, True, "map"
    ),
    "siglip2": Kind(
        "Siglip2Model",
        f"{_MODELS}.siglip2.image_processing_pil_siglip2:Siglip2ImageProcessorPil",
        64,
        True,
        True,
        "map",
    ),
}


def kind_of(checkpoint: Checkpoint) -> Kind:
    """Raises ModelUnavailable for a checkpoint that is none of the three."""
    found = str(checkpoint.read_json("config.json").get("model_type", ""))
    if found not in KINDS:
        raise ModelUnavailable(f"{checkpoint.model} is a {found or 'nameless'} model, not one of {', '.join(KINDS)}")
    return KINDS[found]


def text_length(checkpoint: Checkpoint, kind: Kind) -> int:
    """Places in the text tower's position table, and never more than the checkpoint was trained with."""
    text = checkpoint.read_json("config.json").get("text_config", {})
    return min(kind.text_tokens, int(text.get("max_position_embeddings", kind.text_tokens)))


def load_image_processor(checkpoint: Checkpoint, kind: Kind) -> Any:
    module, name = kind.image_processor.split(":")
    processor: Any = getattr(require(module, "qwen"), name)
    return processor.from_pretrained(checkpoint.folder, local_files_only=True)


def load_tokenizer(checkpoint: Checkpoint) -> Any:
    """Raises ModelUnavailable, with the reason, when it cannot be read: SigLIP's first one needs sentencepiece."""
    transformers = require("transformers", "qwen")
    try:
        return transformers.AutoTokenizer.from_pretrained(checkpoint.folder, local_files_only=True)
    except (ImportError, OSError, ValueError) as error:
        raise ModelUnavailable(f"the tokenizer of {checkpoint.model} cannot be read: {error}") from error
