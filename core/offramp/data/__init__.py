"""Data sets and streams: readers, splits and camera-digits, on numpy and Pillow alone."""
