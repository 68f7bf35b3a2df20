"""Text on images: enhanced, read and put in order. Imports no model library until a reader is made."""

from encoders.ocr.base import TextLine, TextReader
from encoders.ocr.page import MAX_SIDE_PX, Page, read_page
from encoders.ocr.rapid import RapidReader

__all__ = ["MAX_SIDE_PX", "Page", "RapidReader", "TextLine", "TextReader", "read_page"]
