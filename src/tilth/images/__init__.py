"""Files of pixels: found, read, measured, compared; what a table and its stages ask of images."""
