"""Where the bytes of images live: the contract (`base`), and its stores in a folder and behind a URL."""

from retrieval.media.base import Aside, MediaStore, media_address
from retrieval.media.folder import FolderMedia
from retrieval.media.open import MediaOptions, open_media
from retrieval.media.url import UrlMedia

__all__ = ["Aside", "FolderMedia", "MediaOptions", "MediaStore", "UrlMedia", "media_address", "open_media"]
