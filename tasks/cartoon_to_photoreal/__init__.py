"""Cartoon to photoreal: drawn and computer-made clips come out as if they had been filmed."""

from .task import CartoonToPhotoreal

task = CartoonToPhotoreal()
