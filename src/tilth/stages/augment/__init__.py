"""Batches of training rows, every epoch anew."""
