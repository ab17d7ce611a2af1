"""The limit of both readers of NTU text."""

# A body takes memory in all frames, also in those that do not mention it, which are two bytes of the file. This many
# take 300 MB: half an hour of twenty bodies.
MAX_BODY_FRAMES = 1_000_000
