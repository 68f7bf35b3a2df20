"""Character error rate of OCR on made-up pages, English and Chinese, spoilt in known ways, with and without enhancing.

    python -m loadtests.bench_ocr [--output FILE]

Every spoilt page is read as it is, with the one enhancement that is meant for it, and with all of them on, as they are
by default. The error counts edits in the text of the whole page, so that lines in the wrong order count too. Exits 1
where an enhancement does not lower the mean error of what it is for, or where a clean page suffers.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from PIL import Image

from encoders.enhance import Enhancement
from encoders.ocr import RapidReader, TextReader, read_page
from loadtests.made_up_pages import FAULTS, PAGES, character_error_rate, draw, font_path, text_of
from loadtests.report import circumstances, table, write_report

NONE, ALL = Enhancement.off(), Enhancement()


@dataclass(frozen=True)
class Reading:
    """One page read one way. `settings` is none, all, or the one enhancement that was on."""

    fault: str
    page: str
    settings: str
    character_error_rate: float
    enhanced: tuple[str, ...]
    cpu_s: float


def settings_for(mended_by: str | None) -> dict[str, Enhancement]:
    alone = {mended_by: replace(NONE, **{mended_by: True})} if mended_by is not None else {}
    return {"none": NONE, **alone, "all": ALL}


def measure(reader: TextReader, font: Path) -> list[Reading]:
    readings = []
    for fault_name, fault in FAULTS.items():
        for page_name, rows in PAGES.items():
            spoilt = fault.spoil(draw(rows, font))
            for name, enhancement in settings_for(fault.mended_by).items():
                started = time.process_time()
                page = read_page(reader, Image.fromarray(spoilt), enhancement)
                cpu_s = time.process_time() - started
                error = character_error_rate(page.text, text_of(rows))
                readings.append(Reading(fault_name, page_name, name, round(error, 4), page.enhanced, round(cpu_s, 2)))
                print(f"{fault_name:12} {page_name} {name:9} {error:6.1%} {cpu_s:5.1f} s", file=sys.stderr, flush=True)
    return readings


def mean_error(readings: list[Reading], fault: str, language: str, settings: str) -> float:
    chosen = [r for r in readings if (r.fault, r.settings) == (fault, settings) and r.page.startswith(language)]
    return statistics.mean(r.character_error_rate for r in chosen)


def summary(readings: list[Reading]) -> list[dict[str, float | str | None]]:
    """Mean error in percent, a row a fault and language: as it is, with what is meant for it, with everything."""
    return [
        {
            "page": name,
            "language": language,
            "enhancement": fault.mended_by,
            "none": 100 * mean_error(readings, name, language, "none"),
            "alone": 100 * mean_error(readings, name, language, fault.mended_by) if fault.mended_by else None,
            "all": 100 * mean_error(readings, name, language, "all"),
        }
        for name, fault in FAULTS.items()
        for language in ("en", "zh")
    ]


def failures(readings: list[Reading]) -> list[str]:
    """What the enhancements promise and these figures do not show."""
    failed = []
    for name, fault in FAULTS.items():
        for language in ("en", "zh"):
            none, everything = (mean_error(readings, name, language, settings) for settings in ("none", "all"))
            if fault.mended_by is None:
                if everything > none:
                    failed.append(f"{name} {language}: {none:.3f} became {everything:.3f}")
            elif not mean_error(readings, name, language, fault.mended_by) < none > everything:
                failed.append(f"{name} {language}: {fault.mended_by} did not lower {none:.3f}")
    return failed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, help="write the figures as JSON")
    output = parser.parse_args().output
    font = font_path()
    if font is None:
        print("no font with Chinese glyphs: run  pip install pylopdf-fonts-zh-cn==0.1.1", file=sys.stderr)
        return 2
    begun = circumstances()
    readings = measure(RapidReader(), font)
    failed = failures(readings)
    print("mean character error rate, %\n" + table(summary(readings)))
    figures = {"summary": summary(readings), "failed": failed, "readings": [asdict(r) for r in readings]}
    write_report(output, figures, begun)
    for line in failed:
        print(f"FAILED {line}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
