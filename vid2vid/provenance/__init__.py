"""Where a result comes from: invisible marks in its frames, a signed manifest in the file, records of consent."""

from vid2vid.provenance.facts import DigitalSource, Facts, Material
from vid2vid.provenance.marks import Marks, SealedFacts, prepare_marks
from vid2vid.provenance.verification import Verification, verify_file

__all__ = ["DigitalSource", "Facts", "Marks", "Material", "SealedFacts", "Verification", "prepare_marks", "verify_file"]
