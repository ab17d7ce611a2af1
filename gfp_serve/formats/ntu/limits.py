"""What both readers of NTU text refuse."""

# A body takes room in all frames, also in those that do not mention it, which are two bytes of the file: this many
# are 300 MB, and half an hour of twenty bodies.
MAX_BODY_FRAMES = 1_000_000
