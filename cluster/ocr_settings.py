"""The branch of the settings tree that reads text off images."""

from __future__ import annotations

from pydantic import Field

from cluster.section import Section


class EnhanceSettings(Section):
    """What may be done to an image before it is read; each where the image calls for it."""

    brighten: bool = Field(True, description="Images taken in the dark.")
    denoise: bool = Field(True, description="Noise, by non-local means.")
    deskew: bool = Field(True, description="Pages that lie askew, up to 15 degrees.")
    sharpen: bool = Field(True, description="Images out of focus.")
    rotate: bool = Field(True, description="Pages that lie on a side or upside down; those are read twice.")


class OcrSettings(Section):
    """Reading text off images, after they are stored and searchable. Needs crossray[ocr]."""

    enabled: bool = Field(
        False, description="Read images. A small photo costs about half a CPU second, a page several."
    )
    enhance: EnhanceSettings = EnhanceSettings()
    min_score: float = Field(0.5, ge=0, le=1, description="Lines read with less confidence are left out.")
    threads: int = Field(1, ge=1, description="Threads that read one image.")
    max_queued: int = Field(1024, ge=1, description="Items remembered as just written; a sweep finds the others.")
    sweep_interval_s: float = Field(300, gt=0, description="How often the index is walked for unread images.")
    num_cpus: float = Field(0.2, ge=0, description="Cores the one replica reserves; it runs at low priority.")
