"""The faults that vid2vid must take well, by number, and what is right for each."""

from __future__ import annotations

from typing import Final, NamedTuple


class Case(NamedTuple):
    """One fault."""

    fault: str
    right: str


CASES: Final[dict[int, Case]] = {
    1: Case("file without a byte", "EmptyInput before anything is decoded"),
    2: Case(
        "missing file, folder without pictures, FIFO, socket, device", "InputNotFound at once; never waits on a FIFO"
    ),
    3: Case("random bytes or text named .mp4", "NotAVideo"),
    4: Case("wrong suffix", "content decides; a note"),
    5: Case(
        "MP4 cut within a group of pictures", "what is there is translated, `truncated`, a note; strict: TruncatedInput"
    ),
    6: Case("MP4 without its index", "UnreadableContainer with a hint at repair"),
    7: Case("cut Matroska or transport stream", "noticed from the file's own bookkeeping; a note"),
    8: Case("cut fragmented MP4", "as 5"),
    9: Case("damaged packets", "concealed by the last good frame, length and sync kept, counted; refused over 5 %"),
    10: Case("real clips, damaged", "as 9; a typed error where nothing can be saved"),
    11: Case("header only, init segment, encrypted", "NoDecodableFrames, which says encrypted where it is"),
    12: Case("sound only, cover art", "NoVideoStream; cover art is no video"),
    13: Case("several video streams", "the largest one, or that of `stream=`; a note"),
    14: Case("variable frame rate", "times kept; sound within a frame at the end"),
    15: Case("rotation by 90, 180, 270 degrees", "written upright, turned once"),
    16: Case("display matrix without sense", "taken as none; a note"),
    17: Case("interlaced", "woven, frame rate kept"),
    18: Case("10 bit, PQ, HLG, full range", "brought to SDR in the right range; a note"),
    19: Case("alpha (VP9, ProRes 4444, PNG, GIF)", "laid over black with a note; a note where the decoder drops it"),
    20: Case("odd width or height", "output has the source's size"),
    21: Case("one frame", "one frame out"),
    22: Case("frames of 1x1, 2x2", "TooSmall; from 8x8 on they are translated"),
    23: Case("8K", "rendered in bounded memory, or refused before the start"),
    24: Case("header of 30000x30000", "refused before memory is reserved"),
    25: Case("false duration or sample table", "nothing is sized by the header; the true frames come out"),
    26: Case("more frames claimed than there are", "no hang: decord reads in a process of its own, with a deadline"),
    27: Case(
        "time scale 0, frame rate 0, negative, huge or none", "BadTimebase unless fps= is given; fps <= 0 is refused"
    ),
    28: Case("times that fall, start at 5 s", "decoding order rules, times start at 0, sound in sync"),
    29: Case("size changes within the clip", "scaled to the first size; a note"),
    30: Case(
        "GIF, WebM (VP8, VP9), AV1, MKV, MOV, FLV, TS, AVI, Ogg",
        "read; without a decoder: UnsupportedCodec, which names the codec",
    ),
    31: Case("metadata that is no UTF-8", "ignored"),
    32: Case("names: spaces, emoji, -i, newline, 255 bytes, %03d, concat:, http:, pipe:", "plain file names"),
    33: Case(
        "playlists and scripts as .mp4 (HLS, concat, SDP, DASH); references to other files",
        "NotAVideo; no other file or socket opened",
    ),
    34: Case("no face in any frame", "passed through with a report, never black"),
    35: Case("face leaves, is hidden or turns away", "frame passed through, track kept"),
    36: Case("several faces", "stable tracks; the one asked for, else the largest"),
    37: Case("scene cut", "memory is emptied; nothing shines through"),
    38: Case("black, frozen or flashing picture", "finishes; finite output"),
    39: Case("model gives NaN", "NonFiniteOutput with the frame's number, after a try in float32"),
    40: Case("NaN in weights", "BadWeights with the tensor's name"),
    41: Case("weights of another shape, missing or extra", "WeightsMismatch, the first five listed"),
    42: Case("safetensors cut, empty, a Git LFS pointer, huge header", "CorruptWeights with size and what to do"),
    43: Case("pickle, renamed or in a zip archive", "UnsafeFormat; not a byte unpickled"),
    44: Case(
        "bundle with .., absolute names, links, devices, archives, too many or too large files",
        "UnsafeFormat or InvalidBundle",
    ),
    45: Case("configuration that asks for code, or for huge numbers", "refused by type and bound; nothing is run"),
    46: Case(
        "hub: cut download, offline, wrong hash, a proxy's page",
        "resumed and checked; offline: the missing file is named",
    ),
    47: Case("disk full", "OutputDiskFull; old output intact, what was rendered is kept for a resume"),
    48: Case("file size limit, input/output error", "writing: as 47; reading: ReadFailed, resumable"),
    49: Case("kill -9 while rendering", "resume redoes at most one segment; frames equal an undisturbed run's"),
    50: Case("Ctrl-C once and twice, SIGTERM, closed stdout", "stops within 5 s, exit 130, can be resumed"),
    51: Case("out of memory, host or GPU", "halves the work and tries again, then OutOfMemory; no half file"),
    52: Case("two processes, one output", "the second gets OutputBusy; a dead one's lock is broken"),
    53: Case("read-only or missing folder, output is a folder", "refused before a model loads"),
    54: Case("output is the input, by name or link", "OutputIsInput"),
    55: Case("output exists", "OutputExists unless overwrite; swapped in whole"),
    56: Case("input changes or goes during the run", "InputChanged on resume"),
    57: Case("two inputs of one name from two folders", "nothing is shared between their renders"),
    58: Case(
        "sound: none, longer, shorter, 5.1, codec the container does not take",
        "copied where legal, else encoded; length of the video",
    ),
    59: Case(
        "examples: counts, lengths or sizes differ, duplicates, one bad, none",
        "each listed with its reason; the rest is used",
    ),
    60: Case(
        "training: NaN loss, killed in a save, other configuration, 0 steps",
        "stops before NaN is saved; newest complete checkpoint",
    ),
    61: Case(
        "forked and spawned workers", "each opens its own reader; decord in a process of its own, with a deadline"
    ),
    62: Case("marks: key missing, one frame, WebM", "MarkingError before work; sidecar for WebM and Matroska"),
    63: Case("edit list, hidden packets", "honoured; one reader counts and reads"),
}
"""Number -> case."""
