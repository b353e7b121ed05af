"""Video in and out: probing, reading, writing, sound. Only this package and `data.windows` touch PyAV."""

from vid2vid.io.audio import AudioOutcome
from vid2vid.io.decode import FrameSource, open_source
from vid2vid.io.encode import VideoWriter
from vid2vid.io.output import PICTURES, check_output, write_image
from vid2vid.io.pictures import read_image
from vid2vid.io.probe import probe
from vid2vid.io.soundtrack import Compose, MadeSound, WavWriter, read_sound
from vid2vid.io.tally import DecodeReport

__all__ = [
    "PICTURES",
    "AudioOutcome",
    "Compose",
    "DecodeReport",
    "FrameSource",
    "MadeSound",
    "VideoWriter",
    "WavWriter",
    "check_output",
    "open_source",
    "probe",
    "read_image",
    "read_sound",
    "write_image",
]
