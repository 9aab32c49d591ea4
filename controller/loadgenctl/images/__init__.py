"""Images: templates are rendered, hashed and built once, on a Debian base that is pulled or
bootstrapped.
"""

from loadgenctl.images.image_store import ImageInfo, ImageRef, ImageStore

__all__ = ["ImageInfo", "ImageRef", "ImageStore"]
