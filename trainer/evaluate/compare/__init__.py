"""The table of a paper: several runs of several objectives, by every protocol, with what they cost."""
