"""The next embedded model: 128x128 pictures of several hundred subjects, in scenes and styles."""
