"""Sound effects that fit the picture: the event list, procedural voices, and their mixing in constant memory."""

from vid2vid.audio.events import KINDS, check_event, events_as_json, read_events

__all__ = ["KINDS", "check_event", "events_as_json", "read_events"]
