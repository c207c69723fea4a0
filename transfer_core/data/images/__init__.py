"""From the bytes of a photo to pixels: decoding, resizing, augmentation, similarity."""
